"""The board in a real browser: order, filters, links, downloads, comparisons, chart, keyboard."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.browser.synthetic import record_runs
from tests.metrics.recorded_runs import Asked, record
from tests.site.reading import build, data

COST = "petaflops"


def column(page, key: str) -> list[str]:
    """The visible cells of a column of the board, figures without their intervals."""
    return page.evaluate(
        """(key) => {
          const heads = Array.from(document.querySelectorAll("#board thead th"));
          const place = heads.findIndex((head) => head.dataset.key === key);
          const rows = Array.from(document.querySelectorAll("#board tbody tr"));
          return rows.filter((row) => !row.hidden)
            .map((row) => row.cells[place].firstChild.textContent.trim());
        }""",
        key,
    )


def numbers(texts: list[str]) -> list[float]:
    return [float(text.replace(",", "")) for text in texts if text != "–"]


def own(page) -> list[str]:
    """The visible rows' ids."""
    return page.eval_on_selector_all(
        "#board tbody tr", "rows => rows.filter(row => !row.hidden).map(row => row.id.slice(2))"
    )


def sort_by(page, key: str) -> None:
    page.locator(f'#board th[data-key="{key}"] button').click()


def choose(page, name: str, text: str) -> None:
    page.locator(f'select[name="{name}"]').select_option(label=text)


@pytest.fixture(scope="module")
def rows(site: Path) -> dict[str, dict]:
    """What Python says of each row."""
    return {row["id"]: row for row in data(site / "board-data.js")["rows"]}


def test_every_column_sorts_both_ways_and_says_so(page, home, rows) -> None:
    page.goto(f"{home}index.html#on=all")
    keys = page.eval_on_selector_all("#board thead th[data-key]", "h => h.map(x => x.dataset.key)")
    assert len(keys) == 12
    for key in keys:
        sort_by(page, key)
        head = page.locator(f'#board th[data-key="{key}"]')
        way = head.get_attribute("aria-sort")
        first = own(page)
        sort_by(page, key)
        assert head.get_attribute("aria-sort") != way
        assert sorted(first) == sorted(own(page))
        assert page.locator("#board th[aria-sort]").count() == 1
    sort_by(page, "quality")
    best = [rows[name]["quality"][0][0] for name in own(page)]
    assert best == sorted(best, reverse=True)


def test_prices_of_another_convention_sort_behind_and_say_so(page, home, rows) -> None:
    page.goto(f"{home}index.html#on=all&sort={COST}.ascending")
    for falling in (False, True):
        # Published rows are the dearest: only in falling order does it show that they stand apart.
        published = [
            not rows[name]["place"] for name in own(page) if rows[name]["state"] == "ranked"
        ]
        assert published == sorted(published)
        found = numbers(column(page, COST))[: published.index(True)]
        assert found == sorted(found, reverse=falling)
        sort_by(page, COST)
    assert page.locator("#board tbody tr:visible small", has_text="by paper").count() == 3 * 106
    choose(page, "convention", "paper")
    together = numbers(column(page, COST))
    assert together == sorted(together)
    assert page.locator("#board small", has_text="by paper").count() == 0


@pytest.mark.parametrize("convention", ["torch", "paper"])
@pytest.mark.parametrize(("place", "measure"), [(1, "AP(rel=2)"), (0, "nDCG@10")])
def test_every_figure_follows_the_choices(page, site, rows, convention, place, measure) -> None:
    page.goto(f"{site.as_uri()}/index.html#on=all&measure={quote(measure)}&convention={convention}")
    table = page.eval_on_selector_all(
        "#board tbody tr",
        """rows => rows.map(row => [row.id.slice(2), row.querySelectorAll(".star").length,
          ...Array.from(row.cells, cell => cell.firstChild?.textContent ?? "")])""",
    )
    for name, stars, _, rank, _, _, _, _, quality, cost, rpp, qpp, *_ in table:
        row = rows[name]
        if row["place"] is None or row["state"] != "ranked":
            continue
        assert rank == str(row["ranks"][place])
        assert float(quality) == pytest.approx(row["quality"][place][0], abs=5.1e-5)
        prices = row["costs"][convention]
        spans = [prices["petaflops"], prices["rpp"][place], prices["qpp"]]
        for text, span in zip((cost, rpp, qpp), spans, strict=True):
            wanted = [pytest.approx(span[0], rel=1e-3)] if span else []
            assert numbers([text]) == wanted, (row, text)
        assert stars == prices["frontier"][place]


