"""Machines of a cluster on this one: namespaces of network, processes and name, at a bridge."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
PORT = 6379
HUB = 0
NAMESPACES = ["--net", "--pid", "--uts", "--fork", "--mount-proc", "--kill-child"]
# A machine is up as long as its first process is, which ends with the test that holds its stdin.
# Ray keeps addresses and sockets in /tmp/ray: each machine has a folder of its own there.
FIRST = """
import os, socket, subprocess, sys
socket.sethostname(sys.argv[1])
os.makedirs("/tmp/ray", exist_ok=True)
subprocess.run(["mount", "--bind", sys.argv[2], "/tmp/ray"], check=True)
print("up", flush=True)
sys.stdin.read()
"""
KILL = "import psutil\n[it.kill() for it in psutil.process_iter() if it.name() == 'raylet']"
# A node that does not answer for some fifteen seconds is lost; Ray's own default is a minute.
HEALTH = {"period_ms": "1000", "timeout_ms": "5000", "failure_threshold": "3"}


class NoNamespacesError(Exception):
    """Why this machine lets nobody make namespaces."""


class Machines:
    """A cluster, guarded by a token, whose first machine is its head and has no CPU for workers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._first: dict[int, subprocess.Popen[str]] = {}
        self._running: list[subprocess.Popen[str]] = []
        self.address = f"{_ip(1)}:{PORT}"
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
        try:
            self._switch_on(HUB)
            self._network(HUB, "link add bridge type bridge")
            self._network(HUB, f"address add {_ip(254)}/24 dev bridge")
            self._network(HUB, "link set bridge up")
        except NoNamespacesError:
            self.end()
            raise

    def end(self) -> None:
        """Switch everything off; namespaces go with their last process."""
        for first in self._first.values():
            first.communicate()
        for process in self._running:
            process.wait(300)

    def join(self, number: int) -> None:
        """Switch a machine on and wait until it is a node of the cluster."""
        self._switch_on(number)
        cable = f"v{number}"
        peer = f"peer name eth0 netns {self._pid(number)}"
        self._network(HUB, f"link add {cable} type veth {peer}")
        self._network(HUB, f"link set {cable} master bridge up")
        self._network(number, f"address add {_ip(number)}/24 dev eth0")
        for device in ("lo", "eth0"):
            self._network(number, f"link set {device} up")
        # Ray asks the way to the world for its own address.
        self._network(number, f"route add default via {_ip(254)}")
        whose = ["--head", "--port", f"{PORT}", "--num-cpus", "0", "--include-dashboard", "false"]
        if number > 1:
            whose = ["--address", self.address, "--num-cpus", "1"]
        words = [*whose, "--node-ip-address", _ip(number), "--object-store-memory", f"{80 << 20}"]
        log = self._folder / f"node-{number}.log"
        ray = ["-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        node = self.start(number, log, *ray, *words)
        self.until(lambda: "Ray runtime started" in log.read_text(), node, log)

    def start(self, number: int, log: Path, *words: str) -> subprocess.Popen[str]:
        """Python on a machine, in the folder of the test."""
        inside = ["nsenter", "--target", f"{self._pid(number)}", "--net", "--pid", "--uts"]
        with log.open("w") as stream:
            process = subprocess.Popen(
                [*inside, "--mount", f"--wd={self._folder}", sys.executable, *words],
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

    def name(self, number: int) -> str:
        """A machine's host name."""
        return f"e2r{number}"

    def kill_raylet(self, number: int) -> None:
        """End what holds a node together, and with it the node."""
        assert self.start(number, self._folder / "kill.log", "-c", KILL).wait() == 0

    def kill(self, started: subprocess.Popen[str]) -> None:
        """Kill what was started on a machine; nsenter, its parent here, would leave it running."""
        [inside] = psutil.Process(started.pid).children()
        inside.kill()
        assert started.wait(60) == -signal.SIGKILL

    def cut(self, number: int) -> None:
        """Pull a machine's cable."""
        self._network(HUB, f"link set v{number} down")

    def _switch_on(self, number: int) -> None:
        own = self._folder / f"ray-{number}"
        own.mkdir()
        try:
            first = subprocess.Popen(
                ["unshare", *NAMESPACES, sys.executable, "-c", FIRST, self.name(number), str(own)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        except FileNotFoundError:
            raise NoNamespacesError("util-linux's unshare is not installed") from None
        self._first[number] = first
        assert first.stdout is not None
        if first.stdout.readline() != "up\n":
            raise NoNamespacesError((first.communicate()[1].strip() or "?").splitlines()[-1])

    def _pid(self, number: int) -> int:
        [first] = psutil.Process(self._first[number].pid).children()
        return int(first.pid)

    def _network(self, number: int, words: str) -> None:
        inside = ["nsenter", "--target", f"{self._pid(number)}", "--net", "ip", *words.split()]
        done = subprocess.run(inside, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoNamespacesError(f"`ip {words}`: {done.stderr.strip()}")


def _ip(number: int) -> str:
    return f"10.9.0.{number}"
