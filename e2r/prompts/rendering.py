"""Fills templates in jinja2's sandbox; run as a program, for those who may mean harm.

As a program it reads a request a line, and answers a line: {"template", "values", "chat"} →
{"text", "messages", "starts"} or {"error"}. It gives itself little memory and, for each request,
little time; a request that takes more ends it.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST = 4_000_000
"""Characters of a filled template; the longest context holds about as many."""
SECONDS = 2
"""Of computing, not of waiting, for one request."""
MEMORY = 768 * 2**20


class _Generation(Extension):
    """The blocks by which some chat templates mark a model's turns; they stand as they are."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """The block's content."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _raise(message: str) -> str:
    raise TemplateError(message)


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _fix_text(text: str) -> str:
    """What ftfy makes of a text: broken encodings mended, quotation marks straight."""
    import ftfy

    return str(ftfy.fix_text(text))


def _no_identifiers(text: str) -> str:
    """A passage whose own [12] reads (12), so that it names no other passage."""
    return re.sub(r"\[(\d+)\]", r"(\1)", text)


@lru_cache(maxsize=64)
def compiled(text: str, *, chat: bool) -> Template:
    """A template of prompts, or a model's chat template under the names that transformers gives.

    Raises TemplateError, or RecursionError for one that is nested too deep.
    """
    if not chat:
        # The output is a model's input, not a web page: nothing may be escaped.
        prompts = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
        prompts.filters |= {"fix_text": _fix_text, "no_identifiers": _no_identifiers}
        return prompts.from_string(text)
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
        extensions=[_Generation, "jinja2.ext.loopcontrols"],
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda form: datetime.now().astimezone().strftime(form)
    return environment.from_string(text)


def filled(template: str, values: Mapping[str, Any] | None, *, chat: bool) -> dict[str, Any]:
    """The text, the messages [role, content] and the answer's starts that a template gives.

    Without values it is compiled alone. Raises whatever the template makes jinja2 raise.
    """
    messages: list[tuple[str, str]] = []
    starts: list[str] = []

    def open_answer(text: str) -> str:
        starts.append(str(text))
        return ""

    def message(role: str, caller: Callable[[], str]) -> str:
        messages.append((str(role), str(caller())))
        return ""

    if values is None:
        compiled(template, chat=chat)
        return {}
    own = {} if chat else {"message": message, "open_answer": open_answer}
    text = compiled(template, chat=chat).render(**values, **own)
    length = len(text) + sum(map(len, starts)) + sum(len(content) for _, content in messages)
    if length > LONGEST:
        raise TemplateError(f"it writes {length:,} characters; at most {LONGEST:,}")
    return {"text": text, "messages": messages, "starts": starts}


def reason(error: BaseException) -> str:
    """An error of a template as one line."""
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, MemoryError):
        return f"it takes more than {MEMORY >> 20} MiB"
    lines = re.sub(r"\s+", " ", str(error)).strip()[:300]
    return lines if isinstance(error, TemplateError) else f"{type(error).__name__}: {lines}"


def main() -> None:
    """Answer requests until nobody asks any more."""
    import resource
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    known: dict[str, str] = {}
    for line in sys.stdin:
        # The default action of this timer's signal ends the process, inside of C code as well.
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        asked = json.loads(line)
        template = known.setdefault(asked["sha256"], asked.get("template", ""))
        try:
            answer = json.dumps(filled(template, asked["values"], chat=asked["chat"]))
        except Exception as error:
            answer = json.dumps({"error": reason(error)})
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def sha256_of(template: str) -> str:
    """What a template is known by."""
    return hashlib.sha256(template.encode("utf-8", "surrogatepass")).hexdigest()


if __name__ == "__main__":
    main()
