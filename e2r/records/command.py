"""A spec as the command line that asks for the same: rebuilt, whatever a record says of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from e2r.records.spec import Spec

SAME = {
    "data": (
        "dataset", "candidates", "queries", "corpus", "qrels", "name", "documents", "first_stage",
        "bm25_k1", "bm25_b", "depth", "limit",
    ),
    "model": (
        "revision", "dtype", "tokenizer", "architecture", "answer_start", "trust_remote_code",
        "thinking",
    ),
    "prompt": ("template", "query_tokens", "passage_tokens", "answer_tokens"),
    "execution": (
        "device", "device_map", "batch_size", "batch_tokens", "reuse", "latency", "verify_flops",
    ),
}  # fmt: skip
"""The fields of each table whose option has their name."""
PARAMETERS = ("set_size", "window", "step", "repeats", "tournaments", "pivot")
"""Parameters of methods that have an option of their own."""
SERVER = ("base_url", "api_key_env", "concurrency", "attempts", "timeout")
RAY = {"address": "address", "workers": "workers", "cpus": "worker-cpus", "gpus": "worker-gpus"}


def command(spec: Spec) -> list[str]:
    """The words of `e2r run` for a spec; what a stage of a cascade has of its own is left out."""
    plain = Spec.model_validate(
        {"data": {}, "model": {"source": "none"}, "method": {"name": spec.method.name}}
    )
    words = ["e2r", "run"]
    for table in ("data", "model", "method", "prompt", "execution"):
        part, usual = getattr(spec, table), getattr(plain, table)
        if table == "model":
            words += ["--model", part.source]
        if table == "method":
            words += _method(spec)
            continue
        for name in SAME[table]:
            if getattr(part, name) != getattr(usual, name):
                words += _option(name, getattr(part, name))
    server, ray = spec.execution.server, spec.execution.ray
    if server is not None:
        for name in SERVER:
            words += _option(name, getattr(server, name))
    if ray is not None:
        words += ["--engine", "ray"]
        for name, option in RAY.items():
            words += _option(option, getattr(ray, name))
    return words


def _method(spec: Spec) -> Iterator[str]:
    yield from ("--method", spec.method.name)
    yield from _option("k", spec.method.k)
    if spec.method.fidelity != "mended":
        yield from _option("fidelity", spec.method.fidelity)
    for name, value in spec.method.parameters.items():
        known = name in PARAMETERS
        yield from _option(name, value) if known else ("--parameter", f"{name}={value}")
    for stage in spec.method.then:
        yield from ("--then", f"{stage.name}:{stage.over}")


def _option(name: str, value: Any) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    if value is None or value is False:
        return []
    return [option] if value is True else [option, str(value)]