def test_the_script_writes_figures_as_python_does(page, home) -> None:
    page.goto(f"{home}index.html#on=all")
    table = page.locator("#board tbody")
    before = table.inner_text()
    choose(page, "convention", "torch")
    assert table.inner_text() != before
    choose(page, "convention", "ideal")
    assert table.inner_text() == before


@pytest.mark.parametrize(
    ("name", "text", "key", "wanted"),
    [
        ("family", "setwise", "method", "setwise."),
        ("model", "wide-llama", "label", "wide-llama"),
        ("size", "10–100 B", "label", "flan-t5-xxl"),
        ("source", "printed in a paper", "dataset", ("TREC", "Robust")),
    ],
)
def test_filters_show_what_they_say(page, site, name, text, key, wanted) -> None:
    page.goto(f"{site.as_uri()}/index.html#on=all")
    everything = own(page)
    choose(page, name, text)
    found = column(page, key)
    assert 0 < len(found) < len(everything)
    assert all(cell.startswith(wanted) for cell in found), found
    assert f"{len(found)} of {len(everything)} rows" in page.locator("#shown").inner_text()
    page.get_by_role("button", name="Reset").click()
    choose(page, "on", "all collections")
    assert own(page) == everything


def test_a_view_can_be_linked(page, open_page, home) -> None:
    page.goto(f"{home}index.html#on=all")
    choose(page, "measure", "RR(rel=2)@10")
    choose(page, "convention", "torch")
    choose(page, "family", "pointwise")
    sort_by(page, "rpp")
    page.locator("#budget").fill("0.0001")
    page.locator("#board input[type=checkbox]:visible").nth(0).check()
    page.locator("#board input[type=checkbox]:visible").nth(1).check()
    other = open_page()
    other.goto(page.url)
    assert own(other) == own(page)
    for selector in ("#board", "#afforded", "#compared"):
        other.locator(f"{selector} tbody tr:visible").first.wait_for()
        assert other.locator(selector).inner_text() == page.locator(selector).inner_text()
    assert other.locator("select[name=measure]").input_value() == "RR(rel=2)@10"


@pytest.mark.parametrize(
    "state",
    [
        "sort=evil.descending&measure=none&convention=x&on=%3Cscript%3E",
        "sort=__proto__.ascending&measure=constructor",
        "compare=zzz%20__proto__&budget=-1&on=nowhere&hide=%3Cb%3E",
        "budget=Infinity&size=&family=%F0%9F%92%A9",
        "%E0%A4%A",
    ],
)
def test_an_address_that_makes_no_sense_shows_what_opens(page, site, state) -> None:
    page.goto(f"{site.as_uri()}/index.html")
    opened = own(page)
    page.goto("about:blank")
    page.goto(f"{site.as_uri()}/index.html#{state}")
    assert own(page) == opened
    assert not page.locator("#compare").is_visible()


