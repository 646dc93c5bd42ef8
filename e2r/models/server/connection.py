"""One HTTP client, kept open between the rounds of a run, in an event loop of its own."""

from __future__ import annotations

import ipaddress
import sys
import weakref
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2
from anyio.from_thread import BlockingPortal, start_blocking_portal

T = TypeVar("T")

FIRST_CONTACT = 30.0
"""Seconds that a server has to take a connection, where an attempt may take longer."""


@dataclass
class _Open:
    """What is open: the loop's thread, the door to it, and the client in it."""

    thread: AbstractContextManager[BlockingPortal]
    portal: BlockingPortal
    client: httpx2.AsyncClient

    def close(self) -> None:
        with suppress(Exception):
            self.portal.call(self.client.aclose)
        with suppress(Exception):
            self.thread.__exit__(None, None, None)


class Connection:
    """Carries out what is asked of a client; its connections outlive each round.

    The loop's own thread lets it work inside a notebook's loop, and an interruption of the waiting
    thread cancels what is under way.
    """

    def __init__(
        self, base_url: str, headers: Mapping[str, str], *, most: int, seconds: float
    ) -> None:
        self.proxy = proxy_of(base_url)
        self._headers = {**headers, "Accept-Encoding": "gzip, deflate"}
        self._here = is_here(base_url)
        self._most = most
        self._seconds = seconds
        self._opened: _Open | None = None
        self._finalizer: weakref.finalize[..., Connection] | None = None

    def run(self, ask: Callable[[httpx2.AsyncClient], Awaitable[T]]) -> T:
        """What `ask` finds with the client."""
        opened = self._opened or self._open()

        async def asked() -> T:
            return await ask(opened.client)

        try:
            return opened.portal.call(asked)
        except Exception:
            raise
        except BaseException:
            # Interrupted: what is under way is cancelled, and the next call begins anew.
            self._forget()
            with suppress(Exception, KeyboardInterrupt):
                opened.portal.call(opened.client.aclose)
            opened.thread.__exit__(*sys.exc_info())
            raise

    def close(self) -> None:
        """Let go of the connections."""
        if self._opened is not None:
            self._opened.close()
        self._forget()

    def _forget(self) -> None:
        if self._finalizer is not None:
            self._finalizer.detach()
        self._opened = self._finalizer = None

    def _open(self) -> _Open:
        thread = start_blocking_portal()
        portal = thread.__enter__()
        opened = _Open(thread, portal, portal.call(self._client))
        self._opened = opened
        self._finalizer = weakref.finalize(self, opened.close)
        return opened

    async def _client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            headers=self._headers,
            timeout=httpx2.Timeout(self._seconds, connect=min(FIRST_CONTACT, self._seconds)),
            limits=httpx2.Limits(max_connections=self._most, max_keepalive_connections=self._most),
            # No proxy leads to this machine: it would be sent the key on the way.
            trust_env=not self._here,
        )


def is_here(base_url: str) -> bool:
    """Whether a URL's host is this machine by its name."""
    host = (urlsplit(base_url).hostname or "").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_of(base_url: str) -> str | None:
    """The proxy of the environment that calls go through, without credentials; None for none."""
    parts = urlsplit(base_url)
    if is_here(base_url) or proxy_bypass(parts.hostname or ""):
        return None
    named = getproxies()
    found = named.get(parts.scheme) or named.get("all")
    if not found:
        return None
    return found.rpartition("@")[2] if "@" in found else found
