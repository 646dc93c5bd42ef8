"""A Ray cluster of two CPUs, in processes of its own, that tests join."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A token of this session's own: a cluster lets nobody else in, and none is written at home.
os.environ["RAY_AUTH_MODE"] = "token"
os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster that another process has started, and that outlives each test."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("cluster") / "head.log"
    words = ["start", "--head", "--block", "--port", str(port), "--num-cpus", "2"]
    words += ["--node-ip-address", "127.0.0.1", "--include-dashboard", "false"]
    with log.open("w") as stream:
        head = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", *words, "--disable-usage-stats"],
            stdout=stream,
            stderr=stream,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    try:
        deadline = time.monotonic() + 600
        while "Ray runtime started" not in log.read_text():
            assert head.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
        assert head.poll() is None, "the cluster must outlive the runs that join it"
    finally:
        head.terminate()
        head.wait(300)