def test_a_link_within_the_page_keeps_the_view(page, home) -> None:
    page.goto(f"{home}index.html#on=all&family=setwise")
    shown = own(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skip to the content
    assert page.url.endswith("#main")
    assert own(page) == shown


def test_downloads_hold_every_row(page, home, rows, site) -> None:
    page.goto(f"{home}index.html")
    for name in ("CSV", "JSON"):
        if home.startswith("file:"):  # a browser shows a file's neighbour rather than save it
            address = page.get_by_role("link", name=name, exact=True).get_attribute("href")
            text = (site / address).read_text(encoding="utf-8")
        else:
            text = downloaded(page, page.get_by_role("link", name=name, exact=True))
        if name == "CSV":
            assert len(list(csv.DictReader(io.StringIO(text)))) == len(rows)
        else:
            assert sum(len(group["rows"]) for group in json.loads(text)["published"]) == 106


def test_the_view_downloads_as_it_stands(page, home, rows) -> None:
    page.goto(f"{home}index.html#on=all&convention=torch&family=setwise&sort=calls.descending")
    shown = own(page)
    text = downloaded(page, page.get_by_role("button", name="This view as CSV"))
    lines = list(csv.DictReader(io.StringIO(text)))
    text = downloaded(page, page.get_by_role("button", name="This view as JSON"))
    for name, line, fact in zip(shown, lines, json.loads(text), strict=True):
        row = rows[name]
        assert line["run"] == (row["place"] or "") == (fact["run"] or "")
        assert float(line["nDCG@10"]) == fact["nDCG@10"] == row["quality"][0][0]
        if row["place"]:
            cost = row["costs"].get("torch")
            assert fact["PFLOPs/query"] == (cost and cost["petaflops"][0])


def test_two_runs_compare_as_python_says(page, home, site, rows) -> None:
    pairs = data(site / "pairs-data.js")["pairs"]
    key, pair = next(
        (key, pair) for key, pair in pairs.items() if pair["duels"][0] and pair["duels"][0][0][0]
    )
    one, other = key.split()
    difference, p, _, wins, ties, losses = pair["duels"][0]
    page.goto(f"{home}index.html#compare={quote(f'{other} {one}')}")
    table = page.locator("#compared table").nth(1)
    cells = table.locator("tbody tr td").all_inner_texts()
    sign = "−" if difference[0] < 0 else "+"
    assert cells[0].startswith(f"{sign}{abs(difference[0]):.4f}")
    assert cells[1] == ("< 0.0001" if p < 0.0001 else f"{p:.4f}")
    assert cells[3] == f"{wins} / {ties} / {losses}"
    page.goto("about:blank")
    page.goto(f"{home}index.html#compare={quote(f'{one} {other}')}")
    turned = page.locator("#compared table").nth(1).locator("tbody tr td").all_inner_texts()
    assert turned[0].startswith(f"{'+' if sign == '−' else '−'}{abs(difference[0]):.4f}")
    assert turned[3] == f"{losses} / {ties} / {wins}"
    bounds = [
        text.splitlines()[-1].replace("−", "-").split(" to ") for text in (cells[0], turned[0])
    ]
    (low, high), (turned_low, turned_high) = [[float(end) for end in pair] for pair in bounds]
    assert [low, high] == pytest.approx(difference[1:], abs=5.1e-4)
    assert [turned_low, turned_high] == [-high, -low]
    page.locator("#compared summary").click()
    queries = page.locator("#compared details tbody tr")
    assert queries.count() == len(data(site / "pairs-data.js")["queries"][rows[one]["group"]])
    assert "e2r compare runs/" in page.locator("#compared").inner_text()


def test_rows_that_are_no_equals_are_shown_side_by_side_and_not_tested(page, home, rows) -> None:
    run = next(name for name, row in rows.items() if row["dataset"] == "other")
    paper = next(name for name, row in rows.items() if row["group"] and not row["place"])
    page.goto(f"{home}index.html#compare={quote(f'{run} {paper}')}")
    assert page.locator("#compared table").count() == 1
    assert "Not tested" in page.locator("#compared .note").inner_text()


def test_a_budget_names_the_best_row_of_each_group_within_it(page, home, rows, site) -> None:
    page.goto(f"{home}index.html#on=all&convention=paper")
    page.locator("#budget").fill("0.1")
    groups = {group["id"]: group for group in data(site / "board-data.js")["groups"]}
    wanted = {}
    for row in rows.values():
        cost = row["costs"].get("paper")
        if row["state"] == "ranked" and cost and cost["petaflops"][0] <= 0.1:
            best = wanted.get(row["group"])
            if best is None or row["quality"][0][0] > best["quality"][0][0]:
                wanted[row["group"]] = row
    lines = page.locator("#afforded tbody tr").all_inner_texts()
    assert len(lines) == len(groups)
    for group, line in zip(groups, lines, strict=True):
        assert wanted[group]["method"] in line
        assert f"{wanted[group]['quality'][0][0]:.4f}" in line
    assert page.locator("#board tr.afforded").count() == len(groups)
    page.locator("#budget-slider").fill(page.locator("#budget-slider").get_attribute("max"))
    assert "budget" not in page.url


def test_a_dragged_budget_is_followed_at_once_and_remembered_when_let_go(page, site) -> None:
    page.goto(f"{site.as_uri()}/index.html#on=all&convention=paper")
    slider = page.locator("#budget-slider")
    slider.focus()
    before = page.url
    texts = set()
    for value in ("-1", "-2", "-3"):
        slider.evaluate("(s, v) => { s.value = v; s.dispatchEvent(new Event('input')); }", value)
        texts.add(page.locator("#afforded tbody").inner_text())
    assert len(texts) == 3
    assert page.url == before
    slider.evaluate("s => s.dispatchEvent(new Event('change'))")
    assert "budget=0.001" in page.url


@pytest.mark.parametrize(
    "made",
    [
        [{"architecture": None, "model": "oracle"}],
        [{"failed": ("q2",)}],
        [{"method": "first_stage", "model": "no-model", "architecture": None, "documents": None}],
        [{"calls": {}}, {"hash8": "beefbeef"}],
    ],
    ids=["a reference alone", "an incomplete run alone", "no price", "no call"],
)
def test_a_board_with_next_to_nothing_opens(page, tmp_path, made) -> None:
    for asked in made:
        record(tmp_path, replace(Asked(), **asked))
    quiet = {"note": lambda text: None, "paper": False}
    build(tmp_path / "runs", tmp_path / "out", **quiet)
    page.goto((tmp_path / "out" / "index.html").as_uri())
    page.evaluate(
        "async () => { while (!window.vegaEmbed) await new Promise(requestAnimationFrame); }"
    )
    page.locator("#budget").fill("1")
    for name in ("torch", "paper"):
        choose(page, "convention", name)
    for box in page.locator("#board input[type=checkbox]").all():
        box.check()
    assert page.locator("#board tbody tr, #apart tbody tr").count() == len(made)


def test_the_chart_answers_to_the_pointer(page, home, rows) -> None:
    page.goto(f"{home}index.html#on=paper-trec-dl-2019")
    page.wait_for_selector("#chart[data-ready='paper-trec-dl-2019'] svg")
    points = page.locator("#chart .mark-symbol.layer_2_marks path")
    assert points.count() == 29
    points.nth(3).hover(force=True)
    tooltip = page.locator(".vg-tooltip.visible")
    tooltip.wait_for()
    assert "PFLOPs per query" in tooltip.inner_text()
    points.nth(3).click(force=True)
    page.wait_for_url("**/published.html#p*")
    assert rows[page.url.partition("#")[2]]["dataset"] == "TREC DL 2019"


def test_the_chart_of_runs_follows_the_view_and_leads_to_the_run(page, home, rows) -> None:
    page.goto(f"{home}index.html#convention=torch")
    choose(page, "on", page.locator("select[name=on] option", has_text="small").first.inner_text())
    page.wait_for_selector("#chart[data-ready] svg")
    assert "convention torch" in page.locator("#chart").inner_text()
    page.locator("#chart .mark-symbol.layer_2_marks path").first.click(force=True)
    page.wait_for_url("**/runs/*.html")
    assert page.locator("h1").is_visible()


def test_everything_works_from_the_keyboard(page, home) -> None:
    page.goto(f"{home}index.html#on=all")
    before = own(page)
    page.locator('#board th[data-key="calls"] button').focus()
    page.keyboard.press("Enter")
    assert own(page) != before
    page.locator("select[name=family]").focus()
    page.keyboard.type("set")
    page.keyboard.press("Enter")
    assert all(cell.startswith("setwise") for cell in column(page, "method"))
    page.locator("#board input[type=checkbox]:visible").first.focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Compare", exact=True).focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "comparing"


def test_axe_finds_nothing_in_a_full_view(open_page, site, rows, axe) -> None:
    ids = [name for name, row in rows.items() if row["dataset"] == "small"][:3]
    for scheme in ("light", "dark"):
        page = open_page(color_scheme=scheme)
        state = f"budget=0.00001&convention=torch&compare={quote(' '.join(ids))}"
        page.goto(f"{site.as_uri()}/index.html#{state}")
        page.wait_for_selector("#chart svg")
        page.locator("#compared summary").click()
        assert axe(page) == []
        page.goto(f"{site.as_uri()}/published.html")
        assert axe(page) == []


def test_a_board_of_many_rows_shows_them_in_parts_and_all_when_asked(page, tmp_path_factory):
    page.goto(f"{long_board(tmp_path_factory)}#on=all")
    assert len(own(page)) == 200
    assert "the first 200 shown" in page.locator("#shown").inner_text()
    page.get_by_role("button", name="Show all rows").click()
    everything = len(own(page))
    assert everything > 200
    sort_by(page, "calls")
    assert len(own(page)) == 200
    choose(page, "family", "tournament")
    assert len(own(page)) < 200
    assert not page.get_by_role("button", name="Show all rows").is_visible()


def test_without_scripts_the_whole_table_is_there(open_page, site, rows) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{site.as_uri()}/index.html")
    assert page.locator("#board tbody tr").count() == len([r for r in rows.values() if r["group"]])
    # One run is incomplete; the committed ones are unverified where their judgments are absent.
    apart = [row for row in rows.values() if not row["group"]]
    assert page.locator("#apart tbody tr").count() == len(apart) >= 1
    assert page.locator("select, input, button:not(.term)").locator("visible=true").count() == 0
    assert page.locator("figure img").first.is_visible()
    assert page.locator("ol.budget li").count() > 10


def downloaded(page, element) -> str:
    with page.expect_download() as got:
        element.click()
    return Path(got.value.path()).read_text(encoding="utf-8")


def long_board(factory) -> str:
    """The address of a board whose rows were repeated until there are more than 200."""
    root = factory.mktemp("long")
    record_runs(root)
    out = build(root / "runs", root / "out", note=lambda text: None).parent
    content = data(out / "board-data.js")
    page = (out / "index.html").read_text(encoding="utf-8")
    start = page.index("<tbody>", page.index('<table id="board">')) + len("<tbody>")
    end = page.index("</tbody>", start)
    body = page[start:end]
    copies = []
    for row in [row for row in content["rows"] if row["group"]]:
        copies.append({**row, "id": f"x{row['id']}"})
    again = body.replace('<tr id="r-', '<tr id="r-x')
    (out / "index.html").write_text(page[:end] + again + page[end:], encoding="utf-8")
    content["rows"] += copies
    text = f"window.e2rBoard={json.dumps(content)};\n"
    (out / "board-data.js").write_text(text, encoding="ascii")
    return f"{out.as_uri()}/index.html"


def test_the_board_prints_on_a_page_s_width(page, site) -> None:
    page.set_viewport_size({"width": 1050, "height": 700})  # A4 on its side, margins taken off
    page.goto(f"{site.as_uri()}/index.html")
    page.wait_for_selector("#chart svg")
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1050
    assert not page.locator(".bar, nav, .pick").locator("visible=true").count()


def test_it_opens_on_the_richest_collection_alone(page, home, site) -> None:
    content = data(site / "board-data.js")
    page.goto(f"{home}index.html")
    [first] = {row["group"] for row in content["rows"] if row["id"] in own(page)}
    assert first == content["groups"][0]["id"]
    assert page.locator("#all").inner_text() == f"{content['groups'][0]['dataset']}: all rows"
    page.wait_for_selector("#chart[data-ready] svg")
    drawn = page.locator("#chart").inner_text()
    assert content["groups"][0]["dataset"] in drawn
    assert re.search(r"BM25 0\.\d{4}", drawn), "the first stage stands at the margin"


def test_the_frontier_is_named_in_the_chart_and_below_it(page, home, rows) -> None:
    page.goto(f"{home}index.html#on=paper-trec-dl-2019")
    page.wait_for_selector("#chart[data-ready] svg")
    steps = page.locator("#frontier li")
    on = [
        row
        for row in rows.values()
        if row["group"] == "paper-trec-dl-2019"
        and row["family"] != "first_stage"
        and row["costs"]["paper"]["frontier"][0]
    ]
    assert steps.count() == len(on) > 2
    drawn = page.locator("#chart").inner_text()
    for row in on:
        assert f"{row['label']} · {row['method']}" in drawn
        assert any(f"{row['label']} · {row['method']}" in text for text in steps.all_inner_texts())


def test_what_the_words_mean_is_told_by_pointer_focus_and_tap(open_page, site) -> None:
    for touch in (False, True):
        page = open_page(viewport={"width": 390, "height": 844}, has_touch=touch)
        page.goto(f"{site.as_uri()}/index.html")
        for name in ("RPP", "QPP", "★", "interval"):
            word = page.locator(".term", has_text=name).first
            assert not word.locator(".tip").is_visible()
            if touch:
                word.tap()
            else:
                word.hover()
            box = word.locator(".tip").bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390
    page.locator(".term").first.focus()
    assert page.locator(".term .tip").first.is_visible()


KEYS = ("rank", "label", "size", "method", "quality", "petaflops", "rpp", "qpp", "calls", "rounds",
        "failures")  # fmt: skip


@pytest.mark.parametrize("width", [390, 820, 1280, 1920])
def test_every_column_can_be_reached(open_page, site, width) -> None:
    page = open_page(viewport={"width": width, "height": 900})
    page.goto(f"{site.as_uri()}/index.html")
    line = page.locator("#board tbody tr:visible").first
    for key in ("label", "method", "quality", "petaflops", "rpp"):
        box = line.locator(f'[data-col="{key}"]').bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width, f"{key} is cut off"
    page.locator("#columns summary").click()
    for box in page.locator("#columns input").all():
        box.check()
    for key in KEYS:
        line.locator(f'[data-col="{key}"]').scroll_into_view_if_needed()
        assert line.locator(f'[data-col="{key}"]').is_visible(), key
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#columns input[name=col-qpp]").uncheck()
    assert not line.locator('[data-col="qpp"]').is_visible()


@pytest.mark.parametrize("width", [820, 1280, 1920])
def test_heads_stay_in_view(open_page, site, width) -> None:
    page = open_page(viewport={"width": width, "height": 700})
    page.goto(f"{site.as_uri()}/index.html#on=all")
    page.locator("#board tbody tr:visible").nth(30).scroll_into_view_if_needed()
    head = page.locator("#board thead th").nth(2).bounding_box()
    assert 0 <= head["y"] < 600


def test_a_row_is_a_card_on_a_phone(open_page, site, axe) -> None:
    page = open_page(viewport={"width": 390, "height": 844})
    page.goto(f"{site.as_uri()}/index.html")
    line = page.locator("#board tbody tr:visible").first
    for key, name in (("quality", "nDCG@10"), ("petaflops", "PFLOPs/query"), ("rpp", "RPP")):
        cell = line.locator(f'[data-col="{key}"]')
        shown = cell.evaluate("cell => getComputedStyle(cell, '::before').content")
        assert name in shown
        assert cell.bounding_box()["x"] + cell.bounding_box()["width"] <= 390
    assert axe(page) == []


def test_a_tap_shows_a_point_and_a_second_opens_it(open_page, site) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.goto(f"{site.as_uri()}/index.html#on=paper-trec-dl-2019")
    page.wait_for_selector("#chart[data-ready] svg")
    point = page.locator("#chart .mark-symbol.layer_2_marks path").nth(3)
    point.scroll_into_view_if_needed()
    point.tap(force=True)
    page.locator("#chart-picked").wait_for()
    assert "PFLOPs per query" in page.locator("#chart-picked").inner_text()
    assert page.url.endswith("paper-trec-dl-2019")
    point.tap(force=True)
    page.wait_for_url("**/published.html#p*")
