"""A published ranking → a priced row: its quality judged, its calls replayed, logged or meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from e2r.borders.reading import sha256_of
from e2r.data.collection import Collection, judgments_sha256
from e2r.data.files.trec import judged_order, read_run
from e2r.data.mended import Mended
from e2r.errors import DataError, UsageError
from e2r.flops.architecture import Architecture
from e2r.forecast.method import simulate
from e2r.forecast.published import replayed
from e2r.metrics.runs.priced import scores_of_ranking
from e2r.metrics.runs.usages import read_usages
from e2r.records.priced import Known, Origin, Priced, PricedDataset
from e2r.records.spec import Spec

MEASURES = "nDCG@10 nDCG@20 RR(rel=2)@10 AP(rel=2)@100 R(rel=2)@100 P(rel=2)@10"
"""What a row holds unless others are asked for: the ranking is not kept, so none can be added."""
_IDLE_TOP = 10
_CALLS_TOLERANCE = 0.01
_IDLE_SHARE = 0.9


@dataclass(frozen=True)
class Means:
    """Mean counts a query as authors print them: calls, prompt tokens and new tokens.

    `decoder_prompt` are the decoder's tokens of one call before anything new, for encoder–decoders.
    """

    calls: float
    prompt: float
    generated: float
    decoder_prompt: int = 0

    @classmethod
    def parse(cls, words: Iterable[str]) -> Means:
        """From calls=…, prompt=…, generated=… and decoder_prompt=…. Raises UsageError."""
        given: dict[str, float] = {}
        for word in words:
            name, equals, value = word.partition("=")
            if name not in ("calls", "prompt", "generated", "decoder_prompt") or not equals:
                raise UsageError(
                    f"--means {word!r}: write calls=N prompt=N generated=N, means a query, and for "
                    "encoder-decoders decoder_prompt=N, tokens a call"
                )
            try:
                given[name] = float(value)
            except ValueError:
                raise UsageError(f"--means {word!r}: {value!r} is no number") from None
        if missing := {"calls", "prompt", "generated"} - given.keys():
            raise UsageError(f"--means lacks {', '.join(sorted(missing))}")
        if not (0 < given["calls"] < 1e7 and all(0 <= value < 1e12 for value in given.values())):
            raise UsageError("--means are counts: calls above 0, the others at least 0")
        start = int(given.pop("decoder_prompt", 0))
        return cls(**given, decoder_prompt=start)


def price_ranking(
    spec: Spec,
    collection: Collection,
    ranking: Path,
    *,
    source: str,
    licence: str | None = None,
    calls: Path | None = None,
    means: Means | None = None,
    measures: str = MEASURES,
) -> tuple[Priced, list[tuple[str, tuple[int, ...], int]]]:
    """A row of a TREC run that others made, and its calls, equal ones once.

    `spec` says what made it: candidates, method with its parameters, template, tokenizer and the
    model's name. Calls are replayed from the ranking unless `calls` (a usage CSV) or `means` tell
    of them. Raises UsageError for a method whose calls a ranking does not tell, DataError for a
    ranking that is not of these candidates or cannot come from this method.
    """
    if collection.judgments is None:
        raise UsageError("a row needs its quality: pass the judgments by --qrels")
    architecture = Architecture.load(spec.model.source)
    qids = [topic.query.qid for topic in collection.topics]
    known: Known
    prompt: Mapping[str, str] = {}
    if means is not None:
        known, rows = "means", _meant(means, qids)
    elif calls is not None:
        known, rows = "logged", _logged(calls, qids)
    else:
        told = replayed(spec, collection, architecture, ranking)
        known, rows, prompt = told.known, list(told.rows), told.prompt
    scores = scores_of_ranking(ranking, qids, collection.judgments, measures)
    row = Priced(
        known=known,
        origin=Origin(source=source, file=ranking.name, sha256=sha256_of(ranking), licence=licence),
        dataset=PricedDataset(
            id=collection.name,
            first_stage=collection.first_stage,
            depth=spec.data.depth,
            candidates_sha256=collection.candidates_sha256,
            judgments_sha256=judgments_sha256(collection.judgments),
            documents=collection.documents,
        ),
        model=spec.model.source,
        architecture=dict(architecture.config),
        method=spec.method.name,
        parameters=dict(spec.method.parameters),
        template=next(iter(prompt), None),
        template_sha256=next(iter(prompt.values()), None),
        tokenizer=_tokenizer(spec) if known in ("replayed", "estimate") else None,
        mended=isinstance(collection.topics, Mended),
        qids=qids,
        measures={name: dict(values) for name, values in scores.values.items()},
        missing=list(scores.missing),
        idle=_idle(collection, ranking),
        made=datetime.now(UTC).date().isoformat(),
        e2r=metadata.version("e2r"),
        files={},
    )
    counted = Counter(rows)
    return row, [(qid, counts, several) for (qid, counts), several in counted.items()]


def _idle(collection: Collection, ranking: Path) -> Literal["first stage", "one order"] | None:
    """The order of nine queries of ten, where it follows from where their passages stood before.

    A model that answers every call alike leaves one: the first stage's, or what a sort makes of it.
    Raises DataError where the ranking holds what was no candidate.
    """
    run = read_run(ranking)
    orders: Counter[tuple[tuple[int, ...], bool]] = Counter()
    for topic in collection.topics:
        places = {candidate.docid: place for place, candidate in enumerate(topic.candidates)}
        # Below what was reranked many programs append the rest of the first stage.
        ranked = judged_order(run[topic.query.qid])[: len(places)]
        if foreign := [docid for docid in ranked if docid not in places]:
            raise DataError(
                f"{ranking}: ranks {foreign[0]}, which is no candidate of query {topic.query.qid}; "
                "pass the candidates that were reranked, to their depth"
            )
        halfway = len(places) / 2
        found = [places[docid] for docid in ranked[:_IDLE_TOP]]
        # Of the last places, counted from the end: queries have not all as many candidates.
        signed = tuple(at if at < halfway else at - len(places) for at in found)
        orders[signed, found == list(range(len(found)))] += 1
    (_, kept), queries = orders.most_common(1)[0]
    if queries < _IDLE_SHARE * orders.total():
        return None
    return "first stage" if kept else "one order"


def _tokenizer(spec: Spec) -> str | None:
    word = spec.model.tokenizer
    if word is None or not Path(word).is_file():
        return word
    return f"{Path(word).name} sha256:{sha256_of(Path(word))}"


Row = tuple[str, tuple[int, ...]]


def _logged(path: Path, qids: list[str]) -> list[Row]:
    """The calls of a usage CSV, which must be of just these queries."""
    usages = read_usages(path)
    own = set(qids)
    if missing := sorted(own - set(usages.qids)):
        raise DataError(f"{path}: holds no call of query {missing[0]}")
    counts: Mapping[str, Any] = usages.counts
    columns = [
        counts[name]
        for name in (
            "prompt_tokens",
            "cached_tokens",
            "decoder_prompt_tokens",
            "generated_tokens",
            "head_positions",
        )
    ]
    rows = zip(usages.qids, zip(*columns, strict=True), strict=True)
    return [(qid, counts) for qid, counts in rows if qid in own]


def unlike(spec: Spec, collection: Collection, means: Means) -> str | None:
    """Where a method makes as many calls whatever is answered: how means differ from that, or None.

    Other methods make calls by their answers, of which means say nothing.
    """
    made = Fraction(0)
    given = tuple(sorted(spec.method.parameters.items()))
    depths = [len(topic.candidates) for topic in collection.topics]
    for depth in depths:
        counts = [
            sum(simulate(spec.method.name, depth, spec.method.k, given, answers)[0].values())
            for answers in ("random", "first-stage")
        ]
        if counts[0] != counts[1]:
            return None
        made += counts[0]
    expected = float(made / len(depths))
    if abs(means.calls - expected) <= _CALLS_TOLERANCE * expected:
        return None
    told = ", ".join(f"{name} {value}" for name, value in given) or "no parameters"
    return (
        f"--means calls={means.calls:g}, but {spec.method.name} with {told} makes {expected:g} a "
        "query over these candidates; are the parameters those that were used?"
    )


def _meant(means: Means, qids: list[str]) -> list[Row]:
    """As many calls of the mean length, spread over the queries as evenly as whole calls can be."""
    total = max(round(means.calls * len(qids)), 1)
    prompt = round(means.prompt / means.calls)
    generated = round(means.generated / means.calls)
    counts = (prompt, 0, means.decoder_prompt, generated, 1)
    return [(qids[call * len(qids) // total], counts) for call in range(total)]
