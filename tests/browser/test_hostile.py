"""Runs from strangers in a real browser: nothing of them is ever executed."""

from __future__ import annotations

import shlex
from dataclasses import replace
from urllib.parse import quote

import pytest

from tests.metrics.recorded_runs import Asked, record
from tests.site.hostile_run import ASKED, write_evil
from tests.site.reading import build, data

SCRIPT = (
    "</script><script>window.broken=1</script><img src=x onerror='window.broken=1'>"
    "\"'>{{7*7}}<svg onload=window.broken=1>"
)


@pytest.fixture(scope="module")
def evil_site(tmp_path_factory):
    """A board of two runs with script in every text field, one of them cheaper."""
    root = tmp_path_factory.mktemp("evil")
    for number, tokens in enumerate((9, 900)):
        calls = {qid: [(tokens, 1, 1)] for qid in ASKED["rankings"]}
        asked = replace(Asked(), **{**ASKED, "hash8": f"{number:08x}", "calls": calls})
        write_evil(record(root, asked), SCRIPT)
    return build(root / "runs", root / "out", note=lambda text: None).parent


def test_nothing_of_a_run_is_executed_on_the_board(page, evil_site) -> None:
    rows = [row["id"] for row in data(evil_site / "board-data.js")["rows"] if row["place"]]
    state = f"on=all&model={quote(SCRIPT)}&compare={quote(' '.join(rows))}&budget=1"
    page.goto(f"{evil_site.as_uri()}/index.html#{state}")
    page.wait_for_selector("#chart svg")
    page.locator("#compared summary").click()
    assert page.locator("#board tbody tr:visible").count() == 2
    assert page.locator("#board tbody tr:visible th").first.inner_text() == SCRIPT
    page.locator("#chart .mark-symbol.layer_2_marks path").first.hover(force=True)
    page.locator(".vg-tooltip.visible").wait_for()
    assert SCRIPT in page.locator(".vg-tooltip").inner_text()
    for select in page.locator("select:visible").all():
        select.select_option(index=0)
    assert page.locator("img[src=x], #board svg, .vg-tooltip img, .vg-tooltip svg").count() == 0
    assert page.evaluate("window.broken") is None


def test_nothing_of_a_run_is_executed_on_its_page(page, evil_site) -> None:
    for path in (evil_site / "runs").glob("*.html"):
        page.goto(path.as_uri())
        assert SCRIPT in page.locator("h1").inner_text()
        assert page.evaluate("window.broken") is None
        assert page.locator("main img, main svg, main script").count() == 0


def test_the_policy_stops_what_an_error_of_ours_would_let_through(browser, evil_site) -> None:
    [path, *_] = (evil_site / "runs").glob("*.html")
    text = path.read_text(encoding="utf-8")
    (evil_site / "slip.html").write_text(text.replace("<h1>", f"<h1>{SCRIPT}"), encoding="utf-8")
    page = browser.new_page()
    page.goto((evil_site / "slip.html").as_uri())
    assert page.locator("h1 svg, h1 img").count() > 0
    assert page.evaluate("window.broken") is None
    page.close()


def test_a_folder_with_a_shell_s_words_stays_one_word(page, tmp_path) -> None:
    names = ("small;rm -rf ~", "it's")
    for hash8, name in zip(("00000000", "11111111"), names, strict=True):
        record(tmp_path, Asked(hash8=hash8)).path.rename(tmp_path / "runs" / name)
    out = build(tmp_path / "runs", tmp_path / "out", note=lambda text: None).parent
    rows = [row["id"] for row in data(out / "board-data.js")["rows"] if row["place"]]
    page.goto(f"{out.as_uri()}/index.html#compare={quote(' '.join(rows))}")
    command = page.locator("#compared p code").inner_text()
    assert set(shlex.split(command)[2:]) == {f"runs/{name}" for name in names}
