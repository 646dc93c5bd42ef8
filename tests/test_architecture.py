"""The walls between the rooms stand: who may import whom, and where torch lives."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import e2r

PACKAGE = Path(e2r.__file__).parent
ROOMS = {
    "errors": set[str](),
    "hub": {"errors"},
    "flops": {"errors", "hub"},
    "ranking": {"errors"},
    "lengths": {"errors", "flops"},
    "forecast": {"errors", "flops", "lengths", "ranking"},
    "budget": {"errors", "flops", "forecast", "lengths", "ranking"},
    "data": {"errors", "hub"},
    "prompts": {"errors", "ranking", "data"},
    "records": {"errors", "data"},
    "models": {"errors", "flops", "hub", "ranking", "data", "prompts", "records"},
    "cascade": {"errors", "ranking", "data", "prompts", "records", "models"},
    "doctor": {"data", "errors", "flops", "hub", "records"},
    "dry_run": {
        "cascade",
        "errors",
        "flops",
        "lengths",
        "data",
        "prompts",
        "ranking",
        "records",
        "models",
    },
    "engines": {"cascade", "errors", "data", "prompts", "ranking", "records", "models"},
    "verification": {"errors", "flops", "models", "records"},
    "runner": {
        "cascade",
        "errors",
        "ranking",
        "data",
        "prompts",
        "records",
        "models",
        "engines",
        "verification",
    },
    "metrics": {"errors", "records", "data", "flops", "forecast", "lengths", "ranking"},
    "site": {
        *{"errors", "metrics", "records", "data", "flops", "ranking"},
        *{"budget", "forecast", "lengths"},
    },
}
RAY_LIVES_IN = {"e2r.engines.ray", "e2r.engines.cluster"}
TORCH_LIVES_IN = "e2r.models.transformers"
TORCH_LIVES_BELOW = {
    f"e2r.models.{name}"
    for name in (
        "attention",
        "onednn",
        "passes",
        "prefixes",
        "rows",
        "short_attention",
        "thinking",
    )
}


def modules() -> list[str]:
    names = []
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return sorted(set(names) - {"e2r.__main__"})


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "e2r":
                names = [f"e2r.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("e2r.")}
    return rooms


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    home = PACKAGE / room
    files = list(home.rglob("*.py")) if home.is_dir() else [home.with_suffix(".py")]
    assert files
    for path in files:
        foreign = imported_rooms(path) - ROOMS[room] - {room}
        assert not foreign, f"{path.relative_to(PACKAGE)} imports {sorted(foreign)}"


def test_every_room_has_its_walls() -> None:
    found = {
        path.stem
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert found - {"__init__", "__main__", "cli"} == set(ROOMS)


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_torch_is_imported_by_one_module_and_those_it_alone_imports() -> None:
    below = {name.rpartition(".")[2] for name in TORCH_LIVES_BELOW}
    for path in PACKAGE.rglob("*.py"):
        imported = {
            node.module.rpartition(".")[2]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("e2r.models.")
        }
        allowed = {TORCH_LIVES_IN.rpartition(".")[2], *below}
        assert not imported & below or path.stem in allowed, path
    own = {TORCH_LIVES_IN, *TORCH_LIVES_BELOW, *RAY_LIVES_IN}
    names = [name for name in modules() if name not in own]
    imports = "\n".join(f"import {name}" for name in names)
    loaded = run_python(
        f"{imports}\nimport sys\n"
        "print(*(m for m in ('torch', 'jnius', 'pyserini', 'ray') if m in sys.modules))"
    )
    assert loaded.strip() == ""
    assert "torch" in run_python(
        f"import {TORCH_LIVES_IN}, sys\nprint(*(m for m in ('torch',) if m in sys.modules))"
    )


def test_ray_is_imported_by_its_engine_alone_and_brings_no_torch() -> None:
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        text = path.read_text(encoding="utf-8")
        assert "import ray" not in text or name in RAY_LIVES_IN, path
        assert "e2r.engines.cluster" not in text or name == "e2r.engines.ray", path
    loaded = run_python(
        "import e2r.engines.ray, sys\n"
        "print(*(m for m in ('torch', 'transformers', 'ray') if m in sys.modules))"
    )
    assert loaded.split() == ["ray"]


def test_importing_e2r_imports_next_to_nothing() -> None:
    heavy = "numpy", "pydantic", "pyarrow", "scipy", "click", "torch"
    code = f"import e2r, sys\nprint(*(m for m in {heavy} if m in sys.modules))"
    assert run_python(code).strip() == ""
    assert set(dir(e2r)) == {"Architecture", "Spec", "Usage", "estimate", "evaluate", "run"}
    for name in e2r.__all__:
        assert getattr(e2r, name) is not None


def test_the_estimator_needs_numpy_alone() -> None:
    names = [name for name in modules() if name.startswith("e2r.flops")]
    imports = "\n".join(f"import {name}" for name in names)
    heavy = "pydantic", "pyarrow", "scipy", "rich", "jinja2", "torch", "transformers"
    code = f"{imports}\nimport sys\nprint(*(m for m in {heavy} if m in sys.modules))"
    assert run_python(code).strip() == ""


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.name))
def test_every_file_says_its_one_job_and_stays_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith('"""'), f"{path} must open with a docstring"
    assert len(text.splitlines()) <= 350, f"{path} is too long for one job"
