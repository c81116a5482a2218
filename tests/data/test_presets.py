"""Presets: the settings under which results were published, and what is typed goes over them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from distrecvae.data.presets import PRESETS, split_options
from distrecvae.data.splitting.options import SplitOptions
from distrecvae.errors import ConfigError


def test_published_protocols() -> None:
    ml_20m, netflix, msd = (split_options(name) for name in ("ml-20m", "netflix", "msd"))
    assert (ml_20m.min_rating, ml_20m.min_user_interactions, ml_20m.held_out_users) == (3.5, 5, 10_000)
    assert (netflix.min_rating, netflix.min_user_interactions, netflix.held_out_users) == (3.5, 5, 40_000)
    assert (msd.min_rating, msd.min_user_interactions, msd.held_out_users) == (None, 20, 50_000)
    assert [o.min_item_interactions for o in (ml_20m, netflix, msd)] == [0, 0, 200]
    assert {o.seed for o in (ml_20m, netflix, msd)} == {98765}


@pytest.mark.parametrize(("name", "n_users"), [("ml-1m", 6040), ("ml-latest-small", 610)])
def test_the_small_ones_are_as_the_published_one_with_a_tenth_of_the_users(name: str, n_users: int) -> None:
    options = split_options(name)
    assert options.held_out_users == n_users // 10 // 10 * 10, "a round number"
    published = split_options("ml-20m")
    assert options == split_options("ml-20m", held_out_users=options.held_out_users) != published


@pytest.mark.parametrize("name", PRESETS)
def test_what_a_preset_does_not_say_is_the_protocols_default(name: str) -> None:
    assert (split_options(name).held_out_fraction, split_options(name).seed) == (0.2, 98765)


def test_no_preset_is_the_defaults() -> None:
    assert split_options() == SplitOptions() == split_options(None, min_rating=None, seed=None)


@pytest.mark.parametrize("name", [None, *PRESETS])
def test_what_is_given_goes_over_it_and_none_is_not_given(name: str | None) -> None:
    before = copy.deepcopy(PRESETS)
    options = split_options(name, min_user_interactions=2, held_out_users=None, seed=None)
    kept = split_options(name)
    assert options.min_user_interactions == 2 != kept.min_user_interactions
    assert options == split_options(name, min_user_interactions=2)
    assert options.held_out_users == kept.held_out_users
    assert before == PRESETS, "a preset is the next command's, too"


def test_zero_is_given() -> None:
    options = split_options("msd", min_rating=0.0, min_user_interactions=0, min_item_interactions=0, seed=0)
    assert (options.min_rating, options.min_user_interactions) == (0.0, 0)
    assert (options.min_item_interactions, options.seed) == (0, 0)


@pytest.mark.parametrize(
    "given",
    [{"min_user_interactions": -1}, {"held_out_users": 0.5}, {"held_out_fraction": 1.0}, {"seed": -1}],
)
def test_a_value_out_of_its_range_is_refused_over_a_preset_too(given: dict[str, Any]) -> None:
    (name,) = given
    for preset in (None, "ml-1m"):
        with pytest.raises(ConfigError, match=name):
            split_options(preset, **given)
