"""The gate for priced rows: their files, the figures that can be, and their values once more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc

from e2r.borders.figures import MOST_TOKENS
from e2r.data.findings import Hear, Teller, finding_of
from e2r.data.sources import Sources, load_judgments
from e2r.errors import DataError, E2RError
from e2r.metrics.effectiveness import parse_measures
from e2r.metrics.runs.judging import own_judgments
from e2r.metrics.runs.priced import rankings_in, read_priced, refuse_other_values
from e2r.ranking import method as find_method
from e2r.records.priced import CALLS, COUNTED, PRICED, Priced, read_calls


def check_priced(
    path: Path, hear: Hear, qrels: Sequence[str] = (), rankings: Sequence[str] = ()
) -> None:
    """Tell all that is wrong with a folder that `e2r price` wrote.

    It holds its two files and no other, lies under the name that its facts give, prices its model
    as the catalogue does, and its figures can be. With `rankings`, folders of what others
    published, and `qrels`, our own judgments, its values are computed again; without them that is
    a warning: such a row is unverified on a board.
    """
    tell = Teller(path / PRICED, hear)
    try:
        row = Priced.load(path)
        run = read_priced(path)
        table = read_calls(path)
        parse_measures(row.measures)
        find_method(row.method)
    except E2RError as error:
        hear(finding_of(error, path / PRICED))
        return
    for entry in sorted(path.iterdir()):
        if entry.name not in (PRICED, CALLS):
            Teller(entry, hear).error("is no file of a priced row")
    if path.name.rpartition("--")[2] != row.hash8:
        tell.error(f"lies under another name than its facts give, which ends in --{row.hash8}")
    if run.declared.note:
        tell.error(run.declared.note, field="architecture")
    for name in COUNTED:
        most = pc.max(table[name]).as_py() if len(table) else 0
        if most > MOST_TOKENS:
            tell.error(f"holds {most:,} tokens in a call, which no model reads", field=name)
    if len(table) == 0 or pc.min(table["prompt_tokens"]).as_py() < 1:
        tell.error("holds no call, or one without a prompt", field="prompt_tokens")
    for name, values in row.measures.items():
        if not all(0 <= value <= 1 for value in values.values()):
            tell.error(f"{name} is outside of 0 to 1 somewhere", field="measures")
    _check_values(row, tell, qrels, rankings)


def _check_values(row: Priced, tell: Teller, qrels: Sequence[str], rankings: Sequence[str]) -> None:
    every, named = own_judgments(qrels)
    source = named.get(row.dataset.id, every)
    ranking = rankings_in(rankings).get(row.origin.sha256)
    if source is None or ranking is None:
        tell.warning(
            "its values were not computed again (--qrels NAME=FILE --rankings FOLDER), so that it "
            "is unverified on a board"
        )
        return
    try:
        refuse_other_values(row, ranking, load_judgments(Sources(qrels=source)) or {})
    except DataError as error:
        tell.error(str(error), field="measures")
