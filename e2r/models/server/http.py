"""Calls an HTTP server: many calls at a time, again where that may help, the key never shown."""

from __future__ import annotations

import email.utils
import os
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import anyio
import httpx2
from anyio.from_thread import start_blocking_portal
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_base,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
)

from e2r.errors import E2RError, MissingError, UsageError
from e2r.models.server.access import DEFAULT_KEY, address, key
from e2r.records.spec import ServerSpec

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before the second attempt, doubled for each further one, and their bound."""
LONGEST_ASKED_PAUSE = 600.0
"""A server that asks for a longer pause (Retry-After) is asked again after this one."""
SHOWN = 300
"""Characters of a server's own words in an error message."""
BUSY = {408, 425, 429}
ABSENT = {502, 503, 504}
FAILED_IN_A_ROW = 10
"""Calls that fail one after another, none well between them, before the server counts as gone."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that the server refused or that kept failing; `status` is the last HTTP status."""

    message: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Post(Generic[T]):
    """A call: the path below the base URL, what is sent, and how the reply's JSON is read.

    `read` raises ValueError, LookupError, TypeError or AttributeError for JSON that is not the
    reply; the call is then made again, like one whose JSON was cut short.
    """

    path: str
    body: Mapping[str, Any]
    read: Callable[[dict[str, Any]], T]


class _AgainError(Exception):
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


class _RefusedError(Exception):
    def __init__(self, why: str, status: int) -> None:
        super().__init__(why)
        self.status = status


class Server:
    """An HTTP server below a base URL, asked with at most `spec.concurrency` calls at a time.

    Raises UsageError for a base URL that is none or that holds credentials, and for a key that
    cannot be used.
    """

    def __init__(self, spec: ServerSpec, environment: Mapping[str, str] = os.environ) -> None:
        self.base_url = address(spec)
        self.concurrency = spec.concurrency
        self._spec = spec
        self._key, self.withheld = key(spec, environment)
        self._failures = 0

    def get(self, path: str) -> tuple[dict[str, Any] | Failed, Mapping[str, str]]:
        """The JSON at a path, or how the server refused it; and the headers.

        Raises MissingError where nobody answers; at once, where nobody listens.
        """

        async def ask() -> tuple[dict[str, Any] | Failed, Mapping[str, str]]:
            async with self._client() as client:
                try:
                    patient = self._attempts(retry_if_exception(_is_worth_waiting))
                    response: httpx2.Response = await patient(self._send, client, "GET", path)
                    return _json(response), response.headers
                except _RefusedError as error:
                    return Failed(str(error), error.status), {}
                except _AgainError as error:
                    if error.absent:
                        raise self._gone(str(error)) from None
                    return Failed(str(error), error.status), {}

        return _run(ask)

    def beside(self, path: str) -> dict[str, Any] | None:
        """The JSON at a path beside the API's own, asked for once; None where there is none."""
        root = self.base_url.removesuffix("/v1")

        async def ask() -> dict[str, Any] | None:
            async with self._client() as client:
                try:
                    response = await client.get(f"{root}/{path}")
                    found = response.json() if response.is_success else None
                except (httpx2.HTTPError, ValueError):
                    return None
            return found if isinstance(found, dict) else None

        return _run(ask)

    def post(self, calls: Sequence[Post[T]]) -> list[T | Failed]:
        """One answer a call, in order, whatever the timing.

        A call that fails for good does not stop the others. Raises MissingError where the server
        has gone away or lets nobody through any more, UsageError where it rejects the key.
        """

        async def ask() -> list[T | Failed]:
            results: dict[int, T | Failed] = {}
            stopped: list[E2RError] = []
            room = anyio.Semaphore(self._spec.concurrency)

            async def one(number: int, call: Post[T]) -> None:
                async with room:
                    try:
                        answer: T | Failed = await self._post(client, call)
                        results[number] = answer
                    except E2RError as error:
                        stopped.append(error)
                        group.cancel_scope.cancel()

            async with self._client() as client, anyio.create_task_group() as group:
                for number, call in enumerate(calls):
                    group.start_soon(one, number, call)
            if stopped:
                raise stopped[0]
            return [results[number] for number in range(len(calls))]

        return _run(ask)

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        return httpx2.create_ssl_context()

    def _client(self) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        return httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(self._spec.timeout, connect=min(30, self._spec.timeout)),
            limits=httpx2.Limits(max_connections=self._spec.concurrency),
            verify=self._certificates,
        )

    def _attempts(self, retry: retry_base) -> AsyncRetrying:
        return AsyncRetrying(
            stop=stop_after_attempt(self._spec.attempts),
            wait=_pause,
            retry=retry,
            sleep=anyio.sleep,
            reraise=True,
        )

    async def _post(self, client: httpx2.AsyncClient, call: Post[T]) -> T | Failed:
        try:
            patient = self._attempts(retry_if_exception_type(_AgainError))
            answer: T = await patient(self._once, client, call)
        except _RefusedError as error:
            return Failed(str(error), error.status)
        except _AgainError as error:
            self._failures += 1
            times = f"after {self._spec.attempts} attempts: {error}"
            if (
                error.status == 429
                or self._failures >= FAILED_IN_A_ROW
                or await self._is_gone(client)
            ):
                raise self._gone(times) from None
            return Failed(times, error.status)
        self._failures = 0
        return answer

    async def _once(self, client: httpx2.AsyncClient, call: Post[T]) -> T:
        response = await self._send(client, "POST", call.path, call.body)
        try:
            return call.read(_json(response))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise _AgainError(f"a reply that is none ({self._safe(repr(error))})") from None

    async def _send(
        self, client: httpx2.AsyncClient, verb: str, path: str, body: Any = None
    ) -> httpx2.Response:
        try:
            response = await client.request(verb, f"{self.base_url}/{path}", json=body)
        except httpx2.TimeoutException as error:
            raise _AgainError(f"no reply in time ({type(error).__name__})", absent=True) from None
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise _AgainError(
                f"the connection failed ({self._safe(error)})",
                absent=isinstance(error, httpx2.TransportError),
                nobody=isinstance(error, httpx2.ConnectError),
            ) from None
        status = response.status_code
        if status in (401, 403):
            # The server's own words may repeat the key, so they are left out.
            raise UsageError(
                f"{self.base_url}: rejects the API key or lacks one (HTTP {status}); put the key "
                f"into the environment variable {DEFAULT_KEY}, or name another by --api-key-env"
            )
        why = f"HTTP {status}: {self._words(response)}"
        if status in BUSY or (status >= 500 and status != 501):
            pause = retry_after(response.headers.get("retry-after"))
            raise _AgainError(why, status, pause=pause, absent=status in ABSENT)
        if not response.is_success:
            raise _RefusedError(why, status)
        return response

    async def _is_gone(self, client: httpx2.AsyncClient) -> bool:
        """Whether nobody answers there any more, asked once and without patience."""
        try:
            await self._send(client, "GET", "models")
        except _AgainError as error:
            return error.absent
        except _RefusedError:
            return False
        return False

    def _gone(self, why: str) -> MissingError:
        return MissingError(
            f"{self.base_url}: the server does not answer ({why}); start it, or wait, and repeat "
            "the command with --resume: what is finished stays, and nothing of it is asked again"
        )

    def _words(self, response: httpx2.Response) -> str:
        """The server's own message, cut, on one line, without the key."""
        text = response.text
        try:
            found = response.json()
        except ValueError:
            found = None
        if isinstance(found, dict):
            inner = found.get("error", found.get("detail", found.get("message", text)))
            text = str(inner.get("message", inner) if isinstance(inner, dict) else inner)
        return self._safe(text)[:SHOWN]

    def _safe(self, words: object) -> str:
        text = " ".join(str(words).split()) or type(words).__name__
        return text.replace(self._key, "[key]") if self._key else text


