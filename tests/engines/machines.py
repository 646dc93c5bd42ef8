"""Machines of a cluster on this one: network namespaces at a bridge, each a Ray node."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
PORT = 6379
# A node that does not answer for some fifteen seconds is lost; Ray's own default is a minute.
HEALTH = {"period_ms": "1000", "timeout_ms": "5000", "failure_threshold": "3"}


class NoNamespacesError(Exception):
    """Why this machine lets nobody make network namespaces."""


def ip(*words: str) -> str:
    """What iproute2's `ip` says. Raises NoNamespacesError where it may not."""
    try:
        done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NoNamespacesError("iproute2 is not installed") from None
    if done.returncode:
        raise NoNamespacesError(f"`ip {' '.join(words)}`: {done.stderr.strip()}")
    return done.stdout


class Machines:
    """A cluster whose first machine is its head, without CPUs for workers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._hub = f"e2r-{os.getpid()}-hub"
        self._there: list[int] = []
        self._running: list[subprocess.Popen[str]] = []
        self.address = f"{self._ip(1)}:{PORT}"
        self.environment = {
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": str(ROOT),
            **{f"RAY_health_check_{name}": value for name, value in HEALTH.items()},
        }

    def connect(self) -> None:
        """Lay the bridge. Raises NoNamespacesError where this machine does not let us."""
        ip("netns", "add", self._hub)
        try:
            ip("-n", self._hub, "link", "add", "bridge", "type", "bridge")
            ip("-n", self._hub, "address", "add", "10.9.0.254/24", "dev", "bridge")
            ip("-n", self._hub, "link", "set", "bridge", "up")
            ip("netns", "exec", self._hub, "true")
        except NoNamespacesError:
            self.end()
            raise

    def end(self) -> None:
        """Switch everything off and take the network down."""
        for number in self._there:
            while pids := self.pids(number):
                for pid in pids:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.05)
        for process in self._running:
            process.wait(300)
        for number in self._there:
            ip("netns", "delete", self._name(number))
        ip("netns", "delete", self._hub)

    def join(self, number: int) -> None:
        """Switch a machine on and wait until it is a node of the cluster."""
        name, cable, own = self._name(number), f"v{number}", self._ip(number)
        ip("netns", "add", name)
        self._there.append(number)
        ip("-n", self._hub, "link", "add", cable, "type", "veth", "peer", "eth0", "netns", name)
        ip("-n", self._hub, "link", "set", cable, "master", "bridge", "up")
        ip("-n", name, "address", "add", f"{own}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", name, "link", "set", device, "up")
        # Ray asks the way to the world for its own address.
        ip("-n", name, "route", "add", "default", "via", "10.9.0.254")
        whose = ["--head", "--port", f"{PORT}", "--num-cpus", "0", "--include-dashboard", "false"]
        if number > 1:
            whose = ["--address", self.address, "--num-cpus", "1"]
        words = [*whose, "--node-ip-address", own, "--object-store-memory", f"{80 * 2**20}"]
        log = self._folder / f"node-{number}.log"
        ray = ["-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        node = self.start(number, log, *ray, *words)
        self.until(lambda: "Ray runtime started" in log.read_text(), node, log)

    def start(self, number: int, log: Path, *words: str) -> subprocess.Popen[str]:
        """Python on a machine, in the folder of the test."""
        with log.open("w") as stream:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self._name(number), sys.executable, *words],
                cwd=self._folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                text=True,
            )
        self._running.append(process)
        return process

    def until(self, holds: Callable[[], bool], working: subprocess.Popen[str], log: Path) -> None:
        """Wait for what a process makes happen, as long as it lives."""
        deadline = time.monotonic() + 600
        while not holds():
            assert working.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.05)

    def pids(self, number: int) -> list[int]:
        """What runs on a machine now."""
        return [int(pid) for pid in ip("netns", "pids", self._name(number)).split()]

    def kill_raylet(self, number: int) -> None:
        """End what holds a node together, and with it the node."""
        for pid in self.pids(number):
            if psutil.Process(pid).name() == "raylet":
                os.kill(pid, signal.SIGKILL)

    def cut(self, number: int) -> None:
        """Pull a machine's cable."""
        ip("-n", self._hub, "link", "set", f"v{number}", "down")

    def _name(self, number: int) -> str:
        return f"e2r-{os.getpid()}-{number}"

    def _ip(self, number: int) -> str:
        return f"10.9.0.{number}"
