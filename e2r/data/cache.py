"""Where e2r keeps what it built and can build again: E2R_CACHE, or a folder in the user's cache."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """$E2R_CACHE, $XDG_CACHE_HOME/e2r or ~/.cache/e2r, the first that is named."""
    own = os.environ.get("E2R_CACHE")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "e2r"
