"""How long a board of 1,000 runs takes to build, and how soon its page answers in Chromium.

Run it from the project's root: OMP_NUM_THREADS=1 python -m benchmarks.site
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from e2r.site import build
from tests.metrics.recorded_runs import LLAMA, Asked, record

RUNS = 1000
QUERIES, DEPTH, DATASETS, MODELS = 43, 20, 4, 50
METHODS = (
    "pointwise.qlm",
    "pointwise.yes_no",
    "pairwise.heapsort",
    "setwise.heapsort",
    "listwise.generation",
)
MEASURES = "nDCG@10 RR(rel=2)@10 AP(rel=2)"
KEYS = ("quality", "petaflops", "label", "rpp", "calls", "rank")
SLIDES = 30
OPENINGS = 5
DATA = {"board-data.js", "pairs-data.js"}
SORT = """async (key) => {
  const button = document.querySelector(`th[data-key="${key}"] button`);
  const began = performance.now();
  button.click();
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  return performance.now() - began;
}"""
USABLE = "() => performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"


def record_runs(root: Path) -> None:
    """Write the runs: four collections, every method, 8 to 20 calls a query."""
    chance = random.Random(0)
    judgments = {
        f"q{query}": {f"d{place}": chance.choice([0, 0, 1, 2, 3]) for place in range(DEPTH)}
        for query in range(QUERIES)
    }
    for number in range(RUNS):
        skill = chance.random()
        rankings = {
            qid: tuple(sorted(grades, key=lambda d: -grades[d] * skill + 3 * chance.random()))
            for qid, grades in judgments.items()
        }
        calls = {
            qid: [(chance.randint(60, 300), 1, 1) for _ in range(chance.randint(8, DEPTH))]
            for qid in judgments
        }
        asked = replace(
            Asked(),
            method=METHODS[number % len(METHODS)],
            model=f"model-{number % MODELS}",
            dataset=f"collection-{number % DATASETS}",
            hash8=hashlib.sha256(str(number).encode()).hexdigest()[:8],
            architecture={**LLAMA, "num_hidden_layers": 2 + number % 30},
            rankings=rankings,
            calls=calls,
            judgments=judgments,
            depth=DEPTH,
        )
        record(root, asked)


def timed_build(root: Path, measures: str) -> tuple[float, float]:
    """Seconds by the wall and by the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    build(root / "runs", root / "board", measures=measures, note=lambda text: None)
    return time.perf_counter() - wall, time.process_time() - processor


def open_page(page: Page, address: str) -> float:
    """Milliseconds until the table is there and its scripts have run."""
    page.goto(address)
    return float(page.evaluate(USABLE))


def main() -> None:
    """Print one line a figure; the median of several where it is the browser's."""
    root = Path(tempfile.mkdtemp())
    try:
        sync = os.fsync
        os.fsync = lambda handle: None
        record_runs(root)
        os.fsync = sync
        for measures in ("nDCG@10", MEASURES):
            wall, processor = timed_build(root, measures)
            count = len(measures.split())
            print(f"build {RUNS} runs, {count} measures: {wall:.1f} s, processor {processor:.1f} s")
        board = root / "board"
        loaded = {"index.html", *(path.name for path in board.iterdir() if path.suffix == ".css")}
        loaded |= {path.name for path in board.glob("*.js")}
        weights = {name: (board / name).stat().st_size / 1e6 for name in loaded}
        before = sum(size for name, size in weights.items() if name not in {*DATA, "index.html"})
        print(
            f"scripts and styles {before:.2f} MB; table {weights['index.html']:.2f} MB; "
            f"data {sum(weights[name] for name in DATA):.2f} MB"
        )
        browse(f"{board.as_uri()}/index.html")
    finally:
        shutil.rmtree(root)


def browse(address: str) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = [open_page(browser.new_page(), address) for _ in range(OPENINGS)]
        page = browser.new_page()
        open_page(page, address)
        page.wait_for_selector("#chart svg")
        sorts = [float(page.evaluate(SORT, key)) for key in KEYS for _ in range(2)]
        print(f"page usable after {statistics.median(opened):.0f} ms (slowest {max(opened):.0f})")
        print(f"sorted after {statistics.median(sorts):.0f} ms (slowest {max(sorts):.0f})")
        page.goto(address.replace("index.html", "what-if.html"))
        page.get_by_role("slider", name="Passage", exact=True).focus()
        for _ in range(SLIDES):
            page.keyboard.press("ArrowRight")
        slides = [float(taken) for taken in page.evaluate("window.e2rTimings")]
        print(f"what-if answers in {statistics.median(slides):.1f} ms (slowest {max(slides):.1f})")
        browser.close()


main()
