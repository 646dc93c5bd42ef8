"""The pictures of the leaderboard in docs/images, at three widths, and once in the dark.

Run it from the project's root: python -m benchmarks.screenshots
"""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
VIEW = "budget=0.1"
SIZES = {
    "leaderboard-390": (390, 1500),
    "leaderboard-820": (820, 1500),
    "leaderboard": (1440, 1500),
    "leaderboard-dark": (1440, 1500),
}


def main() -> None:
    """Write the pictures."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    address = (ROOT / "leaderboard" / "index.html").as_uri()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (width, height) in SIZES.items():
            scheme = "dark" if name.endswith("dark") else "light"
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            page.goto(f"{address}#{VIEW}")
            page.wait_for_selector("#chart[data-ready] svg")
            page.screenshot(path=ROOT / "docs" / "images" / f"{name}.png")
            page.close()
        browser.close()


main()
