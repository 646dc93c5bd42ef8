"""Whether the Hugging Face Hub answers: asked once a process, within seconds."""

from __future__ import annotations

import threading
from functools import cache

SECONDS = 3.0
"""How long the Hub may take to answer. Its own client asks six times, with 23 seconds of pauses."""


@cache
def answers() -> bool:
    """True where the Hub gives any answer; False where it is switched off or out of reach.

    HF_HUB_OFFLINE, HF_ENDPOINT and the usual proxy variables are heeded. Needs huggingface_hub.
    """
    from huggingface_hub import constants

    return not constants.HF_HUB_OFFLINE and within(SECONDS, constants.ENDPOINT)


def within(seconds: float, url: str) -> bool:
    """Whether an address gives any answer in that time, be it a refusal."""
    heard: list[bool] = []
    # A thread, because no timeout of a socket ends the search for a name.
    asking = threading.Thread(target=lambda: heard.append(_asked(url, seconds)), daemon=True)
    asking.start()
    asking.join(seconds)
    return any(heard)


def _asked(url: str, seconds: float) -> bool:
    import ssl
    import urllib.error
    import urllib.request

    try:
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310
        with urllib.request.urlopen(request, timeout=seconds):  # noqa: S310
            return True
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        # Whoever speaks TLS is there; what is wrong with it, the Hub's client says better.
        return isinstance(error.reason, ssl.SSLError)
    except (OSError, ValueError):
        return False
