"""How the tests read a built site."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from e2r.site import build as build_site


class Tags(HTMLParser):
    """Every tag of a page with its attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def site(folder: Path) -> dict[str, bytes]:
    """Every file of a site by its path in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def data(path: Path) -> Any:
    """What a data script puts into `window`."""
    return json.loads(path.read_text(encoding="ascii").partition("=")[2].removesuffix(";\n"))


def build(runs: Path, out: Path, **more: Any) -> Path:
    """Build a site whose board has the judgments that lie beside the folder of runs."""
    held = sorted(runs.parent.glob("*.qrels"))
    named = [f"{path.stem}={path}" for path in held]
    return build_site(
        runs, out, **{"qrels": named if len(held) > 1 else list(map(str, held)), **more}
    )
