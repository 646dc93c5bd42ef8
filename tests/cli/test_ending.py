"""The end of a run: what it found where that is cheap to say, and the next command always."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from e2r.cli import ending, main, run
from tests.small_collection import write_collection


def words(tmp_path: Path) -> list[str]:
    """A run over 6 queries, of which one is judged."""
    folder = write_collection(tmp_path / "small", queries=6)
    (folder / "qrels" / "one.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    given = ["run", "--dataset", f"beir:{folder}", "--candidates", str(folder / "first.run")]
    given += ["--qrels", f"beir:{folder}#one", "--model", "random:1", "--depth", "4"]
    given += ["--method", "pointwise.yes_no", "--runs", str(tmp_path / "runs")]
    return given


@pytest.fixture
def told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The last lines of such a run."""
    with pytest.raises(SystemExit) as ended:
        main(words(tmp_path))
    assert not ended.value.code
    return capsys.readouterr().err.splitlines()[-3:]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_that_comes_when_the_run_is_sealed_ends_it_as_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(run, "tell_end", lambda folder: os.kill(os.getpid(), number))
    with pytest.raises(SystemExit) as ended:
        main(words(tmp_path))
    assert ended.value.code == 130


def test_what_was_found_is_said_of_the_judged_queries(told: list[str]) -> None:
    assert "nDCG@10" in told[0]
    assert told[1].startswith("1 queries of 6, those that are judged; 4 calls; ")
    assert told[2].startswith("next: e2r evaluate ")


class TestManyCalls:
    @pytest.fixture(autouse=True)
    def few_are_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ending, "MANY_CALLS", 23)

    def test_more_than_a_run_should_hold_in_memory_are_left_to_evaluate(
        self, told: list[str]
    ) -> None:
        assert told[1].startswith("24 calls: what they found and cost")
        assert told[2].startswith("next: e2r evaluate ")
