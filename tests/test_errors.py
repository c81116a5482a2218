"""Errors: one base to catch, wrong settings are ValueErrors too, and a slip of the keyboard is told what was meant."""

from __future__ import annotations

import inspect

import pytest

from distrecvae import errors
from distrecvae.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    DistrecvaeError,
    DivergedError,
    ResourceError,
    ResultsError,
    SpaceError,
    StorageError,
    nearest,
)

OURS = (
    DataError,
    ConfigError,
    SpaceError,
    ResourceError,
    ResultsError,
    CheckpointError,
    StorageError,
    DivergedError,
)


def test_the_room_holds_the_base_and_these_alone() -> None:
    found = {
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__
    }
    assert found == {DistrecvaeError, *OURS}


@pytest.mark.parametrize("kind", OURS)
def test_each_is_caught_by_the_base_and_keeps_its_message(kind: type[DistrecvaeError]) -> None:
    with pytest.raises(DistrecvaeError) as caught:
        raise kind("the value; the rule: the remedy")
    assert str(caught.value) == "the value; the rule: the remedy"


def test_wrong_settings_are_value_errors_and_a_broken_world_is_not() -> None:
    # What checks a config in a library expects a ValueError; a full disk is nobody's wrong value.
    assert {kind for kind in OURS if issubclass(kind, ValueError)} == {ConfigError, SpaceError}


def test_trouble_of_a_store_passes_only_where_that_is_said() -> None:
    assert not StorageError("the key is refused").passing
    assert StorageError("nothing answers", passing=True).passing


def test_what_a_machine_lacks_passes_only_where_that_is_said() -> None:
    assert not ResourceError("no GPU").passing
    assert ResourceError("Ray did not start", passing=True).passing


@pytest.mark.parametrize(
    ("name", "meant"),
    [("latent_dm", "latent_dim"), ("latent_dim", "latent_dim"), ("hiden", "hidden_dim"), ("gama", "gamma")],
)
def test_the_closest_name_is_offered(name: str, meant: str) -> None:
    assert nearest(name, ("hidden_dim", "latent_dim", "gamma")) == f"; did you mean {meant!r}?"


@pytest.mark.parametrize("name", ["", "zzz", "xyzzy_plugh"])
def test_what_is_like_no_name_gets_no_guess(name: str) -> None:
    assert nearest(name, ("hidden_dim", "latent_dim", "gamma")) == ""


def test_half_alike_is_like_enough_and_less_is_not() -> None:
    # Alike: twice the letters in common over the letters of both. 2 * 2 / 8 and 2 * 2 / 9.
    assert nearest("abxy", ["abcd"]) == "; did you mean 'abcd'?"
    assert nearest("abxyz", ["abcd"]) == ""


def test_names_may_be_any_iterable_also_an_empty_one() -> None:
    assert nearest("beta", (name for name in ("betas",))) == "; did you mean 'betas'?"
    assert nearest("beta", {"betas": 1}) == "; did you mean 'betas'?"
    assert nearest("beta", []) == ""
