"""Whatever a server sends: bounded in time and memory, one query's harm, nothing unsaid."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from e2r.errors import MissingError, UsageError
from e2r.models.server import http as module
from e2r.models.server import replies
from e2r.models.server.connection import proxy_of
from e2r.models.server.http import Failed, Post, Server
from e2r.models.server.replies import retry_after
from e2r.records.spec import ServerSpec
from tests.models.server.local_servers import Said, serving

pytestmark = pytest.mark.usefixtures("short_pauses")

MOST = 2 * 2**20
KEY = "correct-horse-battery"


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much smaller as the tests' own replies are."""
    monkeypatch.setattr(replies, "MOST_BYTES", MOST)


def connected(url: str, say: Callable[[str], None] = lambda _: None, **settings: Any) -> Server:
    tables = {"base_url": url, "attempts": 2, "timeout": 5, **settings}
    return Server(ServerSpec.model_validate(tables), {"OPENAI_API_KEY": KEY}, say)


def post(number: int, query: str | None = None) -> Post[int]:
    return Post("completions", {"number": number}, lambda data: int(data["answer"]), query)


ODD = {
    "another charset": Said(
        body=b'{"answer": 1}', headers={"content-type": "application/json; charset=utf-16"}
    ),
    "no charset": Said(body=b'{"answer": 1}', headers={"content-type": "text/x; charset=klingon"}),
    "a byte order mark": Said(body=b'\xef\xbb\xbf{"answer": 1}'),
}


@pytest.mark.parametrize("said", ODD.values(), ids=ODD)
def test_json_is_read_whatever_its_headers_say(said: Said) -> None:
    with serving(lambda path, body, headers: said) as url:
        assert connected(url).post([post(1)]) == [1]


