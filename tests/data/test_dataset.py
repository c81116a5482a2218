"""Split and its fingerprint: what it depends on, what it does not, and parts that do not fit together."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from distrecvae.data.dataset import HeldOutUsers, Split, require_scored
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError


def ones(n_users: int, n_items: int = 3, item: int = 0) -> InteractionMatrix:
    return InteractionMatrix.from_pairs(range(n_users), [item] * n_users, n_users=n_users, n_items=n_items)


def split(**changes: Any) -> Split:
    parts: dict[str, Any] = {
        "train": ones(3),
        "valid": HeldOutUsers(ones(1), ones(1, item=1)),
        "test": HeldOutUsers(ones(1), ones(1, item=2)),
        "user_ids": np.arange(5),
        "item_ids": np.array(["a", "b", "c"], dtype=object),
    }
    return Split(**(parts | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"train": ones(3, item=1)},
        {"valid": HeldOutUsers(ones(1, item=1), ones(1))},
        {"test": HeldOutUsers(ones(1), ones(1, item=1))},
        {"user_ids": np.array([0, 1, 2, 4, 3])},
        {"item_ids": np.array(["a", "b", "d"], dtype=object)},
    ],
)
def test_every_part_is_in_the_fingerprint(changes: dict[str, Any]) -> None:
    assert split(**changes).fingerprint != split().fingerprint


def test_fingerprint_is_of_content() -> None:
    """Not of dtypes that ids or arrays happen to have, nor of the machine; it is part of published
    folders."""
    assert split().fingerprint == "a4940d5752f96827f84aee3f1da64b4d"
    assert split(user_ids=np.arange(5, dtype=np.int32)).fingerprint == split().fingerprint
    assert split(item_ids=np.array(["a", "b", "c"])).fingerprint == split().fingerprint


@pytest.mark.parametrize(
    "changes",
    [{"user_ids": np.arange(4)}, {"item_ids": np.array(["a"], dtype=object)}, {"train": ones(3, n_items=4)}],
)
def test_parts_must_agree(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        split(**changes)


def test_held_out_users_have_one_shape() -> None:
    with pytest.raises(DataError, match="shapes must be equal"):
        HeldOutUsers(ones(2), ones(3))
    with pytest.raises(dataclasses.FrozenInstanceError):
        split().train = ones(3)  # type: ignore[misc]


def test_a_group_of_which_nobody_can_be_scored_is_refused() -> None:
    """The mean over nobody was 0.0000, a search found that nothing was beaten, and `compare` ranked by it."""
    nobody = InteractionMatrix.from_pairs([], [], n_users=1, n_items=3)
    require_scored(split(), "data/mine", "valid", "test")
    for name, users in (
        ("valid", HeldOutUsers(ones(1), nobody)),
        ("valid", HeldOutUsers(nobody, ones(1))),
        ("test", HeldOutUsers(ones(1), nobody)),
    ):
        assert users.n_scored == 0
        with pytest.raises(
            DataError, match=rf"data/mine has no {name}\w* user who can be scored .*lower --min-r"
        ):
            require_scored(split(**{name: users}), "data/mine", "valid", "test")
    require_scored(split(test=HeldOutUsers(ones(1), nobody)), "data/mine", "valid")
