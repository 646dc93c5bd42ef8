"""The options of `e2r run` and `e2r plan` as a spec, and what may not be said together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from e2r.errors import UsageError

if TYPE_CHECKING:
    from e2r.records.spec import Spec

ENGINE = {
    "engine": "engine",
    "address": "address",
    "workers": "workers",
    "worker_cpus": "cpus",
    "worker_gpus": "gpus",
}
"""The options that say where the work is done, each with its field in the spec's table."""


def is_given(context: click.Context, name: str) -> bool:
    """Whether an option was typed, and is not its default."""
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def refuse_other_words(context: click.Context, spec_file: str, options: dict[str, Any]) -> None:
    """Raise UsageError where options are given beside a spec, which says everything.

    But for the engine: a run may go on elsewhere than where it began.
    """
    given = [name for name in options if name not in ENGINE and is_given(context, name)]
    if given:
        raise UsageError(
            f"{spec_file} says everything; drop --{given[0].replace('_', '-')} or the file"
        )


def spec_with_engine(context: click.Context, spec: Spec, options: dict[str, Any]) -> Spec:
    """The spec, carried out by the engine that is typed beside it, if one is.

    What is typed of a Ray cluster changes what the spec says of it, and leaves the rest.
    """
    from e2r.engines import name_of_engine
    from e2r.records.spec import RaySpec

    given = {ENGINE[name]: options[name] for name in ENGINE if is_given(context, name)}
    if not given:
        return spec
    engine = given.pop("engine", name_of_engine(spec))
    ray = None
    if engine == "ray":
        before = spec.execution.ray or RaySpec()
        ray = RaySpec.model_validate({**before.model_dump(), **given})
    elif given:
        _ray(options)
    execution = spec.execution.model_copy(update={"ray": ray})
    return spec.model_copy(update={"execution": execution})


def tables(options: dict[str, Any]) -> dict[str, Any]:
    """The options as the tables of a spec; the required ones are asked for by name."""
    for name in ("model", "method"):
        if options[name] is None and not (name == "model" and options["method"] == "first_stage"):
            raise UsageError(f"--{name} is missing; see e2r run --help")

    def some(*names: str) -> dict[str, Any]:
        return {name: options[name] for name in names if options[name] is not None}

    return {
        "data": some(
            "dataset",
            "candidates",
            "qrels",
            "queries",
            "corpus",
            "name",
            "documents",
            "first_stage",
            "bm25_k1",
            "bm25_b",
            "depth",
            "limit",
        ),
        "model": {
            "source": options["model"] or "none",
            **some(
                "revision",
                "dtype",
                "trust_remote_code",
                "tokenizer",
                "architecture",
                "answer_start",
            ),
        },
        "method": {
            "name": options["method"],
            "k": options["k"],
            "fidelity": options["fidelity"],
            **_stages(options),
        },
        "prompt": some("template", "query_tokens", "passage_tokens", "answer_tokens"),
        "execution": {
            **some(
                "device",
                "device_map",
                "batch_size",
                "batch_tokens",
                "reuse",
                "latency",
                "verify_flops",
            ),
            **_ray(options),
            **_server(some("base_url", "api_key_env", "concurrency", "attempts", "timeout")),
        },
    }


def _server(given: dict[str, Any]) -> dict[str, Any]:
    """The table of a server, where one is spoken of. Raises UsageError without its address."""
    if given and "base_url" not in given:
        raise UsageError(f"--{next(iter(given)).replace('_', '-')} is of a server: pass --base-url")
    return {"server": given} if given else {}


def _ray(options: dict[str, Any]) -> dict[str, Any]:
    """The table of a Ray cluster, where it is the engine. Raises UsageError for its words alone."""
    given = {
        field: options[name]
        for name, field in ENGINE.items()
        if name != "engine" and options[name] is not None
    }
    if options["engine"] == "ray":
        return {"ray": given}
    if given:
        name = next(name for name, field in ENGINE.items() if field in given)
        raise UsageError(f"--{name.replace('_', '-')} is of a Ray cluster: pass --engine ray")
    return {}


def _stages(options: dict[str, Any]) -> dict[str, Any]:
    """Parameters and further stages; a parameter goes to every stage whose method has it."""
    from e2r.ranking import method
    from e2r.ranking.method import SMALLEST

    given = {name: options[name] for name in SMALLEST if options[name] is not None}
    stages = []
    for text in options["then"]:
        name, _, over = text.partition(":")
        if not over.isdigit() or int(over) < 1:
            raise UsageError(f"--then {text!r}: write METHOD:M, as in setwise.heapsort:20")
        stages.append({"name": name, "over": int(over), "k": options["k"]})
    if not stages:
        return {"parameters": given}
    owned = {
        name: method(name).parameters for name in [options["method"], *(s["name"] for s in stages)]
    }
    for name in given:
        if not any(name in parameters for parameters in owned.values()):
            raise UsageError(f"no method of this cascade has the parameter {name}")

    def own(name: str) -> dict[str, int]:
        return {key: value for key, value in given.items() if key in owned[name]}

    return {
        "parameters": own(options["method"]),
        "then": [{**stage, "parameters": own(stage["name"])} for stage in stages],
    }