BROKEN = {
    "too large a number": Said(body=b'{"answer": 1e999}'),
    "digits without end": Said(body=b'{"answer": ' + b"9" * 10_000 + b"}"),
    "deep": Said(body=b"[" * 200_000 + b"]" * 200_000),
    "deep inside": Said(body=b'{"answer": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "no gzip": Said(body=b"none", headers={"content-encoding": "gzip"}),
    "packed unasked": Said(body=b"none", headers={"content-encoding": "br"}),
    "packed twice": Said(body=b"none", headers={"content-encoding": "gzip, gzip"}),
    "a bomb": Said(body=gzip.compress(b" " * (MOST + 1)), headers={"content-encoding": "gzip"}),
    "null": Said(body=b'{"answer": null}'),
    "a year that no calendar has": Said(
        500, b"{}", {"retry-after": "Mon, 01 Jan 0001 00:00:00 +2359"}
    ),
}


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN)
def test_what_is_no_reply_is_asked_again_and_fails_one_call(said: Said) -> None:
    asked: list[int] = []

    def answer(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        if body is None:
            return Said.json({"data": []})
        asked.append(body["number"])
        return said if body["number"] == 1 else Said.json({"answer": body["number"]})

    with serving(answer) as url:
        failed, fine = connected(url).post([post(1), post(2)])
    assert isinstance(failed, Failed)
    assert fine == 2
    assert asked.count(1) == 2


@pytest.mark.parametrize("value", ["Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 99999 0:0:0"])
def test_a_date_that_nobody_can_wait_for_is_no_pause(value: str) -> None:
    assert retry_after(value) == 0


@contextmanager
def dripping(head: bytes, drop: bytes, seconds: float) -> Iterator[str]:
    """A server that sends a head and then a drop at a time, for ever."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def drip(peer: socket.socket) -> None:
        with peer:
            try:
                peer.recv(65536)
                peer.sendall(head)
                while not over.wait(seconds):
                    peer.sendall(drop)
            except OSError:
                return

    def accept() -> None:
        while not over.is_set():
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=(peer,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        over.set()
        listener.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
DRIPS = {
    "a byte at a time": (HEAD + b"Content-Length: 1000\r\n\r\n", b" ", 0.05),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", 0.05),
    "headers": (HEAD, b"X-Drip: 1\r\n", 0.05),
}


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_an_attempt_takes_no_longer_than_it_may(drip: tuple[bytes, bytes, float]) -> None:
    began = time.monotonic()
    with dripping(*drip) as url, pytest.raises(MissingError, match="no whole reply in 1 s"):
        connected(url, timeout=1, attempts=2).post([post(1)])
    assert time.monotonic() - began < 30, "each attempt ends, where it would never"


def test_endless_replies_end_at_a_size() -> None:
    with dripping(HEAD + b"Content-Length: 9999999999\r\n\r\n", b" " * 2**18, 0) as url:
        [failed] = connected(url, timeout=60, attempts=1, concurrency=1).get("models")[:1]
    assert isinstance(failed, Failed)
    assert "longer than 2 MiB" in failed.message


def test_a_query_that_breaks_a_server_each_time_fails_alone() -> None:
    """Twelve calls of each: ten failures of one query are no sign that the server is gone."""
    asked: list[int] = []

    def answer(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        if body is None:
            return Said.json({"data": []})
        asked.append(body["number"])
        if body["number"] < 24:
            return Said(500, b"boom")
        return Said.json({"answer": body["number"]})

    calls = [post(number, f"q{number // 12}") for number in range(48)]
    with serving(answer) as url:
        found = connected(url, attempts=1, concurrency=2).post(calls)
    assert all(isinstance(one, Failed) for one in found[:24])
    assert found[24:] == list(range(24, 48))
    assert len([number for number in asked if number < 24]) <= 2 * 2, "nothing more is asked"


def test_failures_of_many_queries_are_a_server_that_is_gone() -> None:
    def answer(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        return Said.json({"data": []}) if body is None else Said(500, b"boom")

    calls = [post(number, f"q{number}") for number in range(100)]
    with serving(answer) as url, pytest.raises(MissingError, match="boom"):
        connected(url, attempts=1).post(calls)


@pytest.mark.parametrize(("said", "longest"), [(Said.json([]), 4), (Said.json({}, 503), 30)])
def test_a_reply_that_is_none_is_asked_again_sooner_than_a_busy_server(
    monkeypatch: pytest.MonkeyPatch, said: Said, longest: float
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("anyio.sleep", sleep)
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.5)

    def answer(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        return Said.json({"data": []}) if body is None else said

    with serving(answer) as url:
        [failed] = connected(url, attempts=12).post([post(1, "q1")])
    assert isinstance(failed, Failed)
    assert longest / 2 <= max(slept) <= longest


def test_waits_are_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("anyio.sleep", sleep)

    def answer(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        return Said.json({"error": "later"}, 429, **{"Retry-After": "1e9"})

    with serving(answer) as url, pytest.raises(MissingError):
        connected(url, said.append, attempts=2).post([post(number) for number in range(8)])
    assert set(slept) == {600.0}
    [line] = said
    assert "asking again in 600 s" in line
    assert "HTTP 429: later" in line


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (Said(400, b""), "HTTP 400: no word of why"),
        (Said(400, b"{}"), "HTTP 400: {}"),
        (
            Said(307, b"", {"location": "http://elsewhere/"}),
            "HTTP 307: no word of why; it points to http://elsewhere/, which is not followed",
        ),
    ],
)
def test_an_empty_body_is_called_so(said: Said, wanted: str) -> None:
    with serving(lambda path, body, headers: said) as url:
        [failed] = connected(url).post([post(1)])
    assert isinstance(failed, Failed)
    assert failed.message == wanted


@pytest.mark.parametrize(
    "path", [f"v1/{KEY}", f"{KEY}/v1", "v1/correct%2Dhorse-battery", "v1/sk-proj-0123456789abcdef"]
)
def test_a_key_in_a_path_is_refused_unseen(path: str) -> None:
    with pytest.raises(UsageError, match="holds an API key") as refused:
        connected(f"http://host/{path}")
    assert path.split("/")[-1] not in str(refused.value)
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("path", ["v1", "openai/deployments/my-gpt-4o-2024-08-06/v1", "sk-8/v1"])
def test_other_paths_are_fine(path: str) -> None:
    assert connected(f"http://host/{path}").base_url == f"http://host/{path}"


def test_no_proxy_leads_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy would get the key in clear; to others it is named, without its own password."""
    seen: list[str] = []

    def answer(path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        seen.append(path)
        return Said(502, b"")

    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(answer) as proxy, serving(lambda *_: Said.json({"answer": 1})) as url:
        address = proxy.removesuffix("/v1")
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, address.replace("//", "//me:secret@"))
        assert connected(url).post([post(1)]) == [1]
        assert proxy_of("http://localhost:8000/v1") is None
        assert seen == []
        with pytest.raises(MissingError, match=r"through the proxy 127\.0\.0\.1") as gone:
            connected("http://model.example/v1", attempts=1).post([post(1)])
        assert "secret" not in str(gone.value)
        assert seen
    assert proxy_of("http://127.9.9.9:1/v1") is None


def test_connections_outlive_a_round() -> None:
    peers: list[int] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def talk(peer: socket.socket) -> None:
        with peer, peer.makefile("rb") as stream:
            while line := stream.readline():
                length = 0
                while (line := stream.readline().strip()) != b"":
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                body = json.dumps({"answer": json.loads(stream.read(length))["number"]}).encode()
                peer.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def accept() -> None:
        while True:
            try:
                peer, address = listener.accept()
            except OSError:
                return
            peers.append(address[1])
            threading.Thread(target=talk, args=(peer,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    server = connected(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", concurrency=1)
    assert [server.post([post(number)]) for number in range(5)] == [[n] for n in range(5)]
    server.close()
    listener.close()
    assert len(peers) == 1
