"""Small recorded runs, built call by call, so that every figure can be computed by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from e2r.data.collection import judgments_sha256
from e2r.records.folder import RunFolder
from e2r.records.ledger import Call
from e2r.records.manifest import DatasetRecord, Environment, Manifest, ModelRecord
from e2r.records.query import QueryRecord
from e2r.records.spec import Spec

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
}

JUDGMENTS = {
    "q1": {"a": 3, "b": 0, "c": 1},
    "q2": {"a": 0, "b": 2, "d": 1},
    "q3": {"c": 3, "e": 2},
    "q4": {"b": 1},
}

RANKINGS = {
    "q1": ("a", "b", "c", "d"),
    "q2": ("c", "b", "a", "d"),
    "q3": ("e", "a", "c", "b"),
    "q4": ("a", "c", "d", "b"),
}


@dataclass(frozen=True)
class Asked:
    """What a test wants recorded; (prompt, generated, head) tokens of each call by query."""

    method: str = "setwise.heapsort"
    model: str = "tiny-llama"
    dataset: str = "small"
    hash8: str = "0123abcd"
    rankings: Mapping[str, Sequence[str]] = field(default_factory=lambda: dict(RANKINGS))
    calls: Mapping[str, Sequence[tuple[int, int, int]]] = field(
        default_factory=lambda: {
            "q1": [(100, 1, 1), (120, 3, 1)],
            "q2": [(90, 1, 1)],
            "q3": [(200, 1, 1), (210, 2, 1), (50, 0, 7)],
            "q4": [(64, 1, 1)],
        }
    )
    judgments: Mapping[str, Mapping[str, int]] = field(default_factory=lambda: JUDGMENTS)
    architecture: Mapping[str, Any] | None = field(default_factory=lambda: dict(LLAMA))
    documents: int | None = 1000
    depth: int = 4
    failed: tuple[str, ...] = ()
    command: tuple[str, ...] = ("e2r", "run", "--method", "setwise.heapsort")
    notes: tuple[str, ...] = ()
    revision: str | None = None
    limit: int | None = None
    reuse: bool = False


MakeRun = Callable[..., RunFolder]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Record a run under tmp_path/runs; keyword arguments are those of Asked."""

    def make(**wanted: Any) -> RunFolder:
        return record(tmp_path, replace(Asked(), **wanted))

    return make


def record(root: Path, asked: Asked) -> RunFolder:
    qrels = root / f"{asked.dataset}.qrels"
    qrels.write_text(
        "".join(
            f"{qid} 0 {docid} {grade}\n"
            for qid, grades in asked.judgments.items()
            for docid, grade in grades.items()
        ),
        encoding="utf-8",
    )
    name = f"{asked.dataset}/{asked.model}/{asked.method}--{asked.hash8}"
    folder = RunFolder(root / "runs" / name)
    manifest = Manifest(
        status="started",
        run=name,
        method=asked.method,
        method_parameters={},
        identity={"reuse": True} if asked.reuse else {},
        started="2026-01-01T00:00:00+00:00",
        finished="2026-01-01T00:01:00+00:00",
        e2r="0.1.0",
        commit="0" * 40,
        dirty=False,
        command=list(asked.command),
        model=ModelRecord(
            id=asked.model,
            name=asked.model,
            revision=asked.revision,
            dtype="float32",
            architecture=None if asked.architecture is None else dict(asked.architecture),
        ),
        dataset=DatasetRecord(
            id=asked.dataset,
            candidates_sha256="c" * 64,
            judgments_sha256=judgments_sha256(asked.judgments),
            queries=len(asked.rankings),
            depth=asked.depth,
            first_stage="BM25",
            documents=asked.documents,
        ),
        prompts={"setwise": "d" * 64},
        environment=Environment(
            python="3.11", packages={"torch": "2"}, processor="a CPU", device="cpu", threads=2
        ),
        notes=list(asked.notes),
    )
    spec = Spec.of(
        {
            "data": {
                "qrels": str(qrels),
                "candidates": "small.run",
                "depth": asked.depth,
                **({} if asked.limit is None else {"limit": asked.limit}),
            },
            "model": {"source": asked.model},
            "method": {"name": asked.method},
        },
        "the test",
    )
    folder.start(spec.to_toml(), manifest)
    for place, (qid, ranking) in enumerate(asked.rankings.items()):
        calls = [
            Call(
                qid=qid,
                round=number,
                call=number,
                task="Choose",
                docids=tuple(ranking[:3]),
                prompt_tokens=prompt,
                cached_tokens=0,
                decoder_prompt_tokens=0,
                generated_tokens=generated,
                head_positions=head,
                padded_tokens=prompt // 4,
                truncated=number,
                answer="null",
                parsed=number == 0,
                seconds=0.5,
                batch_size=2 if prompt else 0,
            )
            for number, (prompt, generated, head) in enumerate(asked.calls.get(qid, ()))
        ]
        failed = qid in asked.failed
        record = QueryRecord(
            qid=qid,
            status="failed" if failed else "ok",
            calls=len(calls),
            rounds=len(calls),
            prompt_tokens=sum(call.prompt_tokens for call in calls),
            generated_tokens=sum(call.generated_tokens for call in calls),
            parse_failures=sum(not call.parsed for call in calls),
            truncated=sum(call.truncated > 0 for call in calls),
            seconds=sum(call.seconds for call in calls),
            query_terms=place + 3,
            ranking=() if failed else tuple(ranking),
            error="the model broke" if failed else None,
        )
        folder.commit([(record, calls)])
    status = "partial" if asked.failed else "complete"
    folder.finish(manifest.model_copy(update={"status": status}), asked.rankings)
    return folder
