"""Which ids of two lists are the same, and which group of users each user of an earlier data set is in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

TRAIN, VALID, TEST = range(3)
_NEW = -1


class KnownIds:
    """Ids that others are looked for among, again and again: what that takes is made once, when it is first needed.

    Args:
        ids: int64, or an object array of str.

    Attributes:
        ids: the same.
    """

    def __init__(self, ids: npt.NDArray[Any]) -> None:
        self.ids = ids

    def __len__(self) -> int:
        """Number of ids."""
        return len(self.ids)

    def positions(self, ids: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return where `ids` are among these; see `positions_among`."""
        both = ids.dtype.kind == self.ids.dtype.kind
        sought = ids.tolist() if both else [str(id_) for id_ in ids]
        at = self._as_they_are if both else self._as_written
        return np.fromiter((at.get(id_, -1) for id_ in sought), dtype=np.int64, count=len(sought))

    @cached_property
    def _as_they_are(self) -> dict[Any, int]:
        return {id_: position for position, id_ in enumerate(self.ids.tolist())}

    @cached_property
    def _as_written(self) -> dict[Any, int]:
        return {str(id_): position for position, id_ in enumerate(self.ids.tolist())}


def positions_among(ids: npt.NDArray[Any], known: npt.NDArray[Any] | KnownIds) -> npt.NDArray[np.int64]:
    """Return where `ids` are among the ids `known`: int64, (n_ids,); -1 for those that are not.

    Both are int64 or object arrays of str; ids of different types are the same where they are written the same.
    """
    return (known if isinstance(known, KnownIds) else KnownIds(known)).positions(ids)


@dataclass(frozen=True)
class Groups:
    """The users of an earlier data set.

    Attributes:
        user_ids: (n_users,).
        group: int8, (n_users,), `TRAIN`, `VALID` or `TEST`.
    """

    user_ids: npt.NDArray[Any]
    group: npt.NDArray[np.int8]


@dataclass(frozen=True)
class Divided:
    """Users in the order train, valid, test.

    Attributes:
        order: int64, (n_users,), positions among those given.
        n_valid: validation users.
        n_test: test users.
        n_known: users that the earlier data set had.
    """

    order: npt.NDArray[np.int64]
    n_valid: int
    n_test: int
    n_known: int


def divide_alike(user_ids: npt.NDArray[Any], earlier: Groups, n_held_out: int) -> Divided:
    """Divide users as an earlier data set did: whoever was there keeps the group, so that no model is scored on users
    whom an earlier one was trained on.

    Test users are filled up to `n_held_out` with new users, the last ones first, then validation users; new users that
    are left are trained on. Where new users do not suffice there are fewer; held-out users beyond `n_held_out` are
    trained on from now on.

    Args:
        user_ids: (n_users,), permuted.
        earlier: the earlier data set's users.
        n_held_out: validation users, and as many test users.
    """
    at = positions_among(user_ids, earlier.user_ids)
    group = np.full(len(user_ids), _NEW, dtype=np.int8)
    group[at >= 0] = earlier.group[at[at >= 0]]
    new = np.flatnonzero(group == _NEW).tolist()
    held_out = {}
    for name in (TEST, VALID):
        own = np.flatnonzero(group == name).tolist()[-n_held_out:]
        wanted = n_held_out - len(own)
        own += new[len(new) - min(wanted, len(new)) :] if wanted else []
        del new[len(new) - min(wanted, len(new)) :]
        held_out[name] = np.sort(np.array(own, dtype=np.int64))
    valid, test = held_out[VALID], held_out[TEST]
    trained = np.ones(len(user_ids), dtype=bool)
    trained[valid] = trained[test] = False
    order = np.concatenate([np.flatnonzero(trained), valid, test])
    return Divided(order, len(valid), len(test), len(user_ids) - int(np.count_nonzero(group == _NEW)))
