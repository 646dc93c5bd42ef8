"""Calls to a server: what is tried again, what is not, in which order, and what is never shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from e2r.errors import MissingError, UsageError
from e2r.models.server import http as module
from e2r.models.server.http import Failed, Post, Server
from e2r.models.server.replies import LONGEST_ASKED_PAUSE, retry_after
from e2r.records.spec import ServerSpec
from tests.models.server.local_servers import Answer, Said, free_port, serving

pytestmark = pytest.mark.usefixtures("short_pauses")

KEY = "sk-this-is-a-secret"


def post(number: int) -> Post[int]:
    return Post("completions", {"number": number}, lambda data: int(data["answer"]))


def connected(url: str, **settings: Any) -> Server:
    tables = {"base_url": url, "attempts": 3, "timeout": 5, **settings}
    return Server(ServerSpec.model_validate(tables), {"OPENAI_API_KEY": KEY})


def right(body: Mapping[str, Any]) -> Said:
    return Said.json({"answer": body["number"] * 10})


class Failing:
    """Says something else the first `times` times that a question is asked, then the answer."""

    def __init__(self, said: Said, times: int = 1) -> None:
        self.said, self.times = said, times
        self.asked: list[tuple[float, Any]] = []

    def __call__(self, path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        if body is None:
            return Said.json({"data": []})
        self.asked.append((time.monotonic(), body["number"]))
        before = sum(number == body["number"] for _, number in self.asked)
        return self.said if before <= self.times else right(body)


TRANSIENT = {
    "429": Said.json({"error": "busy"}, 429),
    "500": Said(500, b"oops"),
    "503": Said(503, b""),
    "dropped": Said(cut=0),
    "cut body": Said(body=b'{"answer": 10}', cut=5),
    "half JSON": Said(body=b'{"answer": 1'),
    "no object": Said(body=b"[]"),
    "no answer in it": Said(body=b"{}"),
    "not text": Said(body=b"\xff\xfe"),
}


@pytest.mark.parametrize("said", TRANSIENT.values(), ids=TRANSIENT)
def test_what_may_pass_is_tried_again(said: Said) -> None:
    failing = Failing(said, times=2)
    with serving(failing) as url:
        server = connected(url)
        assert server.post([post(1)]) == [10]
    assert len(failing.asked) == 3
    assert server.tries == [3]


def test_a_slow_answer_is_asked_for_again() -> None:
    failing = Failing(Said(wait=1.5, body=b'{"answer": 99}'))
    with serving(failing) as url:
        assert connected(url, timeout=1).post([post(1)]) == [10]


@pytest.mark.parametrize("said", [TRANSIENT["500"], TRANSIENT["half JSON"]])
def test_attempts_are_bounded_and_the_others_go_on(said: Said) -> None:
    failing = Failing(said, times=99)

    def answer(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        return failing(path, body, headers) if body and body["number"] == 2 else right(body or {})

    with serving(lambda p, b, h: Said.json({}) if b is None else answer(p, b, h)) as url:
        first, failed, third = connected(url).post([post(1), post(2), post(3)])
    assert (first, third) == (10, 30)
    assert isinstance(failed, Failed)
    assert "3 attempts" in failed.message
    assert len(failing.asked) == 3


@pytest.mark.parametrize("status", [400, 404, 413, 422, 501])
def test_a_refusal_is_final_and_says_the_server_s_words(status: int) -> None:
    failing = Failing(Said.json({"error": {"message": "the prompt is too long"}}, status), times=99)
    with serving(failing) as url:
        [failed] = connected(url).post([post(1)])
    assert failed == Failed(f"HTTP {status}: the prompt is too long", status)
    assert len(failing.asked) == 1


def test_retry_after_is_heeded() -> None:
    failing = Failing(Said.json({}, 429, **{"Retry-After": "1"}))
    with serving(failing) as url:
        assert connected(url).post([post(1)]) == [10]
    (first, _), (second, _) = failing.asked
    assert second - first >= 1


def test_retry_after_holds_seconds_or_a_date() -> None:
    assert retry_after("2.5") == 2.5
    assert retry_after("1_0") == 0
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT", now=1445412470.0) == 10
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert retry_after("1e9") == LONGEST_ASKED_PAUSE
    for word in (None, "soon", "nan", "-3", ""):
        assert retry_after(word) == 0


def test_answers_come_in_order_and_no_more_at_a_time_than_allowed() -> None:
    lock, at_once, most = threading.Lock(), 0, 0

    def answer(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        nonlocal at_once, most
        assert body is not None
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.05 if body["number"] % 3 == 0 else 0.01)
        with lock:
            at_once -= 1
        return right(body)

    with serving(answer) as url:
        found = connected(url, concurrency=4).post([post(number) for number in range(20)])
    assert found == [number * 10 for number in range(20)]
    assert most == 4


def test_nobody_at_the_address_is_said_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(MissingError, match="does not answer"):
        connected(f"http://127.0.0.1:{free_port()}/v1", attempts=99).get("models")
    assert time.monotonic() - began < 60, "99 attempts would take hours"


GONE: dict[str, Answer] = {
    "dropped": lambda path, body, headers: Said(cut=0),
    "gateway": lambda path, body, headers: Said(502, b""),
    "locked out": lambda path, body, headers: Said.json({}, 429 if body else 200),
}


@pytest.mark.parametrize("answer", GONE.values(), ids=GONE)
def test_a_server_that_goes_away_ends_the_round(answer: Answer) -> None:
    asked = []

    def counted(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        asked.append(path)
        return answer(path, body, headers)

    with serving(counted) as url, pytest.raises(MissingError, match="--resume"):
        connected(url, concurrency=2).post([post(number) for number in range(500)])
    assert len(asked) < 20


def test_a_server_that_fails_everything_is_gone_too() -> None:
    failing = Failing(Said(500, b"the engine is dead"), times=999)
    with serving(failing) as url, pytest.raises(MissingError, match="engine is dead"):
        connected(url, attempts=1).post([post(number) for number in range(500)])
    assert len(failing.asked) < 2 * module.FAILED_IN_A_ROW


@pytest.mark.parametrize("status", [401, 403])
def test_a_rejected_key_is_wrong_usage(status: int) -> None:
    said = Said.json({"error": {"message": f"Incorrect API key provided: {KEY}"}}, status)
    with serving(Failing(said, 99)) as url, pytest.raises(UsageError, match="--api-key-env") as e:
        connected(url).post([post(1)])
    assert KEY not in str(e.value)


def test_the_key_is_sent_and_never_said() -> None:
    heads: list[Mapping[str, str]] = []

    def answer(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        heads.append(headers)
        return Said.json({"error": f"you said Bearer {KEY}"}, 400)

    with serving(answer) as url:
        [failed] = connected(url).post([post(1)])
    assert {name.lower(): value for name, value in heads[0].items()}["authorization"] == (
        f"Bearer {KEY}"
    )
    assert isinstance(failed, Failed)
    assert failed.message == "HTTP 400: you said Bearer [key]"


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{KEY}@host/v1",
        f"http://{KEY}@host/v1",
        f"http://host/v1?key={KEY}",
        f"http://host/v1#{KEY}",
        f"host:{KEY}/v1",
        f"ftp://host/{KEY}",
        f"http://[{KEY}/v1",
    ],
)
def test_an_address_with_a_secret_or_none_at_all_is_refused_unseen(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        connected(url)
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("name", [KEY, "THE_KEY_IS_NOT_SET"])
def test_the_key_s_name_is_a_name(name: str) -> None:
    with pytest.raises(UsageError) as refused:
        connected("http://host/v1", api_key_env=name)
    assert name not in str(refused.value)


def test_a_key_that_no_header_carries_is_refused_unseen() -> None:
    spec = ServerSpec(base_url="http://host/v1")
    with pytest.raises(UsageError) as refused:
        Server(spec, {"OPENAI_API_KEY": f"{KEY}\nsecond line"})
    assert KEY not in str(refused.value)


def test_it_works_inside_a_running_loop() -> None:
    import asyncio

    async def notebook(url: str) -> list[int | Failed]:
        return connected(url).post([post(4)])

    with serving(lambda path, body, headers: right(body or {})) as url:
        assert asyncio.run(notebook(url)) == [40]


@pytest.fixture
def patient() -> Iterator[str]:
    """A server that answers nobody before the test is over."""
    over = threading.Event()

    def answer(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        over.wait()
        return Said()

    with serving(answer) as url:
        yield url
        over.set()


def test_an_interruption_waits_for_nobody(patient: str) -> None:
    import signal

    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            connected(patient).post([post(1)])
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
