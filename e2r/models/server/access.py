"""Where a server is, and the key to it: what may be recorded, and what may never be shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from e2r.errors import UsageError
from e2r.records.spec import ServerSpec

DEFAULT_KEY = "OPENAI_API_KEY"


def address(spec: ServerSpec) -> str:
    """The base URL without a slash at its end. Raises UsageError for one that is none.

    A URL that holds credentials or a query is refused unseen: it would be recorded.
    """
    try:
        parts = urlsplit(spec.base_url)
        _ = parts.port
    except ValueError:
        raise UsageError("--base-url is not a URL; write http://HOST:PORT/v1") from None
    if parts.username or parts.password or "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            "--base-url holds credentials or a query, which would be recorded with the run; put "
            f"the key into the environment variable {DEFAULT_KEY} and give the plain address"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("--base-url is not an http address; write http://HOST:PORT/v1")
    return spec.base_url.rstrip("/")


def key(spec: ServerSpec, environment: Mapping[str, str]) -> str | None:
    """The key of the environment, or none. No message repeats a word that might be the key."""
    name = spec.api_key_env
    if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise UsageError(
            "--api-key-env takes the name of an environment variable, never the key itself"
        )
    found = environment.get(name or DEFAULT_KEY, "").strip()
    if name is not None and not found:
        raise UsageError("the environment variable that --api-key-env names is not set")
    if not all("!" <= letter <= "~" for letter in found):
        raise UsageError("the API key holds letters that no header can carry; set it again")
    return found or None
