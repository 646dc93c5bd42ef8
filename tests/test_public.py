"""What `import e2r` offers: names that work, short on the screen, tables in a notebook."""

from __future__ import annotations

from pathlib import Path

import pytest

import e2r
from e2r.errors import UsageError
from tests.metrics.recorded_runs import Asked, record


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    record(tmp_path, Asked(hash8="00000001"))
    record(tmp_path, Asked(hash8="00000002", method="pointwise.qlm"))
    return tmp_path / "runs"


def test_every_public_name_is_there_and_documented() -> None:
    assert set(dir(e2r)) == set(e2r.__all__)
    for name in e2r.__all__:
        assert getattr(e2r, name).__doc__, name


def test_estimate_takes_names_and_fields() -> None:
    named = e2r.estimate("Qwen/Qwen3-8B", prompt_tokens=400)
    spelled = e2r.estimate(
        e2r.Architecture.load("Qwen/Qwen3-8B"), e2r.Usage(prompt_tokens=400), convention="ideal"
    )
    assert named.flops == spelled.flops
    with pytest.raises(UsageError, match="did you mean prompt_tokens"):
        e2r.estimate("Qwen/Qwen3-8B", prompt_token=400)
    with pytest.raises(UsageError, match="not both"):
        e2r.estimate("Qwen/Qwen3-8B", e2r.Usage(prompt_tokens=4), prompt_tokens=400)
    with pytest.raises(UsageError, match="no tokens"):
        e2r.estimate("Qwen/Qwen3-8B")


def test_reports_are_a_line_on_the_screen_and_a_table_in_a_notebook(runs: Path) -> None:
    quiet = {"note": [].append}
    table = e2r.evaluate([runs], **quiet)
    shown = [
        table,
        table.rows[0],
        e2r.compare([runs], **quiet),
        e2r.frontier([runs], **quiet),
        e2r.estimate("Qwen/Qwen3-8B", prompt_tokens=400),
        e2r.Architecture.load("Qwen/Qwen3-8B"),
        *e2r.validate(runs),
    ]
    for found in shown:
        assert len(repr(found)) < 300, repr(found)
        assert "\n" not in repr(found)
    for found in shown[:1] + shown[2:5]:
        html = found._repr_html_()
        assert html.count("<table>") == html.count("</table>") >= 1
    assert "pointwise.qlm" in table._repr_html_()


def test_what_a_run_is_called_stays_text_in_a_notebook(tmp_path: Path) -> None:
    record(tmp_path, Asked(model="<script>x</script>"))
    html = e2r.evaluate([tmp_path / "runs"], note=[].append)._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_validate_and_leaderboard_are_what_the_commands_do(runs: Path, tmp_path: Path) -> None:
    assert [one.kind for one in e2r.validate([runs])].count("run folder") == 2
    qrels = str(tmp_path / "small.qrels")
    page = e2r.leaderboard(runs, tmp_path / "site", qrels=qrels, paper=False, note=[].append)
    assert page.is_file()


def test_a_closed_model_is_planned_by_words_and_has_no_price() -> None:
    tables = {
        "data": {"dataset": "demo", "depth": 3, "limit": 2},
        "model": {"source": "openai:nobody-knows"},
        "method": {"name": "pointwise.yes_no"},
        "execution": {"server": {"base_url": "http://127.0.0.1:9/v1"}},
    }
    planned = e2r.plan(e2r.Spec.of(tables, "the test"))
    assert planned.calls == 3
    assert planned.petaflops is None
    assert "words" in planned.tokenizer
