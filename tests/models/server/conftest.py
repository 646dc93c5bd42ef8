"""What tests of servers share."""

from __future__ import annotations

import pytest

from e2r.models.server import http


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed attempts are repeated at once."""
    monkeypatch.setattr(http, "FIRST_PAUSE", 0.01)
