"""`e2r` with watched workers, in a process of its own: `python -m tests.engines.watched_run …`."""

from __future__ import annotations

import e2r.cli
import e2r.engines.ray
from tests.engines.stand_ins import Watched

if __name__ == "__main__":
    e2r.engines.ray.Worker = Watched  # type: ignore[misc]
    e2r.cli.main()
