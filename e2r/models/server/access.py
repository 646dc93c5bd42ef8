"""Where a server is, and the key to it: what may be recorded, and what may never be shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from e2r.borders.trust import is_trusted, remember
from e2r.errors import UsageError
from e2r.records.spec import ServerSpec

DEFAULT_KEY = "OPENAI_API_KEY"
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
SHORTEST_KEY = 8
LIKE_A_KEY = re.compile(r"(sk-|gsk_|hf_|xai-|r8_|nvapi-)[\w\-]{12,}")
"""How the keys of known providers begin; a model's or a deployment's name has no such form."""
HERE = {"localhost", "127.0.0.1", "::1"}
"""Hosts that are this machine: what is sent there stays here, without a key."""


def address(spec: ServerSpec, environment: Mapping[str, str]) -> str:
    """The base URL without a slash at its end. Raises UsageError for one that is none.

    A URL that holds credentials, a query, or a key in its path is refused unseen: it would be
    recorded.
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
    if _holds_key(unquote(spec.base_url), spec, environment):
        raise UsageError(
            "--base-url holds an API key, which would be recorded with the run; put it into the "
            f"environment variable {DEFAULT_KEY} and give the plain address"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("--base-url is not an http address; write http://HOST:PORT/v1")
    return spec.base_url.rstrip("/")


def _holds_key(url: str, spec: ServerSpec, environment: Mapping[str, str]) -> bool:
    """Whether a URL holds a secret of the environment, or a word that is written as keys are."""
    secrets = {
        value.strip()
        for name, value in environment.items()
        if SECRET.search(name) or name == spec.api_key_env
    }
    if any(len(secret) >= SHORTEST_KEY and secret in url for secret in secrets):
        return True
    return any(LIKE_A_KEY.fullmatch(word) for word in re.split(r"[/;,:=]", url))


def key(spec: ServerSpec, environment: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The key of the environment, or none; and a note where it is there and not sent.

    It is sent only to a host that was typed, now or once on this machine, together with the
    variable: a spec file alone could have any variable sent anywhere. Raises UsageError for a
    variable that a file alone asks for. No message repeats a word that might be the key.
    """
    name = spec.api_key_env
    if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise UsageError(
            "--api-key-env takes the name of an environment variable, never the key itself"
        )
    host = _host(spec.base_url)
    if spec.home is None:
        remember("server", host)
    elif not (is_trusted("server", host) or urlsplit(spec.base_url).hostname in HERE):
        raise UsageError(
            f"the spec sends its prompts to {host}, which nobody typed on this machine; if that is "
            f"meant, add: --base-url {spec.base_url} --api-key-env {name or DEFAULT_KEY}"
        )
    allowed = spec.home is None or is_trusted("key", f"{name or DEFAULT_KEY} to {host}")
    shown = name if name and name in environment else "VARIABLE"
    if name is not None and not allowed:
        raise UsageError(
            f"the spec asks to send the environment variable {shown} to {host}, which nobody typed "
            f"on this machine; if that is meant, add: --base-url {spec.base_url} --api-key-env "
            f"{shown}"
        )
    found = environment.get(name or DEFAULT_KEY, "").strip()
    if name is not None and not found:
        raise UsageError("the environment variable that --api-key-env names is not set")
    if not all("!" <= letter <= "~" for letter in found):
        raise UsageError("the API key holds letters that no header can carry; set it again")
    if found and not allowed:
        return None, (
            f"{DEFAULT_KEY} is not sent to {host}, which only a file names; if that is meant, add: "
            f"--base-url {spec.base_url} --api-key-env {DEFAULT_KEY}"
        )
    if found and spec.home is None:
        remember("key", f"{name or DEFAULT_KEY} to {host}")
    return found or None, None


def _host(base_url: str) -> str:
    """Scheme, host and port: whoever listens there gets the key."""
    parts = urlsplit(base_url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"
