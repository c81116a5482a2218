"""Code that is named: only what a person asked for is imported."""

from __future__ import annotations

import sys

import pytest

from distrecvae import dotted
from distrecvae.dotted import VARIABLE, is_dotted, named_object, trust
from distrecvae.errors import ConfigError


@pytest.fixture(autouse=True)
def nothing_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dotted, "_trusted", set[str]())
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.mark.parametrize("name", ["a:b", "a.b_2:c", "_a:_b"])
def test_dotted_names(name: str) -> None:
    assert is_dotted(name)


@pytest.mark.parametrize(
    "name", ["recvae", "a.b", "a:", ":b", "a:b:c", "a:b()", "a/b:c", "1a:b", "", "a.:b", "a:b.c"]
)
def test_what_is_no_dotted_name_is_never_trusted(name: str) -> None:
    assert not is_dotted(name)
    trust(name)
    with pytest.raises(ConfigError, match="is code that a file names"):
        named_object(name, "model")


def test_a_name_that_only_a_file_gives_imports_nothing() -> None:
    sys.modules.pop("this", None)
    with pytest.raises(
        ConfigError, match=f"model 'this:s' is code that a file names.* set {VARIABLE}=this:s"
    ):
        named_object("this:s", "model")
    assert "this" not in sys.modules
    trust("this:d")  # another name of the same module says nothing of this one
    with pytest.raises(ConfigError):
        named_object("this:s", "model")


def test_a_trusted_name_is_imported() -> None:
    trust("math:pi")
    assert named_object("math:pi", "metric") == pytest.approx(3.14159, abs=1e-5)


def test_the_environment_is_a_person_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "json:dumps, math:pi")
    assert named_object("math:pi", "metric") > 3
    with pytest.raises(ConfigError):
        named_object("math:tau", "metric")


@pytest.mark.parametrize("name", ["no_such_package:x", "math:no_such_name"])
def test_what_cannot_be_imported_says_what_to_install(name: str) -> None:
    trust(name)
    with pytest.raises(ConfigError, match=r"cannot be imported \(.*\); install its package where"):
        named_object(name, "metric")
