"""OpenAI-compatible servers asked by httpx, as the openai client does: the usage they report."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

from e2r.errors import E2RError
from e2r.flops import catalogue
from e2r.flops.architecture import Architecture
from e2r.meter.answers import Answer
from e2r.meter.sheet import CLOSED, slug

ENDPOINTS = (
    "/chat/completions",
    "/completions",
    "/responses",
    "/embeddings",
    "/rerank",
    "/score",
    "/classify",
)
MOST_BYTES = 64 * 2**20
MOST_TOKENS = 2**31
QUERIES = ("query", "text_1", "queries")
"""Where the endpoints that rerank and score name the query apart from the documents."""
PROMPTS = ("messages", "prompt", "input", "instructions")
Answered = Callable[[Answer], None]
Note = Callable[[str], None]


def watch(library: str, answered: Answered, note: Note, missing: Note) -> Callable[[], None]:
    """Read what the clients of httpx or httpx2 are answered; gives back what ends it.

    The response is handed on as it came. `missing` is told of answers that say no usage.
    """
    module = import_module(library)
    kinds = (module.Client, module.AsyncClient)
    before = [kind.send for kind in kinds]
    plain, waiting = before

    @functools.wraps(plain)
    def send(client: Any, request: Any, **options: Any) -> Any:
        response = plain(client, request, **options)
        _read(request, response, bool(options.get("stream")), answered, note, missing)
        return response

    @functools.wraps(waiting)
    async def send_async(client: Any, request: Any, **options: Any) -> Any:
        response = await waiting(client, request, **options)
        _read(request, response, bool(options.get("stream")), answered, note, missing)
        return response

    for kind, new in zip(kinds, (send, send_async), strict=True):
        kind.send = new

    def end() -> None:
        for kind, new, old in zip(kinds, (send, send_async), before, strict=True):
            # Somebody may have put a watch of their own over this one.
            if kind.send is new:
                kind.send = old

    return end


def _read(
    request: Any, response: Any, streams: bool, answered: Answered, note: Note, missing: Note
) -> None:
    try:
        path = request.url.path.rstrip("/")
        if request.method != "POST" or not path.endswith(ENDPOINTS) or response.status_code >= 400:
            return
        where = f"{request.url.host}{path}"
        if streams or not response.is_stream_consumed:
            missing(f"{where}: streamed answers are not counted; ask for whole ones")
            return
        if len(response.content) > MOST_BYTES:
            missing(f"{where}: an answer of more than {MOST_BYTES} bytes is not counted")
            return
        found = answer_of(json.loads(request.content), json.loads(response.content))
        if found is None:
            missing(f"{where}: its answers report no usage that can be; they are not counted")
            return
        note(f"{where}: tokens are those that the server reports")
        answered(found)
    except Exception as error:
        # The program must not fail because it is watched.
        missing(f"an HTTP answer is not counted ({type(error).__name__})")


def answer_of(asked: Any, told: Any) -> Answer | None:
    """What an answer's body says that it took, or None where it says nothing that can be.

    Servers spell it in two ways: prompt_tokens and completion_tokens, or input_tokens and
    output_tokens. Rerank endpoints report total_tokens alone.
    """
    usage = told.get("usage") if isinstance(told, Mapping) else None
    if not isinstance(usage, Mapping):
        return None
    prompt = _count(usage, "prompt_tokens", "input_tokens", "total_tokens")
    generated = _count(usage, "completion_tokens", "output_tokens")
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    cached = _count(details, "cached_tokens") if isinstance(details, Mapping) else None
    if not prompt or -1 in (prompt, generated, cached) or (cached or 0) > prompt:
        return None
    name = told.get("model") or (asked.get("model") if isinstance(asked, Mapping) else None)
    return Answer(
        column(str(name or "unknown")), prompt, generated or 0, cached or 0, prompt=prompt_of(asked)
    )


def prompt_of(asked: Any) -> str:
    """The text of a request's body that names its query: that field, else all that is asked."""
    if not isinstance(asked, Mapping):
        return ""
    query = next((asked[name] for name in QUERIES if asked.get(name)), None)
    return "\n".join(_texts([asked.get(name) for name in PROMPTS] if query is None else query))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def column(name: str) -> str:
    """How a server's model stands in a row: by its name in the catalogue, else without a price."""
    try:
        if catalogue.facts(name) is not None:
            Architecture.load(name)
            return name
    except E2RError:
        pass
    return f"{CLOSED}{slug(name)}"


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    """The first of these names that is told; -1 for what is no count."""
    value = next((usage[name] for name in names if usage.get(name) is not None), None)
    if value is None:
        return None
    counts = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    return value if counts else -1
