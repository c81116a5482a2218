"""SplitOptions: how a table becomes a Split."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from distrecvae.errors import ConfigError

USERS, GLOBAL_TIME, LEAVE_LAST = SPLITS = ("users", "global-time", "leave-last")
BROUGHT = "brought"
"""Stands in a protocol for a split that was made elsewhere."""

RANDOM, TIME = HELD_OUT_BY = ("random", "time")

_USED_BY = {
    "held_out_by": (USERS,),
    "held_out_users": (USERS,),
    "held_out_fraction": (USERS,),
    "folds": (USERS,),
    "seed": (USERS, LEAVE_LAST),
    "leave": (LEAVE_LAST,),
    "valid_from": (GLOBAL_TIME,),
    "test_from": (GLOBAL_TIME,),
}
"""The splits that an option means something to, where not all do."""

_PUBLISHED = (
    "min_rating", "min_user_interactions", "min_item_interactions", "held_out_users", "held_out_fraction", "seed",
)  # fmt: skip
"""Written down whether or not they are the defaults; others only where they are not."""


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """How a table becomes a Split; the defaults of `distrecvae prepare` live here.

    Attributes:
        min_rating: keep rows whose rating is strictly greater, as the published code does (`rating > 3.5`);
            None keeps every row.
        min_user_interactions: users with fewer interactions are dropped, after items are.
        min_item_interactions: items with fewer interactions are dropped, once, before users are; 0 keeps all.
        held_out_users: validation users, and as many test users: a count, or a fraction of all users (a float
            below 0.5).
        held_out_fraction: share of a held-out user's interactions that is to be predicted, rounded down.
        seed: seed of the legacy NumPy generator (0 to 2^32 - 1).
        split: "users" divides users into groups, "global-time" divides the interactions at two moments, "leave-last"
            leaves the latest items of each user.
        held_out_by: which of a held-out user's items are to be predicted: "random" ones, or by "time" the latest.
        leave: items of each user that are to be predicted in each group, by leave-last.
        valid_from: moment from which on validation users' items are to be predicted, by global-time: a date, a number
            in the unit of the times, or a share of the interactions ("80%": their last fifth begins there).
        test_from: likewise of test users; validation ends there.
        folds: k folds of the users who are no validation users, each the test users of one data set; None for none.
        fold: which of them is tested, from 1.

    Raises:
        ConfigError: a value is out of its range.
    """

    min_rating: float | None = None
    min_user_interactions: int = 5
    min_item_interactions: int = 0
    held_out_users: int | float = 0.1
    held_out_fraction: float = 0.2
    seed: int = 98765
    split: str = USERS
    held_out_by: str = RANDOM
    leave: int = 1
    valid_from: str = "80%"
    test_from: str = "90%"
    folds: int | None = None
    fold: int = 1

    def __post_init__(self) -> None:
        if self.min_rating is not None and not math.isfinite(self.min_rating):
            raise ConfigError(
                f"min_rating is {self.min_rating}; it must be a finite number, or left out to keep every row"
            )
        for name in ("min_user_interactions", "min_item_interactions"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        held_out = self.held_out_users
        if isinstance(held_out, float) and not 0 < held_out < 0.5:
            raise ConfigError(
                f"held_out_users is {held_out}; a fraction must lie between 0 and 0.5 (a count has no point)"
            )
        if isinstance(held_out, int) and held_out < 1:
            raise ConfigError(f"held_out_users is {held_out}; at least one user must be held out")
        if not 0 < self.held_out_fraction < 1:
            raise ConfigError(f"held_out_fraction is {self.held_out_fraction}; it must lie between 0 and 1")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed is {self.seed}; the legacy NumPy generator takes 0 to {2**32 - 1}")
        for name, known in (("split", SPLITS), ("held_out_by", HELD_OUT_BY)):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(known)}")
        if self.leave < 1:
            raise ConfigError(f"leave is {self.leave}; at least one item must be left to predict")
        if self.folds is not None and self.folds < 2:
            raise ConfigError(f"folds is {self.folds}; there must be at least 2")
        if not 1 <= self.fold <= (self.folds or 1):
            raise ConfigError(f"fold is {self.fold}; it must lie between 1 and {self.folds or 1}")

    @property
    def by_time(self) -> bool:
        """Whether the split needs to know when."""
        return self.split != USERS or self.held_out_by == TIME

    @property
    def overlapping(self) -> bool:
        """Whether a user may be in more than one group."""
        return self.split != USERS

    def require_effect(self, given: Mapping[str, Any]) -> None:
        """Refuse options that were given and mean nothing to this split.

        Raises:
            ConfigError: there is one.
        """
        for name, splits in _USED_BY.items():
            if given.get(name) is not None and self.split not in splits:
                raise ConfigError(
                    f"--{name.replace('_', '-')} {given[name]} has no effect with --split {self.split}; leave it out"
                )

    def recorded(self) -> dict[str, Any]:
        """Return the options, JSON-able: those of the published protocol, and others where they are not the default."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        default = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in values.items() if name in _PUBLISHED or value != default[name]}
