"""A real browser for the site's tests: Debian's Chromium, a built site, and pages that are watched.

`page` is a page whose test fails on any console error and on any request that leaves the machine.
`home` is the address of the built site, once from a file and once from a local server.
"""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.synthetic import record_runs
from tests.site.reading import build

NAMES = ("chromium", "chromium-browser", "google-chrome")
LOCAL = ("file:", "data:", "blob:", "about:")

OpenPage: TypeAlias = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser is slow by definition."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the browser; `make test` installs Debian's."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("needs a Chromium on PATH; on Debian: apt-get install chromium")
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One browser for the tests of a file.

    Not one a session: while Playwright is alive, an event loop counts as running in this thread,
    and other rooms' tests want to run their own. Starting anew costs half a second.
    """
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a site built from synthetic runs and the committed ones."""
    root = tmp_path_factory.mktemp("board")
    record_runs(root)
    return build(root / "runs", root / "leaderboard", note=lambda text: None).parent


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], str]]:
    """serve(folder) gives the address at which a local server offers the folder."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(folder: Path) -> str:
        handler = partial(Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(params=["file", "server"])
def home(request: pytest.FixtureRequest, site: Path, serve: Callable[[Path], str]) -> str:
    """The site's address with a slash at its end: append index.html, about.html …"""
    if request.param == "file":
        return f"{site.as_uri()}/"
    if not hasattr(request.session, "site_address"):
        request.session.site_address = serve(site)  # type: ignore[attr-defined]
    return str(request.session.site_address)  # type: ignore[attr-defined]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """open_page(**options) is a watched page in a fresh context; options are Playwright's.

    color_scheme="dark", viewport={"width": 390, "height": 844}, java_script_enabled=False …
    """
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def opened(**options: Any) -> Page:
        context = browser.new_context(**options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        context.on("request", lambda request: faults.extend(_leaving(request.url)))
        context.on("console", lambda message: faults.extend(_complaint(message)))
        context.on("weberror", lambda error: faults.append(f"uncaught: {error.error}"))
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()
    assert not faults, faults


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A watched page, 1280 × 800."""
    return open_page(viewport={"width": 1280, "height": 800})


@pytest.fixture(scope="session")
def axe() -> Callable[[Page], list[str]]:
    """axe(page) lists what axe-core finds wrong with the page as it now stands."""
    source = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")

    def run(page: Page) -> list[str]:
        # The debugger's channel, which no content security policy governs.
        page.evaluate(source)
        # Without `preload` axe fetches no style sheet, which the policy would refuse.
        found = page.evaluate("() => axe.run({resultTypes: ['violations'], preload: false})")
        return [
            f"{fault['id']}: {fault['help']}: {node['html']}"
            for fault in found["violations"]
            for node in fault["nodes"]
        ]

    return run


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that keeps its log to itself."""

    def log_message(self, *said: Any) -> None:
        """Say nothing."""


def _leaving(url: str) -> list[str]:
    local = url.startswith(LOCAL) or url.startswith("http://127.0.0.1:")
    return [] if local else [f"a request left the machine: {url}"]


def _complaint(message: Any) -> list[str]:
    if message.type != "error":
        return []
    return [f"console: {message.text} ({message.location.get('url', '')})"]
