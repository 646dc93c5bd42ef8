"""vLLM's offline LLM: the token ids that go into each request and come out of it."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

from e2r.errors import E2RError
from e2r.flops.architecture import Architecture
from e2r.meter.answers import Answer
from e2r.meter.models import NOT_ARCHITECTURE
from e2r.meter.sheet import CLOSED, Sheet, slug

METHODS = ("generate", "chat", "beam_search", "encode", "embed", "classify", "score", "reward")
Answered = Callable[[Answer], None]
Note = Callable[[str], None]


def watch(sheet: Sheet, answered: Answered, note: Note, missing: Note) -> Callable[[], None]:
    """Read what LLM's methods give back; gives back what ends it.

    The engine's own process is not looked into: a request costs what its tokens cost. One method
    calls another, and only the outermost is read.
    """
    kind = import_module("vllm.entrypoints.llm").LLM
    inside = threading.local()

    def watched(plain: Any) -> Any:
        @functools.wraps(plain)
        def call(llm: Any, *args: Any, **options: Any) -> Any:
            outermost = not getattr(inside, "deep", False)
            inside.deep = True
            try:
                outputs = plain(llm, *args, **options)
            finally:
                if outermost:
                    inside.deep = False
            if outermost:
                try:
                    _read(sheet, llm, plain.__name__, outputs, answered, note, missing)
                except Exception as error:
                    # The program must not fail because it is watched.
                    missing(f"vLLM's {plain.__name__} is not counted ({type(error).__name__})")
            return outputs

        return call

    before = {name: getattr(kind, name) for name in METHODS if hasattr(kind, name)}
    for name, plain in before.items():
        setattr(kind, name, watched(plain))

    def end() -> None:
        for name, plain in before.items():
            setattr(kind, name, plain)

    return end


def _read(
    sheet: Sheet,
    llm: Any,
    method: str,
    outputs: Any,
    answered: Answered,
    note: Note,
    missing: Note,
) -> None:
    if method == "beam_search":
        missing("vLLM's beam_search does not say what its beams took; it is not counted")
        return
    model = _column(sheet, llm, note)
    for output in outputs if isinstance(outputs, Sequence) else [outputs]:
        for answer in answers(model, output, _prompt(llm, output)):
            answered(answer)
    note("vLLM: tokens are those of its requests; what its engine computes beside is not looked at")


def _prompt(llm: Any, output: Any) -> str:
    """What was asked as text: a request of token ids alone, or a pair to score, carries none."""
    text = getattr(output, "prompt", None)
    if isinstance(text, str):
        return text
    try:
        ids = output.prompt_token_ids or []
        return str(llm.get_tokenizer().decode(ids, skip_special_tokens=True))
    except Exception:
        # An engine without a tokenizer: the request is counted all the same, for no query.
        return ""


def answers(model: str, output: Any, text: str = "") -> Iterator[Answer]:
    """The calls of one request: each further sample finds the whole prompt computed already."""
    prompt = len(output.prompt_token_ids or ())
    if not prompt:
        return
    cached = int(getattr(output, "num_cached_tokens", None) or 0)
    samples = output.outputs if isinstance(output.outputs, Sequence) else [output.outputs]
    for place, sample in enumerate(samples):
        generated = len(getattr(sample, "token_ids", None) or ())
        known = min(cached, prompt) if place == 0 else prompt
        yield Answer(model, prompt, generated, known, prompt=text)


def _column(sheet: Sheet, llm: Any, note: Note) -> str:
    config = llm.llm_engine.model_config
    name = slug(str(config.model))
    facts = {
        key: value
        for key, value in json.loads(config.hf_config.to_json_string(use_diff=False)).items()
        if key not in NOT_ARCHITECTURE
    }
    try:
        Architecture.load(facts)
    except E2RError as error:
        note(f"{name} has no price: {error}")
        return f"{CLOSED}{name}"
    return sheet.model(name, facts)
