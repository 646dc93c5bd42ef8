"""A command whose help shows its options in groups, each under a heading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

ASKED: Mapping[str, Sequence[str]] = {
    "What is ranked": (
        "dataset", "candidates", "queries", "corpus", "qrels", "name", "documents", "first_stage",
        "bm25_k1", "bm25_b", "depth", "limit",
    ),
    "Who ranks": (
        "model", "revision", "dtype", "tokenizer", "architecture", "trust_remote_code",
        "thinking",
    ),
    "How": (
        "method", "k", "set_size", "window", "step", "repeats", "tournaments", "pivot", "parameter",
        "fidelity", "then",
    ),
    "What the model reads": (
        "template", "query_tokens", "passage_tokens", "answer_tokens", "answer_start",
    ),
    "Where the work is done": (
        "device", "device_map", "batch_size", "batch_tokens", "reuse", "engine", "address",
        "workers", "worker_cpus", "worker_gpus",
    ),
    "A server": ("base_url", "api_key_env", "concurrency", "attempts", "timeout"),
    "What is recorded, and where": (
        "runs", "resume", "max_failures", "price_list", "most", "latency", "energy",
        "verify_flops", "as_json",
    ),
}  # fmt: skip
"""The options of `e2r run` by what they speak of; `e2r plan` asks for the same."""


class Grouped(click.Command):
    """A click command with `groups`: heading → names of parameters, in the order of the help.

    What stands in no group comes first, under the command's own name.
    """

    def __init__(self, *words: Any, groups: Mapping[str, Sequence[str]], **more: Any) -> None:
        super().__init__(*words, **more)
        self.groups = groups

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        records = {
            parameter.name: record
            for parameter in self.get_params(context)
            if (record := parameter.get_help_record(context)) is not None
        }
        grouped = {name for names in self.groups.values() for name in names}
        own = [record for name, record in records.items() if name not in grouped]
        if own:
            with formatter.section(f"e2r {context.info_name}"):
                formatter.write_dl(own)
        for heading, names in self.groups.items():
            if found := [records[name] for name in names if name in records]:
                with formatter.section(heading):
                    formatter.write_dl(found)
