"""A Ray cluster: started on this machine or joined, quietly, and what it has."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from e2r.errors import MissingError, UsageError

TIMEOUT = 20.0
"""Seconds that a cluster has to answer."""
AUTHENTICATION = (
    "where the cluster asks for a token, set RAY_AUTH_MODE=token here too, and the token as Ray's "
    "documentation says"
)


def refuse_client(address: str | None) -> None:
    """Raise UsageError for addresses of Ray Client."""
    if address is not None and address.startswith("ray://"):
        raise UsageError(
            f"--address {address}: Ray Client cannot stream results; run e2r on a node of the "
            "cluster, with --address auto"
        )


def connect(address: str | None) -> None:
    """Start a cluster on this machine, or join the one at an address.

    Raises MissingError where no cluster answers, UsageError for what is no address.
    """
    if address is not None:
        _refuse_unreachable(address)
    try:
        with _own_sigterm():
            ray.init(
                address=address or "local",
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except (ConnectionError, RuntimeError, ValueError) as error:
        what = f"--address {address}" if address else "a Ray cluster on this machine"
        raise MissingError(
            f"{what}: cannot be reached ({reason(error)}); run e2r on a node of the cluster; "
            f"{AUTHENTICATION}"
        ) from error


def nodes() -> list[dict[str, float]]:
    """What each node has in all, as Ray names it: CPU, GPU …"""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def free() -> str:
    """What of the cluster nobody holds."""
    left = ray.available_resources()
    return f"{left.get('CPU', 0):g} CPUs and {left.get('GPU', 0):g} GPUs"


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep this process's answer to SIGTERM, which ray.init replaces by an exit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGTERM, ours)


def _refuse_unreachable(address: str) -> None:
    """Raise MissingError where nobody, or no Ray cluster, answers; ray.init tries for minutes."""
    words = [sys.executable, "-m", "ray.scripts.scripts", "status"]
    if address != "auto":
        _refuse_silence(address)
        words += ["--address", address]
    try:
        subprocess.run(words, capture_output=True, timeout=TIMEOUT, check=True)
    except subprocess.TimeoutExpired:
        said = f"no answer in {TIMEOUT:g} seconds"
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        said = lines[-1][:200] if lines else "no answer"
    else:
        return
    raise MissingError(
        f"--address {address}: no Ray cluster that lets us in ({said}); start one by ray start "
        f"--head, or mend the address; {AUTHENTICATION}"
    )


def _refuse_silence(address: str) -> None:
    """Raise UsageError for what is no address, MissingError where nothing listens."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f"--address {address}: write HOST:PORT, as ray start tells it, or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise MissingError(
            f"--address {address}: nobody answers there ({error}); start the cluster by ray start "
            "--head, or mend the address"
        ) from None


def reason(error: BaseException) -> str:
    """The first line of an error of Ray, and the last where that is what was raised inside."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    told = lines[0] if "creation task" not in lines[0] else lines[-1]
    return told.rstrip(".")[:200]
