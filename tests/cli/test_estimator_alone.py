"""What answers with NumPy and click alone, as `pip install .` gives them."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

OF_EXTRAS = ("orjson", "pydantic", "pyarrow", "rich", "jinja2", "yaml", "pandas", "scipy", "torch")


@pytest.mark.parametrize(
    "line",
    [
        "list methods",
        "list models",
        "list accelerators",
        "estimate Qwen/Qwen3-8B --prompt-tokens 400",
        "estimate Qwen/Qwen3-8B --method setwise.heapsort",
        "budget --petaflops 0.01 --models Qwen/Qwen3-0.6B",
        "capacity Qwen/Qwen3-8B --method setwise.heapsort --depth 20 --qps 10 --on H100",
    ],
)
def test_the_estimator_alone_answers(line: str) -> None:
    code = (
        f"import sys\nsys.modules.update(dict.fromkeys({OF_EXTRAS}))\n"
        f"from e2r.cli import main\nmain({shlex.split(line)})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
