"""Split and HeldOutUsers: a dataset under the strong-generalization protocol, and its identity."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError


@dataclass(frozen=True)
class HeldOutUsers:
    """Users that no model was trained on: what it may see of them, and what it must predict.

    Attributes:
        fold_in: the interactions shown to the model.
        held_out: the interactions to be found; same shape, no cell in common with `fold_in`.

    Raises:
        DataError: the shapes differ.
    """

    fold_in: InteractionMatrix
    held_out: InteractionMatrix

    def __post_init__(self) -> None:
        if self.fold_in.shape != self.held_out.shape:
            raise DataError(
                f"fold-in is {self.fold_in.shape} and held-out {self.held_out.shape}; shapes must be equal"
            )

    @property
    def n_users(self) -> int:
        """Number of users, those without anything folded in or held out included."""
        return self.fold_in.n_users

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.fold_in.n_items

    @property
    def n_scored(self) -> int:
        """Number of users with something folded in and something held out: those that a metric is defined for."""
        return int(np.count_nonzero((self.fold_in.counts() > 0) & (self.held_out.counts() > 0)))


@dataclass(frozen=True)
class Split:
    """A dataset split into train, valid and test: by users (Liang et al., WWW 2018), or otherwise.

    Attributes:
        train: interactions of the training users.
        valid: held-out users for selection.
        test: held-out users for the final score.
        user_ids: ids of all users in the order train, valid, test.
        item_ids: ids by item position.
        overlapping: whether a user may be in more than one group, as where time divides what there is. Nothing that is
            to be predicted of a user is then in what was trained on or folded in of the same user; `n_leaks` counts.

    Raises:
        DataError: the parts disagree about the number of users or items.
    """

    train: InteractionMatrix
    valid: HeldOutUsers
    test: HeldOutUsers
    user_ids: npt.NDArray[np.generic]
    item_ids: npt.NDArray[np.generic]
    overlapping: bool = False

    def __post_init__(self) -> None:
        n_users = self.train.n_users + self.valid.n_users + self.test.n_users
        if len(self.user_ids) != n_users:
            raise DataError(f"{len(self.user_ids)} user ids for {n_users} users; there must be one each")
        for name, n_items in (
            ("train", self.train.n_items),
            ("valid", self.valid.n_items),
            ("test", self.test.n_items),
        ):
            if n_items != len(self.item_ids):
                raise DataError(
                    f"{name} has {n_items} items and there are {len(self.item_ids)} item ids; they must agree"
                )

    @property
    def n_items(self) -> int:
        """Number of items, all of them seen in training."""
        return self.train.n_items

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of the content: every matrix and every id, in order; not of names, paths or times."""
        digest = hashlib.blake2b(digest_size=16)
        matrices = (
            self.train,
            self.valid.fold_in,
            self.valid.held_out,
            self.test.fold_in,
            self.test.held_out,
        )
        for matrix in matrices:
            digest.update(f"{matrix.n_users},{matrix.n_items},{matrix.n_interactions};".encode())
            digest.update(np.ascontiguousarray(matrix.indptr, dtype="<i8").data)
            digest.update(np.ascontiguousarray(matrix.indices, dtype="<i4").data)
        for ids in (self.user_ids, self.item_ids):
            digest.update("\0".join(map(str, ids.tolist())).encode() + b"\1")
        return digest.hexdigest()


def n_leaks(split: Split) -> int:
    """Return how many interactions that are to be predicted are known otherwise: the same user's are trained on, folded
    in, or what a validation user and the same test user are to be scored by."""
    ids = np.unique(np.asarray([str(each) for each in split.user_ids.tolist()]), return_inverse=True)[1]
    starts = np.cumsum([0, split.train.n_users, split.valid.n_users, split.test.n_users])
    train, valid, test = (ids[start:stop] for start, stop in pairwise(starts.tolist()))

    def cells(matrix: InteractionMatrix, users: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        return np.repeat(users.astype(np.int64) * split.n_items, matrix.counts()) + matrix.indices

    trained, validated = cells(split.train, train), cells(split.valid.held_out, valid)
    tested = cells(split.test.held_out, test)
    known_to_valid = np.union1d(trained, cells(split.valid.fold_in, valid))
    known_to_test = np.union1d(np.union1d(trained, cells(split.test.fold_in, test)), validated)
    return int(np.isin(validated, known_to_valid).sum() + np.isin(tested, known_to_test).sum())


def require_scored(split: Split, what: str, *groups: str) -> None:
    """Refuse a data set in which a group of users cannot be scored at all: its mean would be one over nobody.

    Args:
        split: the data set.
        what: what it is called in the message.
        groups: "valid", "test".

    Raises:
        DataError: no user of a group has something folded in and something held out.
    """
    for group in groups:
        users: HeldOutUsers = getattr(split, group)
        if not users.n_scored:
            name = "validation" if group == "valid" else group
            raise DataError(
                f"{what} has no {name} user who can be scored ({users.n_users} users, none with an item to go by and"
                " one to predict; something is held out of 5 items or more): lower --min-rating or"
                " --min-item-interactions so that users keep more items, or hold out more users, or more of their items"
            )
