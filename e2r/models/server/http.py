"""Calls an HTTP server: many calls at a time, again where that may help, the key never shown."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import anyio
import httpx2
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
from e2r.models.server.connection import Connection
from e2r.models.server.replies import (
    AgainError,
    Received,
    RefusedError,
    json_of,
    one_line,
    receive,
    retry_after,
    words,
)
from e2r.records.spec import ServerSpec

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before the second attempt, doubled for each further one, and their bound."""
LONGEST_PAUSE_ANSWERED = 4.0
"""The bound after a reply that came, whole, and is none."""
SHOWN = 300
"""Characters of a server's own words in an error message."""
BUSY = {408, 425, 429}
ABSENT = {502, 503, 504}
FAILED_IN_A_ROW = 10
"""Queries whose calls fail, none of any well between them, before the server counts as gone."""
SAID_PAUSE = 2.0
"""Seconds of a pause from which on it is said."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that the server refused or that kept failing; `status` is the last HTTP status."""

    message: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Post(Generic[T]):
    """A call: the path below the base URL, what is sent, and how the reply's JSON is read.

    What `read` raises for JSON that is not the reply has the call made again, like one whose JSON
    was cut short. `query` is whose call it is: one that fails for good fails its query, of which
    nothing more is asked; a call without one stands for itself.
    """

    path: str
    body: Mapping[str, Any]
    read: Callable[[dict[str, Any]], T]
    query: str | None = None


