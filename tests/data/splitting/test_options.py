"""Options of a split: their ranges, which mean something to which split, what of them is written down."""

from __future__ import annotations

from typing import Any

import pytest

from distrecvae.data.splitting.options import SplitOptions
from distrecvae.errors import ConfigError


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"split": "time"}, "split is 'time'; it must be one of users, global-time, leave-last"),
        ({"held_out_by": "date"}, "held_out_by is 'date'; it must be one of random, time"),
        ({"leave": 0}, "at least one item"),
        ({"folds": 1}, "at least 2"),
        ({"folds": 3, "fold": 4}, "between 1 and 3"),
        ({"fold": 2}, "between 1 and 1"),
    ],
)
def test_values_out_of_range_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SplitOptions(**given)


def test_only_what_is_not_the_published_protocol_is_written_beside_it() -> None:
    # A folder of the default is the same to the last byte as before there were others, and an older version reads it.
    published = {
        "min_rating": None, "min_user_interactions": 5, "min_item_interactions": 0, "held_out_users": 0.1,
        "held_out_fraction": 0.2, "seed": 98765,
    }  # fmt: skip
    assert SplitOptions().recorded() == published
    given = {"split": "leave-last", "leave": 2}
    assert SplitOptions(**given).recorded() == published | given  # type: ignore[arg-type]
    assert SplitOptions(**SplitOptions(folds=3, fold=2).recorded()) == SplitOptions(folds=3, fold=2)


@pytest.mark.parametrize(
    ("split", "given"),
    [
        ("users", {"leave": 1}),
        ("users", {"valid_from": "80%"}),
        ("leave-last", {"held_out_users": 10}),
        ("leave-last", {"held_out_by": "time"}),
        ("leave-last", {"folds": 5}),
        ("global-time", {"seed": 1}),
        ("global-time", {"held_out_fraction": 0.5}),
    ],
)
def test_an_option_that_means_nothing_to_a_split_is_refused(split: str, given: dict[str, Any]) -> None:
    options = SplitOptions(split=split)
    with pytest.raises(
        ConfigError, match=f"--{next(iter(given)).replace('_', '-')} .* has no effect with --split"
    ):
        options.require_effect(given)
    options.require_effect(dict.fromkeys(given))


def test_which_splits_go_by_time_and_which_overlap() -> None:
    found = {
        name: (SplitOptions(split=name).by_time, SplitOptions(split=name).overlapping)
        for name in ("users", "global-time", "leave-last")
    }
    assert found == {"users": (False, False), "global-time": (True, True), "leave-last": (True, True)}
    latest = SplitOptions(held_out_by="time")
    assert (latest.by_time, latest.overlapping) == (True, False)
