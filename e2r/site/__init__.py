"""The leaderboard: recorded runs in, a static site out that needs no network and no server."""

from e2r.site.build import build

__all__ = ["build"]
