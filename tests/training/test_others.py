"""Models of other packages: found by their entry points, refused where they are none."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest

from distrecvae.dotted import trust
from distrecvae.errors import ConfigError
from distrecvae.training import others, registry
from distrecvae.training.others import GROUP, installed, is_other, other_entry
from tests.training.anothers import entry

POINTS = [
    EntryPoint("theirs", "tests.training.anothers:entry", GROUP),
    EntryPoint("ease", "tests.training.anothers:entry", GROUP),
    EntryPoint("gone", "no_such_package:entry", GROUP),
    EntryPoint("bare", "tests.training.anothers:without_a_dataclass", GROUP),
    EntryPoint("wrong", "tests.training.anothers:NOT_AN_ENTRY", GROUP),
]


@pytest.fixture(autouse=True)
def with_packages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(others, "entry_points", lambda group: POINTS if group == GROUP else [])
    for cached in (installed, other_entry):
        cached.cache_clear()
    yield
    monkeypatch.undo()
    for cached in (installed, other_entry):
        cached.cache_clear()


def test_an_installed_model_is_one_of_the_registry() -> None:
    assert is_other("theirs")
    assert registry.is_known("theirs")
    assert other_entry("theirs") is entry
    assert registry.config_class("theirs") is entry.config_class
    assert registry.own_space("theirs") == entry.space
    assert "theirs" in registry.names()
    assert "theirs" not in registry.models()


def test_ours_keeps_its_name() -> None:
    assert registry.config_class("ease") is not entry.config_class
    assert registry.names().count("ease") == 1


def test_a_dotted_name_is_one_where_a_person_gave_it() -> None:
    name = "tests.training.anothers:entry"
    assert registry.is_known(name)
    trust(name)
    assert registry.config_class(name) is entry.config_class


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone", "model 'gone' of no_such_package:entry cannot be imported"),
        ("wrong", "model 'wrong' is a int; it must be a distrecvae.training.entry.Entry"),
        (
            "bare",
            "model 'bare' has dict for its settings; it must be a dataclass, as docs/your-model.md shows",
        ),
        ("nobodys", "there is no model 'nobodys'; known are recvae"),
        ("thiers", "there is no model 'thiers'; did you mean 'theirs'"),
    ],
)
def test_what_is_no_model_is_refused(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        registry.config_class(name)
