"""The walls between the rooms stand: who may import whom, and where torch lives."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import e2r

PACKAGE = Path(e2r.__file__).parent
ROOMS = {
    "errors": set[str](),
    "borders": {"errors"},
    "hub": {"errors"},
    "flops": {"errors", "borders", "hub"},
    "ranking": {"errors", "borders"},
    "data": {"errors", "borders", "hub"},
    "money": {"errors", "borders"},
    "prompts": {"errors", "borders", "ranking"},
    "records": {"errors", "borders", "data"},
    "models": {"errors", "borders", "flops", "hub", "ranking", "data", "prompts", "records"},
    "engines": {
        "errors",
        "borders",
        "flops",
        "ranking",
        "data",
        "prompts",
        "records",
        "models",
        "money",
    },
    "forecast": {
        "errors",
        "borders",
        "flops",
        "ranking",
        "data",
        "prompts",
        "records",
        "models",
        "engines",
        "money",
    },
    "doctor": {"errors", "flops", "hub", "data", "records"},
    "runner": {
        "errors",
        "borders",
        "ranking",
        "data",
        "prompts",
        "records",
        "models",
        "engines",
        "money",
    },
    "meter": {"errors", "borders", "flops"},
    "metrics": {"errors", "borders", "flops", "ranking", "data", "records", "forecast", "money"},
    "validation": {
        "errors",
        "borders",
        "data",
        "engines",
        "metrics",
        "records",
        "site",
    },
    "site": {
        "errors",
        "borders",
        "flops",
        "ranking",
        "data",
        "records",
        "forecast",
        "metrics",
        "money",
    },
}
# Of forecast, the dry run and the measuring of a machine alone stand on what a run stands on: a
# forecast needs lengths, no model.
FROM_LENGTHS_ROOMS = {"errors", "borders", "flops", "ranking", "money", "forecast"}
FROM_LENGTHS_ALONE = {
    "lengths",
    "method",
    "budget",
    "demand",
    "clock",
    "calibration",
    "pipeline",
    "capacity",
    "money",
}
# Inside the larger rooms: a folder, and the folders beside it that it may import.
ALCOVES = {
    "models": {
        "network": set[str](),
        "server": {"network"},  # Tokens are counted by the tokenizer that a network would use.
        "simulated": set[str](),
    },
    "metrics": {
        "statistics": set[str](),
        "runs": {"effectiveness"},
        "reports": {"statistics", "row", "groups", "cost", "evaluation", "contrast", "findings"},
    },
    "data": {
        "files": {"collection", "findings", "progress"},
        "bm25": {"files", "cache", "collection"},
    },
}
SHARED_BY_ANSWERERS = {"answerer", "prompted", "encoding", "counting", "reuse", "sampling"}
RAY_LIVES_IN = {"e2r.engines.ray", "e2r.engines.cluster"}
TORCH_LIVES_IN = "e2r.models.network.transformers"
TORCH_LIVES_BELOW = {
    f"e2r.models.network.{name}"
    for name in (
        "attention",
        "checkpoint",
        "memory",
        "onednn",
        "passes",
        "peaks",
        "prefixes",
        "rows",
        "short_attention",
        "thinking",
    )
}


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {dotted(path): path for path in PACKAGE.rglob("*.py")}


def imports(path: Path) -> set[str]:
    """The files of e2r that a file imports, anywhere in it and under TYPE_CHECKING too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in FILES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name in FILES}


def imported_rooms(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if "." in name}


def test_no_file_imports_itself_by_a_circle() -> None:
    graph = {name: imports(path) - {name} for name, path in FILES.items()}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))
    assert len(order) == len(FILES) > 200


@pytest.mark.parametrize(
    ("room", "alcove"), [(room, name) for room, names in ALCOVES.items() for name in names]
)
def test_an_alcove_imports_only_what_it_may_of_its_own_room(room: str, alcove: str) -> None:
    allowed = ALCOVES[room][alcove] | (SHARED_BY_ANSWERERS if room == "models" else set())
    for path in (PACKAGE / room / alcove).rglob("*.py"):
        own = {name.split(".")[2] for name in imports(path) if name.startswith(f"e2r.{room}.")}
        foreign = own - allowed - {alcove}
        assert not foreign, f"{path.relative_to(PACKAGE)} imports {sorted(foreign)}"


def test_a_forecast_from_lengths_stands_on_flops_and_ranking_alone() -> None:
    for name in FROM_LENGTHS_ALONE:
        path = PACKAGE / "forecast" / f"{name}.py"
        assert imported_rooms(path) <= FROM_LENGTHS_ROOMS, name
        assert "e2r.forecast.dry_run" not in imports(path)


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
    for name, path in FILES.items():
        allowed = name in {TORCH_LIVES_IN, *TORCH_LIVES_BELOW}
        assert allowed or not imports(path) & TORCH_LIVES_BELOW, path
    own = {TORCH_LIVES_IN, *TORCH_LIVES_BELOW, *RAY_LIVES_IN}
    names = [name for name in FILES if name not in {*own, "e2r.__main__"}]
    lines = "\n".join(f"import {name}" for name in names)
    loaded = run_python(
        f"{lines}\nimport sys\n"
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
    assert set(dir(e2r)) == set(e2r.__all__)
    for name in e2r.__all__:
        assert getattr(e2r, name) is not None


def test_the_estimator_needs_numpy_alone() -> None:
    names = [name for name in FILES if name.startswith("e2r.flops")]
    lines = "\n".join(f"import {name}" for name in names)
    heavy = "pydantic", "pyarrow", "scipy", "rich", "jinja2", "torch", "transformers"
    code = f"{lines}\nimport sys\nprint(*(m for m in {heavy} if m in sys.modules))"
    assert run_python(code).strip() == ""


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.name))
def test_every_file_says_its_one_job_and_stays_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith('"""'), f"{path} must open with a docstring"
    assert len(text.splitlines()) <= 350, f"{path} is too long for one job"
