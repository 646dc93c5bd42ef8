"""What comes back from a server: bounded in time and size, and whatever it is, read or refused."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import httpx2

MOST_BYTES = 64 * 2**20
"""A reply's size: log probabilities of 100 tokens at each of 2,048 positions take 12 MiB."""
ENCODINGS = {"", "identity", "gzip", "deflate"}
"""What a body may be packed by: others unpack a small piece to any size at once."""
LONGEST_ASKED_PAUSE = 600.0
"""A server that asks for a longer pause (Retry-After) is asked again after this one."""


class AgainError(Exception):
    """An attempt that may go better the next time, after `pause` seconds at least.

    `absent` says that the server did not answer at all, or that a gateway says so; `nobody` that
    nobody listens at its address.
    """

    def __init__(
        self,
        why: str,
        status: int | None = None,
        *,
        pause: float = 0.0,
        absent: bool = False,
        nobody: bool = False,
    ) -> None:
        super().__init__(why)
        self.status = status
        self.pause = pause
        self.absent = absent
        self.nobody = nobody


class RefusedError(Exception):
    """A call that the server will not answer however often it is asked."""

    def __init__(self, why: str, status: int) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Received:
    """A whole reply, unpacked."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300


async def receive(
    client: httpx2.AsyncClient, verb: str, url: str, body: Any, seconds: float
) -> Received:
    """One attempt, which takes `seconds` at most from its start to the last byte of the reply.

    Raises AgainError for whatever goes wrong before there is a whole reply of a bearable size.
    """
    try:
        with anyio.fail_after(seconds):
            async with client.stream(verb, url, json=body) as response:
                packed = response.headers.get("content-encoding", "").strip().lower()
                if packed not in ENCODINGS:
                    raise AgainError("its reply is packed in a way that was not asked for")
                content = bytearray()
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > MOST_BYTES:
                        raise AgainError(f"its reply is longer than {MOST_BYTES >> 20} MiB")
                return Received(response.status_code, response.headers, bytes(content))
    except AgainError:
        raise
    except (TimeoutError, httpx2.TimeoutException) as error:
        raise AgainError(
            f"no whole reply in {seconds:g} s ({type(error).__name__})", absent=True
        ) from None
    except Exception as error:
        # Whatever a server sends, it ends this attempt and no more.
        raise AgainError(
            f"the connection failed ({one_line(error) or type(error).__name__})",
            absent=isinstance(error, httpx2.TransportError),
            nobody=isinstance(error, httpx2.ConnectError),
        ) from None


def json_of(content: bytes) -> dict[str, Any]:
    """The JSON object of a body, which is Unicode whatever its headers say (RFC 8259).

    A list stands as its `results`: TEI scores so. Raises AgainError for anything else, nested or
    numbered beyond what can be read too.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError, MemoryError):
        raise AgainError("its JSON is cut short or broken") from None
    if isinstance(found, list):
        return {"results": found}
    if not isinstance(found, dict):
        raise AgainError("its JSON is no object")
    return found


def words(reply: Received) -> str:
    """A server's own message on one line: of its JSON, or its text; empty where there is none."""
    text = reply.content.decode("utf-8", errors="replace")
    try:
        found = json_of(reply.content)
    except AgainError:
        return one_line(text)
    inner = found.get("error", found.get("detail", found.get("message", text)))
    return one_line(inner.get("message", inner) if isinstance(inner, dict) else inner)


def one_line(text: object) -> str:
    """Words with single spaces between them."""
    return " ".join(str(text).split())


def retry_after(value: str | None, now: float | None = None) -> float:
    """Seconds of a Retry-After header, which holds seconds or a date; 0 for any other word."""
    if value is None or "_" in value:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        try:
            then = email.utils.parsedate_to_datetime(value).timestamp()
        except (TypeError, ValueError, OverflowError, IndexError):
            return 0.0  # no date, or one that no calendar here holds
        seconds = then - (time.time() if now is None else now)
    return min(max(seconds, 0.0), LONGEST_ASKED_PAUSE) if seconds == seconds else 0.0
