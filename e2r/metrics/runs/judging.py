"""Where a run's judgments come from: --qrels, its own spec, or the values that it was left with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any

from e2r.borders.showing import shown
from e2r.data.collection import Judgments, judgments_sha256
from e2r.data.findings import without_words
from e2r.data.sources import Sources, load_judgments
from e2r.errors import DataError, E2RError, UsageError
from e2r.metrics.effectiveness import Scores, score
from e2r.metrics.runs.priced import refuse_other_values, scores_of
from e2r.metrics.runs.recorded import Recorded
from e2r.metrics.runs.result import Result
from e2r.records.priced import Priced
from e2r.records.spec import Spec

_ASK = "pass its judgments by --qrels"


@dataclass(frozen=True)
class Judged:
    """A run's scores, and the judgments' hash where these were at hand.

    `note` is for the user; `ties` says what equal scores change. Scores that are the run's own
    word, because nothing could be computed, are not `verified`.
    """

    scores: Scores
    judgments_sha256: str | None = None
    note: str | None = None
    ties: str | None = None
    verified: bool = True


def _queries(run: Recorded, judgments: Judgments) -> list[str]:
    """The queries of a run, and behind them the judged ones that it has nothing on: they score 0.

    A run that was asked for its first queries alone (--limit) answers for those alone.
    """
    queries = [record.qid for record in run.records]
    spec = run.folder.spec_path
    if spec.is_file() and Spec.load(spec).data.limit is not None:
        return queries
    known = set(queries)
    if known.isdisjoint(judgments):
        return queries
    return [*queries, *(qid for qid in judgments if qid not in known)]


def own_judgments(words: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """The judgments of all runs, if any, and those by the dataset's name: FILE and NAME=FILE.

    The demonstration's come with the package. Raises UsageError for two of one kind.
    """
    every: str | None = None
    named = {"demo": "demo"}
    for word in words:
        name, equals, source = word.partition("=")
        if equals and not Path(word).exists():
            named[name] = source
        elif every is not None:
            raise UsageError(f"--qrels {word}: give one file for all runs, or NAME=FILE for each")
        else:
            every = word
    return every, named


@dataclass(eq=False)
class Judge:
    """Scores runs, reading each set of judgments once; `qrels` overrides what the specs name.

    With `own`, judgments by the dataset's name, no spec is followed at all: a board judges the runs
    of strangers by what it holds itself.
    `rankings` are files that others published, by their hash: priced rows are computed from them
    again. `offered` are further measures; a run goes without those that its judgments do not
    define, or that its result.json does not hold.
    """

    measures: Mapping[str, Any]
    qrels: str | None = None
    own: Mapping[str, str] | None = None
    offered: Mapping[str, Any] = field(default_factory=dict)
    rankings: Mapping[str, Path] = field(default_factory=dict)
    _read: dict[Sources, tuple[Judgments, str] | str] = field(default_factory=dict)

    def judge(self, run: Recorded) -> Judged:
        """Score a run by its judgments, or by its result.json where they are not at hand.

        Calls without a ranking have no scores.
        Raises DataError where neither fits, saying what to pass.
        """
        path, manifest = run.folder.path, run.manifest
        if "ranking" in run.unknown:
            return Judged(Scores({}, (), ()))
        if run.priced is not None:
            try:
                return self._priced(run, run.priced)
            except DataError as error:
                raise DataError(f"{path}: {error}") from None
        own = manifest.dataset.judgments_sha256
        found = self._judgments(run)
        if isinstance(found, tuple):
            judgments, sha256 = found
            foreign = self.own is not None and self.qrels is None and own not in (None, sha256)
            if foreign or own in (None, sha256):
                queries = _queries(run, judgments)
                try:
                    scores = score(self.measures, run.ranking, judgments, queries)
                except DataError as error:
                    raise DataError(f"{path}: {error}") from None
                extended = self._extended(scores, run, judgments)
                note = self._strange(run, judgments, None if foreign else own)
                if foreign:
                    note = note or f"{path}: was made with other judgments than it is judged by"
                return Judged(extended, sha256, note, self._ties(scores, run, judgments))
            reason = "these judgments are not those that the run was made with"
            if self.qrels is not None:
                raise DataError(f"{path}: {self.qrels}: {reason}; pass the right ones by --qrels")
        else:
            reason = found
        try:
            kept = Result.load(run.folder.result_path)
        except DataError as error:
            raise DataError(f"{path}: {reason}; {_ASK} ({error})") from None
        if not kept.fits(manifest, [record.qid for record in run.records]):
            raise DataError(f"{path}: {reason}; {_ASK} (result.json belongs to other files)")
        offered = {name: self.offered[name] for name in self.offered if name in kept.measures}
        held = kept.scores({**self.measures, **offered})
        if held is None:
            raise DataError(
                f"{path}: {reason}; {_ASK} (result.json holds only {', '.join(kept.measures)})"
            )
        said = f"{path}: unverified: {reason}; values are those of its result.json, and not ranked"
        return Judged(held, note=said, verified=False)

    def _priced(self, run: Recorded, row: Priced) -> Judged:
        """The values of a priced row; on a board only those count that its ranking gives again."""
        offered = {name: self.offered[name] for name in self.offered if name in row.measures}
        scores = scores_of(row, {**self.measures, **offered})
        if self.own is None:
            return Judged(scores)
        ranking, found = self.rankings.get(row.origin.sha256), self._judgments(run)
        if ranking is None or not isinstance(found, tuple):
            why = "its ranking is not at hand" if ranking is None else found
            said = f"{run.folder.path}: unverified: {why}; its values are its own word, not ranked"
            return Judged(scores, note=said, verified=False)
        refuse_other_values(row, ranking, found[0])
        return Judged(scores, found[1])

    def _ties(self, scores: Scores, run: Recorded, judgments: Judgments) -> str | None:
        """Where documents of equal score stand otherwise in the file: what its order would give."""
        if not run.listed:
            return None
        listed = {
            qid: [(docid, float(-place)) for place, docid in enumerate(docids)]
            for qid, docids in run.listed.items()
        }
        other = score(
            self.measures, {**run.ranking, **listed}, judgments, _queries(run, judgments)
        ).values
        changed = []
        for name, by_query in other.items():
            here, there = scores.values[name], by_query
            if here != there:
                means = mean(there.values()), mean(here.values())
                changed.append("{} {:.4f} instead of {:.4f}".format(name, *means))
        if not changed:
            return None
        return (
            f"{len(listed)} queries hold equal scores (as 32-bit floats), which trec_eval ranks by "
            f"document id; the file's own order would give {', '.join(changed)}"
        )

    def _extended(self, scores: Scores, run: Recorded, judgments: Judgments) -> Scores:
        """The scores, and those of the offered measures that these judgments define."""
        if not self.offered:
            return scores
        values = dict(scores.values)
        queries = _queries(run, judgments)
        try:
            values |= score(self.offered, run.ranking, judgments, queries).values
        except DataError:
            for name, measure in self.offered.items():
                with suppress(DataError):
                    values |= score({name: measure}, run.ranking, judgments, queries).values
        return replace(scores, values=values)

    def _strange(self, run: Recorded, judgments: Judgments, own: str | None) -> str | None:
        """What to say where no ranked document is judged, as happens with another collection's.

        Judgments that the run was made with are its own; of a run made elsewhere nobody knows.
        """
        if own is not None:
            return None
        ranked = run.ranking.items()
        if any(docid in judgments.get(qid, {}) for qid, row in ranked for docid, _ in row):
            return None
        said = (
            f"{run.folder.path}: none of its ranked documents is judged; are these the judgments "
            "of another collection?"
        )
        if run.unknown:
            raise DataError(f"{said} {_ASK}")
        return said

    def _judgments(self, run: Recorded) -> tuple[Judgments, str] | str:
        """Judgments and their hash, or why there are none."""
        sources = Sources(qrels=self.qrels)
        if self.qrels is None and self.own is not None:
            name = run.manifest.dataset.id
            if name not in self.own:
                return f"there are no judgments of {shown(name)} here (--qrels {shown(name)}=FILE)"
            word = self.own[name]
            sources = Sources(dataset=word) if word == "demo" else Sources(qrels=word)
        elif self.qrels is None:
            data = Spec.load(run.folder.spec_path).data
            sources = Sources(dataset=data.dataset, qrels=data.qrels)
        if sources not in self._read:
            self._read[sources] = self._load(sources)
        return self._read[sources]

    def _load(self, sources: Sources) -> tuple[Judgments, str] | str:
        try:
            judgments = load_judgments(sources)
        except (E2RError, OSError) as error:
            if self.qrels is not None or self.own is not None:
                raise error if isinstance(error, E2RError) else UsageError(str(error)) from error
            return f"its judgments are not at hand ({without_words(error)})"
        if judgments is None:
            return "it names no judgments"
        return judgments, judgments_sha256(judgments)
