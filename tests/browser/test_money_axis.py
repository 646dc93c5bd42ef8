"""The picture shows money where the board has a price list, and its frontier follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2r.money.words import tariff
from tests.browser.synthetic import record_runs
from tests.site.reading import build


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site whose runs are paid for by the token."""
    root = tmp_path_factory.mktemp("priced")
    record_runs(root)
    return build(
        root / "runs",
        root / "leaderboard",
        note=lambda text: None,
        tariff=tariff(["in=0.15,out=0.60"]),
    ).parent


def test_the_axis_switches_to_money_and_back(page, priced: Path) -> None:
    page.goto((priced / "index.html").as_uri())
    page.wait_for_selector("#chart[data-ready]")
    assert "PFLOPs" in page.inner_text("#frontier")
    head = page.locator("#board th[data-key=money]")
    assert "in=0.15,out=0.60" in head.locator("abbr").get_attribute("title")
    head.get_by_role("button").click()
    amounts = page.locator("#board tbody tr:not([hidden]) td[data-col=money]").all_text_contents()
    values = [float(text.split()[0]) for text in amounts if text.strip() != "–"]
    assert values == sorted(values)
    page.select_option("select[name=axis]", index=1)
    page.wait_for_function(
        "document.querySelector('#frontier').innerText.includes('USD a thousand queries')"
    )
    page.wait_for_function(
        "document.querySelector('#chart svg')?.textContent.includes('USD a thousand queries')"
    )
    page.select_option("select[name=axis]", index=0)
    page.wait_for_function("!document.querySelector('#frontier').innerText.includes('USD')")
    # Where no row of a collection has money, nobody is asked for it.
    page.select_option("select[name=axis]", index=1)
    published = page.locator("select[name=on] option", has_text="published").first
    page.select_option("select[name=on]", published.get_attribute("value"))
    assert page.locator("select[name=axis]").is_hidden()
    assert "USD" not in page.inner_text("#frontier")
