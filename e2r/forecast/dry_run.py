"""What a run would cost before any weight is loaded: calls, rounds, tokens, by answerer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from e2r.data.collection import Collection
from e2r.engines.cascade import rerank, stages_of
from e2r.errors import DataError, MissingError, UsageError
from e2r.flops.architecture import Architecture
from e2r.flops.estimate import estimate
from e2r.flops.work import Usage
from e2r.forecast.clock import Timed
from e2r.forecast.demand import Demand, demand
from e2r.forecast.lengths import call_counts
from e2r.models import prompts_by_stage
from e2r.models.answerer import Answered, Answerer, Question
from e2r.models.counting import Counter, Counting, TokenCounter
from e2r.models.server.word_tokenizer import WordTokenizer
from e2r.models.simulated.oracle import Oracle
from e2r.models.simulated.random import Random
from e2r.models.simulated.ranking import FinalRanking
from e2r.models.simulated.replay import Replay
from e2r.money.bill import Money, bill, bill_of_means, summed
from e2r.money.prices import Hours, PriceList
from e2r.prompts.request import Reply
from e2r.ranking.plan import drive
from e2r.records.manifest import ModelRecord
from e2r.records.spec import ExecutionSpec, ModelSpec, Spec

LEDGER_BYTES = 150
"""A ledger's bytes a call on disk: 120 to 190 in recorded runs of about a thousand calls."""
COUNTS = (
    "prompt_tokens",
    "cached_tokens",
    "decoder_prompt_tokens",
    "generated_tokens",
    "head_positions",
)


@dataclass(frozen=True)
class DryRun:
    """A method driven by one answerer.

    `counts` hold each call's tokens, one array a name; `qids` are the calls' queries. `rankings`
    are the documents of each query as the method leaves them, and `documents` how many each call
    shows.
    """

    answers: str
    queries: int
    rounds: int
    counts: dict[str, Any]
    qids: tuple[str, ...] = ()
    rankings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    documents: Any = None

    @property
    def calls(self) -> int:
        """Calls of all queries."""
        return len(self.counts["prompt_tokens"])

    @cached_property
    def usage(self) -> Usage:
        """The calls that are computed, as the estimator takes them.

        A call without tokens is an earlier answer given again (--reuse): nothing is computed.
        """
        computed = self.counts["prompt_tokens"] > 0
        counts = {name: values[computed] for name, values in self.counts.items()}
        decoder = counts["decoder_prompt_tokens"]
        return Usage(
            prompt_tokens=counts["prompt_tokens"],
            cached_tokens=counts["cached_tokens"],
            decoder_prompt_tokens=decoder if decoder.any() else None,
            generated_tokens=counts["generated_tokens"],
            head_positions=counts["head_positions"],
        )

    @property
    def computed(self) -> int:
        """How many calls are computed, not answered again."""
        return int((self.counts["prompt_tokens"] > 0).sum())

    def per_query(self, name: str) -> float:
        """The mean of a count over queries."""
        return float(self.counts[name].sum()) / self.queries

    def flops(self, architecture: Architecture, convention: str) -> int:
        """FLOPs of all queries under a convention."""
        return estimate(architecture, self.usage, convention).total if self.computed else 0

    def money(
        self, prices: PriceList, timed: Timed | None = None, *, all_cached: bool = False
    ) -> Money:
        """Money of all queries by a list; hours are those of `timed`, UsageError without it.

        With `all_cached` every prompt token counts as cached: the least that a service with a cache
        of its own could ask.
        """
        if isinstance(prices.terms, Hours) and timed is not None:
            hours = Decimal(repr(float(timed.best.total))) / 3600
            return bill_of_means(prices, (), 0, 0, hours).times(self.queries)
        places = {qid: place for place, qid in enumerate(dict.fromkeys(self.qids))}
        each = bill(
            prices,
            np.array([places[qid] for qid in self.qids], dtype=np.intp),
            len(places),
            self.counts["prompt_tokens"],
            self.counts["prompt_tokens" if all_cached else "cached_tokens"],
            self.counts["generated_tokens"],
            self.documents,
        )
        return summed(each)

    def demand(self, architecture: Architecture) -> Demand:
        """What a query asks of a device, for the clock: the mean over queries."""
        asked = self.usage if self.computed else None
        weights = np.full(self.computed, 1 / self.queries)
        return demand(architecture, asked, weights, self.rounds / self.queries)