def retry_after(value: str | None, now: float | None = None) -> float:
    """Seconds of a Retry-After header, which holds seconds or a date; 0 for any other word."""
    if value is None:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        try:
            then = email.utils.parsedate_to_datetime(value).timestamp()
        except (TypeError, ValueError):
            return 0.0
        seconds = then - (time.time() if now is None else now)
    return min(max(seconds, 0.0), LONGEST_ASKED_PAUSE) if seconds == seconds else 0.0


def _pause(state: RetryCallState) -> float:
    """Exponential backoff with jitter, or the longer pause that the server asked for."""
    usual = min(FIRST_PAUSE * 2.0 ** (state.attempt_number - 1), LONGEST_PAUSE)
    usual *= random.uniform(0.5, 1.0)  # noqa: S311 — spreads callers, shapes no answer
    error = state.outcome.exception() if state.outcome else None
    return max(usual, error.pause if isinstance(error, _AgainError) else 0.0)


def _run(ask: Callable[[], Awaitable[T]]) -> T:
    # A loop in a thread of its own: it works inside a notebook's loop, and an interruption of the
    # waiting thread cancels what is under way. One a round, so that nothing is left open.
    with start_blocking_portal() as portal:
        return portal.call(ask)


def _is_worth_waiting(error: BaseException) -> bool:
    """Whether an address may answer later: not where nobody listens, nor where it fails by itself.

    The list of models is not worth more: some servers break on it and answer all else.
    """
    if not isinstance(error, _AgainError) or error.nobody:
        return False
    return error.absent or error.status in BUSY


def _json(response: httpx2.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        raise _AgainError("its JSON is cut short or broken") from None
    if not isinstance(found, dict):
        raise _AgainError("its JSON is no object")
    return found
