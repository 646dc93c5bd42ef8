"""Reranks a collection: the one place where plans, prompts, models and records meet."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from e2r.cascade import (
    Reranked,
    Stage,
    method_facts,
    name_of,
    parameters_of,
    prompts_of,
    rerank,
    stages_of,
)
from e2r.data import sources
from e2r.data.collection import CandidateList, Collection
from e2r.errors import E2RError, UsageError
from e2r.models import open_answerer
from e2r.models.answerer import Answered, Answerer, Question
from e2r.prompts.reading import READINGS, reading
from e2r.prompts.request import Reply
from e2r.ranking.plan import Duel, Plan, Score, drive, together
from e2r.records.environment import code_version, environment
from e2r.records.folder import QueryRecord, RunFolder
from e2r.records.ir_metadata import sidecar
from e2r.records.ledger import Call, encode_answer
from e2r.records.manifest import DatasetRecord, Manifest, ModelRecord, Session
from e2r.records.spec import Spec, changed, identity


class Progress(Protocol):
    """Is told what happens while a run is under way."""

    def started(self, folder: Path, model: ModelRecord, queries: int, finished: int) -> None: ...

    def note(self, text: str) -> None: ...

    def answered(self, replies: Sequence[Reply]) -> None: ...

    def query_finished(self, record: QueryRecord) -> None: ...


class Silent:
    """Progress that tells nobody."""

    def started(self, folder: Path, model: ModelRecord, queries: int, finished: int) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def answered(self, replies: Sequence[Reply]) -> None:
        pass

    def query_finished(self, record: QueryRecord) -> None:
        pass


def run(
    spec: Spec,
    runs: Path = Path("runs"),
    *,
    resume: bool = False,
    progress: Progress | None = None,
    command: Sequence[str] = (),
) -> RunFolder:
    """Carry out a spec and return its folder, whose manifest says whether every query finished.

    With `resume`, an interrupted run goes on and a complete one is returned as it is. Raises
    UsageError where the run exists already (without `resume`) or differs from what is asked,
    DataError and MissingError for data and models that are not as they should be.
    """
    progress = progress or Silent()
    stages = stages_of(spec)
    method = name_of(stages)
    collection = load_collection(spec)
    for text in collection.notes:
        progress.note(text)
    answerer = open_answerer(spec, collection.judgments)
    model = answerer.record()
    served = model.server.notes if model.server else []
    for text in served:
        progress.note(text)
    prompts = prompts_of(spec)
    facts = _identity(spec, collection, model, stages, prompts)
    name = f"{_slug(collection.name)}/{_slug(model.name)}/{method}--{identity(facts)}"
    folder = RunFolder(runs / name)
    with folder.lock():
        finished: dict[str, QueryRecord] = {}
        earlier: list[Session] = []
        if folder.exists:
            before = folder.manifest()
            if not resume:
                raise UsageError(
                    f"{folder.path}: this run exists already and is {before.status}; pass "
                    "--resume to go on with it, or remove the folder to run it again"
                )
            if before.identity != facts:
                raise UsageError(
                    f"{folder.path}: holds another run; {changed(before.identity, facts)}"
                )
            if before.status == "complete":
                folder.verify_files()
                progress.started(folder.path, model, len(collection.topics), before.dataset.queries)
                return folder
            finished = folder.reopen()
            earlier = [*before.earlier, before.session()]
        version = code_version()
        manifest = Manifest(
            status="started",
            run=name,
            method=method,
            method_parameters=parameters_of(stages),
            identity=facts,
            started=_now(),
            e2r=version.version,
            commit=version.commit,
            dirty=version.dirty,
            command=list(command),
            model=model,
            dataset=DatasetRecord(
                id=collection.name,
                revision=collection.revision,
                candidates_sha256=collection.candidates_sha256,
                judgments_sha256=collection.judgments_sha256,
                queries=len(collection.topics),
                depth=spec.data.depth,
                first_stage=collection.first_stage,
                documents=collection.documents,
            ),
            prompts=prompts,
            environment=environment(answerer.device),
            notes=[*collection.notes, *served],
            earlier=earlier,
        )
        folder.start(_complete(spec, model, stages).to_toml(), manifest)
        if len(finished) < len(collection.topics):
            answerer.prepare()
        progress.started(folder.path, model, len(collection.topics), len(finished))
        waiting = (
            _rerank(topic, folder, stages, progress)
            for topic in collection.topics
            if topic.query.qid not in finished
        )
        drive(
            together(waiting, at_least=answerer.batch_size),
            partial(_answer, answerer, progress),
        )
        records = folder.per_query()
        whole = all(record.status == "ok" for record in records)
        manifest = manifest.model_copy(
            update={"status": "complete" if whole else "partial", "finished": _now()}
        )
        folder.metadata_path.write_text(sidecar(manifest), encoding="utf-8")
        folder.finish(manifest, (topic.query.qid for topic in collection.topics))
    return folder


def load_collection(spec: Spec) -> Collection:
    """The collection that a spec names, cut to its depth and limit."""
    data = spec.data
    return sources.load(
        sources.Sources(
            dataset=data.dataset,
            candidates=data.candidates,
            qrels=data.qrels,
            queries=data.queries,
            corpus=data.corpus,
            name=data.name,
            documents=data.documents,
            first_stage=data.first_stage,
        ),
        data.depth,
        data.limit,
    )


def _rerank(
    topic: CandidateList, folder: RunFolder, stages: Sequence[Stage], progress: Progress
) -> Plan[None]:
    """One query, its calls kept and its end committed."""
    calls: list[Call] = []

    def hear(round_: int, question: Question, answer: Answered) -> None:
        calls.append(_call(round_, len(calls), question, answer))

    done: Reranked = yield from rerank(topic, stages, hear)
    record = QueryRecord(
        qid=topic.query.qid,
        status="ok" if done.error is None else "failed",
        calls=len(calls),
        rounds=done.rounds,
        prompt_tokens=sum(call.prompt_tokens for call in calls),
        generated_tokens=sum(call.generated_tokens for call in calls),
        parse_failures=sum(not call.parsed for call in calls),
        truncated=sum(call.truncated > 0 for call in calls),
        seconds=sum(call.seconds for call in calls),
        query_terms=len(topic.query.text.split()),
        ranking=tuple(c.docid for c in done.ranking) if done.error is None else (),
        error=done.error,
    )
    folder.commit(record, calls)
    progress.query_finished(record)


def _answer(
    answerer: Answerer, progress: Progress, questions: Sequence[Question]
) -> list[Answered]:
    """Answer a merged round.

    Scores and duels are asked for query by query: they are floats, whose last bits follow the
    shape of the batch, and a resumed run must find the same batches. Answers of other kinds are
    discrete or asked for one by one, and queries share their batches.
    """

    def batch(question: Question) -> str:
        return question.topic.query.qid if isinstance(question.task, Score | Duel) else ""

    answered: list[Answered] = []
    for _, group in itertools.groupby(questions, batch):
        part = _answer_or_fail(answerer, list(group))
        progress.answered([answer.reply for answer in part if answer.error is None])
        answered.extend(part)
    return answered


def _answer_or_fail(answerer: Answerer, questions: list[Question]) -> list[Answered]:
    """Answers, where a model that breaks on one query's questions fails that query alone."""
    try:
        return answerer.answer(questions)
    except E2RError:
        raise
    except Exception as error:
        if len({question.topic.query.qid for question in questions}) > 1:
            return [
                answer for question in questions for answer in _answer_or_fail(answerer, [question])
            ]
        failed = Answered(None, False, Reply(None), error=f"{type(error).__name__}: {error}")
        return [failed] * len(questions)


