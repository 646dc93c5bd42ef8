"""Tables on the terminal: wide ones keep their lines, whatever reads them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

NARROWEST_FILE = 200


def print_table(
    header: Sequence[str], lines: Sequence[Sequence[str]], *, words: int, caption: str
) -> None:
    """Print a table on stdout; the first `words` columns hold words, the others numbers.

    A terminal folds long cells to its width; a pipe gets each row on one line.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=caption, caption_justify="left")
    for place, name in enumerate(header):
        if place < words:
            table.add_column(Text(name), overflow="fold")
        else:
            table.add_column(Text(name), justify="right", no_wrap=not sys.stdout.isatty())
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    console = Console()
    if not console.is_terminal:
        longest = [max(len(cell) for cell in column) for column in zip(header, *lines, strict=True)]
        console = Console(width=max(NARROWEST_FILE, sum(longest) + 3 * len(longest)))
    console.print(table)