def answerer_of(word: str, collection: Collection) -> Answerer:
    """Who answers: oracle, oracle:SEED, first-stage, random, random:SEED, replay:RUN, ranking:FILE.

    Raises UsageError for another word and for an oracle without judgments, DataError for a ranking
    that is not one of these candidates.
    """
    kind, _, rest = word.partition(":")
    if kind == "oracle" and (not rest or rest.isdigit()):
        if collection.judgments is None:
            raise UsageError("the oracle answers from judgments: pass --qrels")
        return Oracle(collection.judgments, int(rest) if rest else None)
    if kind == "first-stage":
        return Oracle({})
    if kind == "random" and (not rest or rest.isdigit()):
        return Random(int(rest or 0))
    if kind == "replay" and rest:
        return Replay(Path(rest))
    if kind == "ranking" and rest:
        ranking = FinalRanking.read(Path(rest))
        ranking.refuse_others(collection.topics)
        return ranking
    raise UsageError(
        f"--answers {word!r}: give oracle, oracle:SEED, first-stage, random:SEED, replay:RUN or "
        "ranking:FILE"
    )


def counter_of(
    model: ModelSpec,
    execution: ExecutionSpec,
    architecture: Architecture | None,
    *,
    closed: bool = False,
) -> tuple[Counter, str]:
    """What counts tokens, and its name: the model's own tokenizer, else words and marks.

    A tokenizer may be one file, ending in .json or .model. Raises MissingError where there is
    neither a tokenizer nor an architecture, unless the model is `closed`: its prompts then count in
    words.
    """
    record = ModelRecord(
        id=model.source, name=model.source, revision=None, dtype=model.dtype, architecture=None
    )
    if model.tokenizer is not None and Path(model.tokenizer).is_file():
        if architecture is None:
            raise MissingError(f"model {model.source}: no architecture is known by that name")
        from e2r.models.network.tokenizer_file import load_tokenizer

        tokenizer = load_tokenizer(Path(model.tokenizer))
        own = TokenCounter(
            record,
            tokenizer,
            encoder_decoder=architecture.mode == "decoder",
            context=architecture.context,
        )
        return own, f"the file {Path(model.tokenizer).name}"
    try:
        from e2r.models.network.transformers import load

        return load(model, execution), "the model's own"
    except (MissingError, ImportError) as error:
        if architecture is None and not closed:
            raise MissingError(
                f"model {model.source}: neither a tokenizer nor an architecture is at hand "
                f"({error})"
            ) from error
    words = TokenCounter(
        record,
        WordTokenizer(),
        encoder_decoder=architecture is not None and architecture.mode == "decoder",
        context=None,
    )
    return words, "words and marks, because the model's own is not here"


def served(model: ModelSpec) -> bool:
    """Whether a server answers for it, whose cache is its own affair."""
    return model.source.partition(":")[0] in ("openai", "rerank")


def counted(model: ModelSpec) -> ModelSpec:
    """The model whose tokens are counted; for one behind a server, its tokenizer or its name."""
    if not served(model):
        return model
    name = model.source.partition(":")[2]
    return ModelSpec(source=model.tokenizer or name, dtype=model.dtype)


def dry_run(spec: Spec, collection: Collection, counter: Counter, answers: str) -> DryRun:
    """Drive a spec's plans over a collection, answered by `answers`, counted by `counter`."""
    stages = stages_of(spec)
    answerer = Counting(
        counter,
        prompts_by_stage(spec),
        spec.prompt,
        answerer_of(answers, collection),
        reuse=spec.execution.reuse,
        thinking=spec.model.thinking,
    )
    replies: list[Reply] = []
    qids: list[str] = []
    shown: list[int] = []

    def hear(round_: int, question: Question, answered: Answered) -> None:
        replies.append(answered.reply)
        qids.append(question.topic.query.qid)
        shown.append(len(question.task.candidates))

    def answer(questions: Sequence[Question]) -> list[Answered]:
        return answerer.answer(questions)

    rounds = 0
    rankings: dict[str, tuple[str, ...]] = {}
    for topic in collection.topics:
        driven = drive(rerank(topic, stages, hear), answer)
        if driven.result.error is not None:
            raise DataError(f"query {topic.query.qid}: {driven.result.error}")
        rounds += driven.rounds
        rankings[topic.query.qid] = tuple(c.docid for c in driven.result.ranking)
    counts = {
        name: np.array([getattr(reply, name) for reply in replies], dtype=np.int64)
        for name in COUNTS
    }
    queries = max(len(collection.topics), 1)
    return DryRun(
        answers, queries, rounds, counts, tuple(qids), rankings, np.array(shown, dtype=np.int64)
    )


def refuse_unfit(spec: Spec, architecture: Architecture) -> None:
    """Raise UsageError where a stage's method asks for what such a model cannot do."""
    for stage in stages_of(spec):
        name = stage.method.prompted_as
        kind = "Attend" if name == "attention.icr" else ""
        try:
            call_counts(architecture.mode, architecture.task, name, kind)
        except UsageError as error:
            raise UsageError(f"{error}; {spec.model.source} is not one") from None


def depends_on_answers(spec: Spec) -> bool:
    """Whether the number of calls does; it does not for methods with an exact call formula."""
    return not all(stage.method.exact for stage in stages_of(spec))
