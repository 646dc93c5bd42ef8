"""HTTP servers for the tests: one that is told what to say, and a proxy that disturbs."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Said:
    """What a server does: `cut` drops the connection after so many bytes of the body."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    wait: float = 0.0

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Said:
        return cls(status, json.dumps(value).encode(), headers)


Answer = Callable[[str, "dict[str, Any] | None", Mapping[str, str]], Said]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """A server that answers by a function of path, JSON body and headers; yields its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            said = answer(self.path, body, dict(self.headers))
            time.sleep(said.wait)
            if said.cut == 0:
                return
            try:
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(said.body)))
                self.end_headers()
                self.wfile.write(said.body[: said.cut])
            except OSError:
                pass  # the client was told to lose patience

        do_GET = do_POST = handle_any  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class FaultProxy:
    """Passes calls on to another server, and disturbs each question up to `most` times first.

    `answered` counts, by path and body, how often a question's whole answer was passed back;
    `faults` counts what was done to others; `watch` is told each new total of answers.
    After `goes_away_after` answers it answers nobody.
    """

    KINDS = ("429", "429 later", "500", "503", "dropped", "cut", "half JSON", "slow")

    def __init__(
        self, upstream: str, most: int = 0, seed: int = 0, goes_away_after: int | None = None
    ) -> None:
        self._upstream = upstream.removesuffix("/v1")
        self._most = most
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._disturbed: Counter[str] = Counter()
        self.goes_away_after = goes_away_after
        self.answered: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.headers: list[Mapping[str, str]] = []
        self.slow = 4.0
        self.watch: Callable[[int], None] = lambda answers: None

    def __call__(self, path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        question = f"{path} {json.dumps(body, sort_keys=True)}"
        with self._lock:
            self.headers.append(headers)
            if self.goes_away_after is not None and self.answered.total() >= self.goes_away_after:
                return Said(cut=0)
            fault = None
            if body is not None and self._disturbed[question] < self._most:
                self._disturbed[question] += 1
                fault = self._random.choice((*self.KINDS, None))
            self.faults[str(fault)] += 1
        if fault == "429":
            return Said.json({"error": {"message": "slow down"}}, 429)
        if fault == "429 later":
            return Said.json({"error": "later"}, 429, **{"Retry-After": "0.2"})
        if fault == "500":
            return Said(500, b"Internal Server Error")
        if fault == "503":
            return Said.json({"message": "loading"}, 503)
        if fault == "dropped":
            return Said(cut=0)
        said = self._pass_on(path, body, headers)
        if fault == "cut":
            return Said(said.status, said.body, cut=len(said.body) // 2)
        if fault == "half JSON":
            return Said(said.status, said.body[: len(said.body) // 2])
        if fault == "slow":
            return Said(said.status, said.body, wait=self.slow)
        with self._lock:
            if body is not None and said.status == 200:
                self.answered[question] += 1
                self.watch(self.answered.total())
        return said

    def _pass_on(self, path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        request = urllib.request.Request(
            self._upstream + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=600) as response:
                return Said(response.status, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Said(error.code, error.read())
        except OSError:
            return Said(cut=0)
