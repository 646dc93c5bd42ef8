"""The Hub is asked once and quickly; where it is silent, nothing waits for it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from e2r import hub
from e2r.errors import MissingError
from e2r.models.network.transformers import load
from e2r.records.spec import ExecutionSpec, ModelSpec
from tests.tiny_models import save_llama


class Refusing(BaseHTTPRequestHandler):
    asked = 0

    def do_HEAD(self) -> None:
        Refusing.asked += 1
        self.send_error(401)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    hub.answers.cache_clear()
    yield
    hub.answers.cache_clear()


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Refusing) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def test_any_answer_counts_and_is_asked_for_once(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", server)
    before = Refusing.asked
    assert hub.answers()
    assert hub.answers()
    assert Refusing.asked == before + 1


def test_a_hub_that_is_switched_off_is_not_asked(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "ENDPOINT", server)
    before = Refusing.asked
    assert not hub.answers()
    assert Refusing.asked == before


def test_a_closed_door_and_a_silent_one_are_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.monotonic()
        assert not hub.within(0.2, f"http://127.0.0.1:{port}")
        assert time.monotonic() - began < 60, "a silent door alone would be waited at for ever"
    assert not hub.within(2, f"http://127.0.0.1:{port}")
    assert not hub.within(2, "no address")


def test_a_search_for_a_name_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *words, **options: released.wait() and [])
    assert not hub.within(0.1, "http://hub.test")
    released.set()


def test_a_model_in_the_cache_is_read_where_the_hub_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one retry, for which the Hub's client would pause before it looks there."""
    cache = tmp_path / "hub"
    commit = "0" * 40
    kept = cache / "models--somebody--tiny"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text(commit)
    (kept / "snapshots" / commit).mkdir(parents=True)
    save_llama(kept / "snapshots" / commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("it pauses for a retry"))
    model = load(ModelSpec(source="somebody/tiny"), ExecutionSpec(device="cpu"))
    assert model.record().revision == commit
    with pytest.raises(MissingError, match=r"somebody/other: it is not in .* cache, and the Hub"):
        load(ModelSpec(source="somebody/other"), ExecutionSpec(device="cpu"))
