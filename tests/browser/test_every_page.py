"""Every kind of page opens in a browser without an error or a request, and axe finds nothing."""

from __future__ import annotations

import pytest

PAGES = ["index.html", "what-if.html", "about.html", "run"]
SCHEMES = ["light", "dark"]


@pytest.fixture(params=PAGES)
def name(request, site) -> str:
    """A page's address within the site; one run stands for all."""
    if request.param != "run":
        return request.param
    return str(min((site / "runs").glob("*setwise*")).relative_to(site))


def test_it_opens(page, home, name) -> None:
    page.goto(home + name)
    assert page.locator("main h1").is_visible()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing(open_page, site, name, scheme, axe) -> None:
    page = open_page(color_scheme=scheme)
    page.goto(f"{site.as_uri()}/{name}")
    assert axe(page) == []


@pytest.mark.parametrize("width", [390, 820, 1440])
def test_it_does_not_scroll_sideways(open_page, site, name, width) -> None:
    page = open_page(viewport={"width": width, "height": 800})
    page.goto(f"{site.as_uri()}/{name}")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width


def test_it_reads_without_scripts(open_page, site, name) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{site.as_uri()}/{name}")
    assert page.locator("main h1").is_visible()


def test_a_page_that_misbehaves_is_caught(site, browser, tmp_path) -> None:
    from tests.browser.conftest import _complaint, _leaving

    assert _leaving("https://example.org/x.js")
    assert _leaving("http://127.0.0.1.example.org/")
    assert not _leaving("http://127.0.0.1:8000/")
    bad = tmp_path / "bad.html"
    bad.write_text('<script>console.error("broken")</script>')
    page = browser.new_page()
    with page.expect_console_message() as heard:
        page.goto(bad.as_uri())
    assert _complaint(heard.value)
    page.close()