def _call(round_: int, number: int, question: Question, answered: Answered) -> Call:
    reply = answered.reply
    docids = tuple(candidate.docid for candidate in question.topic.candidates)
    return Call(
        qid=question.topic.query.qid,
        round=round_,
        call=number,
        task=type(question.task).__name__,
        docids=tuple(docids[i] for i in question.task.candidates),
        prompt_tokens=reply.prompt_tokens,
        cached_tokens=reply.cached_tokens,
        decoder_prompt_tokens=reply.decoder_prompt_tokens,
        generated_tokens=reply.generated_tokens,
        head_positions=reply.head_positions,
        padded_tokens=reply.padded_tokens,
        truncated=answered.truncated,
        answer=encode_answer(answered.answer, docids),
        parsed=answered.parsed,
        seconds=reply.seconds,
        batch_size=reply.batch_size,
    )


def _identity(
    spec: Spec,
    collection: Collection,
    model: ModelRecord,
    stages: Sequence[Stage],
    prompts: dict[str, str],
) -> dict[str, Any]:
    """Everything that shapes an answer."""
    return {
        "candidates": collection.candidates_sha256,
        "depth": spec.data.depth,
        "model": model.name,
        "revision": model.revision,
        "dtype": model.dtype,
        "prompts": prompts,
        "query_tokens": spec.prompt.query_tokens,
        "passage_tokens": spec.prompt.passage_tokens,
        "seed": spec.seed,
        **({"server": model.server.facts()} if model.server else {}),
        **method_facts(spec, stages),
    }


def _complete(spec: Spec, model: ModelRecord, stages: Sequence[Stage]) -> Spec:
    """The spec with what it left to defaults filled in, so that repeating it repeats the run."""
    template = None
    if spec.method.name in READINGS:
        template = reading(spec.method.name, spec.method.fidelity).template
    return spec.model_copy(
        update={
            "prompt": spec.prompt.model_copy(update={"template": spec.prompt.template or template}),
            "model": spec.model.model_copy(update={"revision": model.revision}),
            "method": spec.method.model_copy(
                update={
                    "parameters": stages[0].parameters,
                    "then": tuple(
                        asked.model_copy(update={"parameters": stage.parameters})
                        for asked, stage in zip(spec.method.then, stages[1:], strict=True)
                    ),
                }
            ),
        }
    )


def _slug(name: str) -> str:
    """A name as a folder: no separator, colon or space in it. Raises UsageError for no name."""
    slug = "".join(c if c.isalnum() or c in "._-" else "-" for c in name)
    if not slug.strip("."):
        raise UsageError(f"{name!r} cannot name a folder; give the dataset a name by --name")
    return slug


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
