"""Reranks a collection: the one place where plans, prompts, models and records meet."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from e2r.data.collection import CandidateList, Collection, Topics
from e2r.engines import name_of_engine, open_engine
from e2r.engines.cascade import (
    Stage,
    method_facts,
    name_of,
    parameters_of,
    prompts_of,
    stages_of,
)
from e2r.engines.engine import Engine, Finished, Noted, Replied
from e2r.engines.progress import Progress, Silent
from e2r.engines.purse import Purse
from e2r.engines.unread import Unread
from e2r.engines.verification import summary, verify
from e2r.errors import UsageError
from e2r.models import open_answerer
from e2r.money.prices import PriceList
from e2r.prompts.reading import asks, reading
from e2r.records.collection import load_collection
from e2r.records.commits import Commits, FailureLimit
from e2r.records.environment import code_version, environment
from e2r.records.folder import RunFolder
from e2r.records.ir_metadata import sidecar
from e2r.records.manifest import (
    Again,
    DatasetRecord,
    LatencyMode,
    Manifest,
    ModelRecord,
    RetrievalRecord,
    Session,
    VerifiedCall,
)
from e2r.records.resources import Meter
from e2r.records.spec import Spec, changed, identity


def run(
    spec: Spec,
    runs: Path = Path("runs"),
    *,
    resume: bool = False,
    continued: Path | None = None,
    max_failures: int | None = None,
    progress: Progress | None = None,
    command: Sequence[str] = (),
    prices: PriceList | None = None,
    most: Decimal | None = None,
) -> RunFolder:
    """Carry out a spec and return its folder, whose manifest says whether every query finished.

    With `resume`, an interrupted run goes on and a complete one is returned as it is; `continued`
    is the folder that must be gone on with. Raises UsageError where the run exists already
    (without `resume`) or differs from what is asked, DataError and MissingError for data and
    models that are not as they should be, IncompleteError where the disk is full, `max_failures`
    queries have failed or more than `most` would be spent by `prices`: `resume` goes on.
    """
    progress = progress or Silent()
    stages = stages_of(spec)
    method = name_of(stages)
    collection = load_collection(spec, progress.note, progress.working)
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        progress.note(text)

    for text in collection.notes:
        note(text)
    answerer = open_answerer(spec, collection.judgments, note, progress.waiting)
    used_here = spec.execution.ray is None and spec.execution.server is None
    if spec.execution.energy and not used_here:
        raise UsageError(
            "--energy reads this machine's counters, and the work is done by a server or a cluster"
        )
    purse = None
    if prices is not None:
        if most is not None and spec.execution.ray is not None:
            raise UsageError("--most is for work that this process sends: drop --engine ray")
        answerer = purse = Purse(answerer, prices, most, progress.paid)
    elif most is not None:
        raise UsageError("--most needs a price list: --price in=0.15,out=0.60")
    engine = open_engine(spec, answerer, collection.judgments)
    mode: LatencyMode = "one_query_at_a_time" if spec.execution.latency else "batched"
    model = answerer.record()
    for text in model.server.notes if model.server else []:
        note(text)
    prompts = prompts_of(spec)
    facts = _identity(spec, collection, model, stages, prompts)
    name = f"{_slug(collection.name)}/{_slug(model.name)}/{method}--{identity(facts)}"
    folder = RunFolder(runs / name, root=runs)
    if continued is not None and continued.resolve() != folder.path.resolve():
        before = RunFolder(continued).manifest()
        difference = changed({**before.identity, "run": before.run}, {**facts, "run": name})
        raise UsageError(
            f"{continued}: cannot go on, for what is asked is not what was begun; {difference}; "
            "restore the spec and the files it names, or run it anew without --resume"
        )
    with folder.lock(), folder.interrupted_by_disk(len(collection.topics)):
        finished: dict[str, int] = {}
        faulty: dict[str, str] = {}
        earlier: list[Session] = []
        again = None if model.server is None else Again()
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
            if before.latency_mode != mode:
                raise UsageError(
                    f"{folder.path}: was begun {before.latency_mode.replace('_', ' ')}, and "
                    "seconds of two modes cannot be mixed; go on the same way (--latency or not)"
                )
            if before.status == "complete":
                folder.verify_files()
                folder.parts.remove()
                progress.started(folder.path, model, len(collection.topics), before.dataset.queries)
                return folder
            if found := model.differs_from(before.model):
                note(
                    "the server answers its trial otherwise than when the run was begun "
                    f"({found}): is it the same model in the same precision?"
                )
            finished, faulty = folder.finished(progress.working)
            if faulty:
                note(f"{len(faulty)} queries are asked again: {next(iter(faulty.values()))}")
            earlier, again = [*before.earlier, before.session()], before.again or again
            if purse is not None:
                purse.go_on(before)
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
                retrieval=_retrieval(collection),
            ),
            prompts=prompts,
            environment=environment(answerer.device),
            engine=name_of_engine(spec),
            latency_mode=mode,
            notes=notes,
            earlier=earlier,
            prices=None if purse is None else purse.facts(),
        )
        left = len(collection.topics) - len(finished)
        with engine:
            if left:
                engine.prepare(left)
            meter = Meter(energy=spec.execution.energy)
            asked = _complete(spec, collection, model, stages)
            folder.start(asked.to_toml(), manifest, finished, faulty)
            progress.started(folder.path, model, len(collection.topics), len(finished))
            unread = Unread([stage.method.name for stage in stages], prompts)
            queries = len(collection.topics)
            limit = FailureLimit(folder, max_failures, queries, progress.query_finished)
            order: list[str] = []
            waiting = _waiting(collection.topics, finished, order)
            try:
                with Commits(folder, limit.count, alone=spec.execution.latency) as commits:
                    for event in engine.rerank(waiting) if left else ():
                        match event:
                            case Finished(record, calls):
                                commits.add(record, calls)
                            case Replied(replies):
                                progress.answered(replies)
                                again = again and again.heard(replies, event.failed)
                                if said := unread.hear(event):
                                    note(said)
                            case Noted(text):
                                note(text)
                used = meter.stop(left)
                if spec.execution.energy and used.joules is None:
                    note(
                        "this machine has no counter of joules that can be read: no energy is told"
                    )
                verified = _verified(spec, engine, model, note)
            finally:
                update = {"notes": notes, "workers": engine.workers(), "again": again}
                if purse is not None:
                    update["prices"] = purse.facts()
                manifest = manifest.model_copy(update=update)
                # Where this cannot be written, what has stopped the run says more.
                with suppress(OSError, UsageError):
                    folder.write_manifest(manifest)
        manifest = manifest.model_copy(
            update={
                "status": "partial" if limit.failed else "complete",
                "finished": _now(),
                "notes": notes,
                "verification": verified,
                # Of a cluster or a server nobody here knows what was used.
                "resources": used if used_here else None,
            }
        )
        folder.write_metadata(sidecar(manifest))
        if len(order) < len(collection.topics):
            order = [topic.query.qid for topic in collection.topics]
        folder.finish(manifest, order, progress.working)
    return folder


def _waiting(topics: Topics, finished: Container[str], order: list[str]) -> Iterator[CandidateList]:
    """The queries that have not finished; `order` gets all, so that they are read once."""
    for topic in topics:
        order.append(topic.query.qid)
        if topic.query.qid not in finished:
            yield topic


def _retrieval(collection: Collection) -> RetrievalRecord | None:
    found = collection.retrieval
    return None if found is None else RetrievalRecord(**asdict(found))


def _verified(
    spec: Spec, engine: Engine, model: ModelRecord, note: Callable[[str], None]
) -> list[VerifiedCall]:
    """Sampled calls counted by PyTorch and by the estimator, where the spec asks for that."""
    verified = verify(engine.counted(), model.architecture or {})
    if verified:
        note(summary(verified))
    if len(verified) < spec.execution.verify_flops:
        note(
            f"{len(verified)} calls were counted by PyTorch of {spec.execution.verify_flops} asked "
            "for: no more were sampled"
        )
    return verified


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
        **({"thinking": model.thinking} if model.thinking else {}),
        **({"server": model.server.facts()} if model.server else {}),
        **method_facts(spec, stages),
        # What is off by default is named where it is on, so that older runs keep their names.
        **({"trust_remote_code": True} if spec.model.trust_remote_code else {}),
        **({"reuse": True} if spec.execution.reuse else {}),
    }


def _complete(
    spec: Spec, collection: Collection, model: ModelRecord, stages: Sequence[Stage]
) -> Spec:
    """The spec with what it left to defaults filled in, so that repeating it repeats the run."""
    template = None
    if asks(spec.method.name):
        template = reading(spec.method.name, spec.method.fidelity).template
    found = collection.retrieval
    bm25 = {} if found is None else {"bm25_k1": found.k1, "bm25_b": found.b}
    return spec.model_copy(
        update={
            "data": spec.data.model_copy(update=bm25),
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
