"""The pictures of the site in docs/images, as it opens, at three widths, and once in the dark.

Run it from the project's root: python -m benchmarks.screenshots
"""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
SIZES = {
    "leaderboard-390": ("index.html", 390, 1500),
    "leaderboard-820": ("index.html", 820, 1500),
    "leaderboard": ("index.html", 1440, 1500),
    "leaderboard-dark": ("index.html", 1440, 1500),
    "what-if-390": ("what-if.html", 390, 1500),
    "what-if-820": ("what-if.html", 820, 1500),
    "what-if-1440": ("what-if.html", 1440, 1500),
}
READY = {"index.html": "#chart[data-ready] svg", "what-if.html": "svg"}


def main() -> None:
    """Write the pictures."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    site = ROOT / "leaderboard"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (address, width, height) in SIZES.items():
            scheme = "dark" if name.endswith("dark") else "light"
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            page.goto((site / address).as_uri())
            page.wait_for_selector(READY[address])
            page.screenshot(path=ROOT / "docs" / "images" / f"{name}.png")
            page.close()
        browser.close()


main()
