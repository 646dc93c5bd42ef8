"""docs/reproduction.md is what the command writes today, and its figures hold what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import e2r
from e2r.cli import main
from e2r.errors import UsageError
from e2r.metrics.reports import reproduction
from e2r.metrics.reports.pictures import measured

DOCS = Path(e2r.__file__).parent.parent / "docs"
FIGURES = ("estimated-measured", "latency-flops", "flops-prompt")


@pytest.fixture(scope="module")
def found(request: pytest.FixtureRequest) -> reproduction.Found:
    return reproduction.find(request.getfixturevalue("shared_data"))


def words(svg: str) -> set[str]:
    """Texts of an SVG by matplotlib, which names them in comments beside their outlines."""
    return set(re.findall(r"<!-- (.*?) -->", svg))


def test_the_committed_report_is_what_the_command_writes(found, tmp_path: Path) -> None:
    written = reproduction.write(found, tmp_path / "docs" / "reproduction.md")
    committed = {path.relative_to(tmp_path / "docs") for path in written}
    assert written[0].read_bytes() == (DOCS / "reproduction.md").read_bytes()
    for path in committed:
        assert (DOCS / path).is_file()
    for name in FIGURES:
        fresh, kept = (
            words((folder / "images" / "reproduction" / f"{name}.svg").read_text())
            for folder in (tmp_path / "docs", DOCS)
        )
        assert fresh == kept
        assert "Qwen2.5-7B-Instruct" in " ".join(fresh)


def test_figures_are_small_and_the_same_each_time(found, tmp_path: Path) -> None:
    one, two = (
        measured.write(found.files, found.agreements, tmp_path / name) for name in ("one", "two")
    )
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    assert all(path.stat().st_size < 200_000 for path in one)


def test_the_report_tells_the_correlations_and_repeats_no_printed_figure(found) -> None:
    report = reproduction.report(found)
    for entry in found.agreements:
        assert f"| {entry.model} | {entry.seconds_r:.3f} |" in report
    assert "72.67" not in report


def test_on_the_command_line_both_tables_are_printed_cell_by_cell(shared_data, capsys) -> None:
    with pytest.raises(SystemExit) as left:
        main(["reproduce", "paper", "--data", str(shared_data)])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert "Table 2" in out
    assert "Table 3" in out
    [line] = [line for line in out.splitlines() if " 72.67 " in line]
    assert re.search(r"0\.009 +0\.00958c +72\.67 +68\.2598~ +111\.1 +104\.3728~", line)


def test_a_place_that_cannot_be_written_is_refused(found, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        reproduction.write(found, tmp_path / "file" / "report.md")
