"""Python processes that a metered program starts out of sight are known by what starts them."""

from __future__ import annotations

from typing import Any

import pytest

from e2r.meter.children import unfollowed

NEEDED = ("OUT", "PYTHONPATH")
WHOLE = {"OUT": "1", "PYTHONPATH": "2", "MORE": "3"}


@pytest.mark.parametrize(
    ("words", "environment", "why"),
    [
        (["/usr/bin/python3.12", "-I", "x.py"], None, "with -I"),
        (["python", "-X", "utf8", "-Bsc", "1"], None, None),
        (["python", "-X", "utf8", "-BSc", "1"], None, "with -I"),
        (["python", "x.py", "-I"], None, None),
        (["python", "-mImport"], None, None),
        (["python", "-c", "-E"], None, None),
        (["python", "x.py"], {}, "an environment of its own"),
        (["python", "x.py"], {b"OUT": b"1"}, "an environment of its own"),
        (["python", "x.py"], WHOLE, None),
        (["ls", "/usr/bin/python", "-I"], {}, None),
        (["git", "grep", "-E", "python"], {}, None),
        (["/bin/sh", "-c", "cd x && python -E y.py"], None, "with -I"),
        (["/bin/sh", "-c", "grep python -E"], {}, None),
    ],
)
def test_a_python_that_will_not_begin_the_meter_is_known(
    words: list[str], environment: dict[Any, Any] | None, why: str | None
) -> None:
    for event, args in (
        ("subprocess.Popen", (words[0], words, None, environment)),
        ("os.exec", (words[0], words, environment)),
        ("os.posix_spawn", (words[0], words, environment)),
    ):
        found = unfollowed(event, args, NEEDED)
        assert (found is None) if why is None else (found is not None and why in found)


def test_a_shells_command_is_read_too() -> None:
    assert unfollowed("os.system", (b"python -I x.py",), NEEDED) == "with -I, -E or -S"
    assert unfollowed("os.system", ("python x.py",), NEEDED) is None
