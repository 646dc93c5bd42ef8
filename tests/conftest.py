"""Fixtures that many tests share, and the fence: no test leaves this machine."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Read when the libraries are imported, here and in the processes that tests start: no hub is asked,
# and what the user has fetched before is not at hand.
CACHE = tempfile.TemporaryDirectory(prefix="e2r-tests-")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["XDG_CONFIG_HOME"] = f"{CACHE.name}/config"
os.environ["HF_HOME"] = f"{CACHE.name}/huggingface"
os.environ["IR_DATASETS_HOME"] = f"{CACHE.name}/ir_datasets"
os.environ["IR_DATASETS_TMP"] = f"{CACHE.name}/ir_datasets"

# Tiny models gain nothing from threads, and lose much where other processes want the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"
HERE = (None, "", "localhost", "127.0.0.1", "::1", b"127.0.0.1", socket.gethostname())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of several processes, none is left alone with a slow file at the end: those come first."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real collections that lies beside the project, never inside it."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the data folder {SHARED_DATA}, which is not here")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def fence(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Fail a test that looks up a foreign host; one that means to may clear the list."""
    asked: list[str] = []
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *words: Any, **options: Any) -> Any:
        if host in HERE:
            return look_up(host, *words, **options)
        asked.append(str(host))
        raise socket.gaierror(f"tests may not leave this machine, but ask for {host}")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield asked
    assert asked == [], f"this test asked for {asked}"