class Server:
    """An HTTP server below a base URL, asked with at most `spec.concurrency` calls at a time.

    `say` is told of pauses. `tries` holds how often each call of the last `post` was sent. Raises
    UsageError for a base URL that is none or that holds credentials, and for a key that cannot be
    used.
    """

    def __init__(
        self,
        spec: ServerSpec,
        environment: Mapping[str, str] = os.environ,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.base_url = address(spec, environment)
        self.concurrency = spec.concurrency
        self._spec = spec
        self._say = say
        self._said_until = 0.0
        self._key, self.withheld = key(spec, environment)
        self._failing: set[object] = set()
        self.tries: list[int] = []
        self._connection = Connection(
            self.base_url,
            {"Authorization": f"Bearer {self._key}"} if self._key else {},
            most=spec.concurrency,
            seconds=spec.timeout,
        )

    def get(self, path: str) -> tuple[dict[str, Any] | Failed, Mapping[str, str]]:
        """The JSON at a path, or how the server refused it; and the headers.

        Raises MissingError where nobody answers; at once, where nobody listens.
        """

        async def ask(
            client: httpx2.AsyncClient,
        ) -> tuple[dict[str, Any] | Failed, Mapping[str, str]]:
            try:
                patient = self._attempts(retry_if_exception(_is_worth_waiting))
                response: Received = await patient(self._send, client, "GET", path)
                return json_of(response.content), response.headers
            except RefusedError as error:
                return Failed(str(error), error.status), {}
            except AgainError as error:
                if error.absent:
                    raise self._gone(str(error)) from None
                return Failed(str(error), error.status), {}

        return self._connection.run(ask)

    def beside(self, path: str) -> dict[str, Any] | None:
        """The JSON at a path beside the API's own, asked for once; None where there is none."""
        url = f"{self.base_url.removesuffix('/v1')}/{path}"

        async def ask(client: httpx2.AsyncClient) -> dict[str, Any] | None:
            try:
                response = await receive(client, "GET", url, None, self._spec.timeout)
                return json_of(response.content) if response.is_success else None
            except AgainError:
                return None

        return self._connection.run(ask)

    def post(self, calls: Sequence[Post[T]]) -> list[T | Failed]:
        """One answer a call, in order, whatever the timing.

        A call that fails for good fails its query's further calls too, and stops no others. Raises
        MissingError where the server has gone away or lets nobody through any more, UsageError
        where it rejects the key.
        """

        async def ask(client: httpx2.AsyncClient) -> list[T | Failed]:
            results: dict[int, T | Failed] = {}
            failed: dict[str, Failed] = {}
            stopped: list[Exception] = []
            room = anyio.Semaphore(self._spec.concurrency)
            self.tries = [0] * len(calls)

            async def one(number: int, call: Post[T]) -> None:
                async with room:
                    if call.query is not None and call.query in failed:
                        results[number] = failed[call.query]
                        return
                    try:
                        answer = await self._post(client, call, number)
                    except Exception as error:
                        stopped.append(error)
                        group.cancel_scope.cancel()
                        return
                    results[number] = answer
                    if isinstance(answer, Failed) and call.query is not None:
                        failed[call.query] = answer

            async with anyio.create_task_group() as group:
                for number, call in enumerate(calls):
                    group.start_soon(one, number, call)
            if stopped:
                raise stopped[0]
            return [results[number] for number in range(len(calls))]

        return self._connection.run(ask)

    def close(self) -> None:
        """Let go of the connections; a later call opens them anew."""
        self._connection.close()

    def _attempts(self, retry: retry_base) -> AsyncRetrying:
        return AsyncRetrying(
            stop=stop_after_attempt(self._spec.attempts),
            wait=_pause,
            retry=retry,
            sleep=anyio.sleep,
            before_sleep=self._tell_pause,
            reraise=True,
        )

    def _tell_pause(self, state: RetryCallState) -> None:
        """Say that the run waits, once for calls that wait at the same time."""
        pause = state.upcoming_sleep
        until = time.monotonic() + pause
        if pause < SAID_PAUSE or until < self._said_until + SAID_PAUSE:
            return
        self._said_until = until
        error = state.outcome.exception() if state.outcome else None
        self._say(
            f"{self.base_url}: attempt {state.attempt_number} of {self._spec.attempts} failed "
            f"({error}); asking again in {pause:.0f} s"
        )

    async def _post(self, client: httpx2.AsyncClient, call: Post[T], number: int) -> T | Failed:
        async def once() -> T:
            self.tries[number] += 1
            return await self._once(client, call)

        try:
            patient = self._attempts(retry_if_exception_type(AgainError))
            answer: T = await patient(once)
        except RefusedError as error:
            return Failed(str(error), error.status)
        except AgainError as error:
            # One query that breaks the server each time is no sign that others would.
            self._failing.add(object() if call.query is None else call.query)
            times = f"after {self._spec.attempts} attempts: {error}"
            if (
                error.status == 429
                or len(self._failing) >= FAILED_IN_A_ROW
                or await self._is_gone(client)
            ):
                raise self._gone(times) from None
            return Failed(times, error.status)
        self._failing.clear()
        return answer

    async def _once(self, client: httpx2.AsyncClient, call: Post[T]) -> T:
        response = await self._send(client, "POST", call.path, call.body)
        found = json_of(response.content)
        try:
            return call.read(found)
        except E2RError:
            raise
        except Exception as error:
            # JSON can be anything; what makes no reply of it is asked again, however it fails.
            raise AgainError(f"a reply that is none ({self._safe(repr(error))})") from None

    async def _send(
        self, client: httpx2.AsyncClient, verb: str, path: str, body: Any = None
    ) -> Received:
        try:
            response = await receive(
                client, verb, f"{self.base_url}/{path}", body, self._spec.timeout
            )
        except AgainError as error:
            why = self._safe(f"{error}{self._by_proxy()}")
            raise AgainError(why, absent=error.absent, nobody=error.nobody) from None
        status = response.status
        if status in (401, 403):
            # The server's own words may repeat the key, so they are left out.
            raise UsageError(
                f"{self.base_url}: rejects the API key or lacks one (HTTP {status}); put the key "
                f"into the environment variable {DEFAULT_KEY}, or name another by --api-key-env; "
                "a run that has begun goes on by --resume"
            )
        why = f"HTTP {status}: {self._words(response)}"
        if status in BUSY or (status >= 500 and status != 501):
            pause = retry_after(response.headers.get("retry-after"))
            # A gateway's word may be the proxy's own.
            by = self._by_proxy() if status in ABSENT else ""
            raise AgainError(f"{why}{by}", status, pause=pause, absent=status in ABSENT)
        if not response.is_success:
            raise RefusedError(why, status)
        return response

    def _by_proxy(self) -> str:
        proxy = self._connection.proxy
        return f", through the proxy {proxy} of the environment" if proxy else ""

    async def _is_gone(self, client: httpx2.AsyncClient) -> bool:
        """Whether nobody answers there any more, asked once and without patience."""
        try:
            await self._send(client, "GET", "models")
        except AgainError as error:
            return error.absent
        except RefusedError:
            return False
        return False

    def _gone(self, why: str) -> MissingError:
        return MissingError(
            f"{self.base_url}: the server does not answer ({why}); start it, or wait, and repeat "
            "the command with --resume: what is finished stays, and nothing of it is asked again"
        )

    def _words(self, response: Received) -> str:
        """The server's own message, cut, on one line, without the key."""
        said = self._safe(words(response))[:SHOWN] or "no word of why"
        location = response.headers.get("location")
        if 300 <= response.status < 400 and location:
            return f"{said}; it points to {self._safe(location)[:SHOWN]}, which is not followed"
        return said

    def _safe(self, text: str) -> str:
        line = one_line(text)
        return line.replace(self._key, "[key]") if self._key else line


def _pause(state: RetryCallState) -> float:
    """Exponential backoff with jitter, or the longer pause that the server asked for.

    A server that has answered, and nonsense, gains nothing from rest: it is asked again soon.
    """
    error = state.outcome.exception() if state.outcome else None
    answered = isinstance(error, AgainError) and error.status is None and not error.absent
    longest = LONGEST_PAUSE_ANSWERED if answered else LONGEST_PAUSE
    usual = min(FIRST_PAUSE * 2.0 ** (state.attempt_number - 1), longest)
    usual *= random.uniform(0.5, 1.0)  # noqa: S311 — spreads callers, shapes no answer
    return max(usual, error.pause if isinstance(error, AgainError) else 0.0)


def _is_worth_waiting(error: BaseException) -> bool:
    """Whether an address may answer later: not where nobody listens, nor where it fails by itself.

    The list of models is not worth more: some servers break on it and answer all else.
    """
    if not isinstance(error, AgainError) or error.nobody:
        return False
    return error.absent or error.status in BUSY
