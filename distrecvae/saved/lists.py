"""The lists of many users: from the model, or, for users of whom it knows nothing, of what is popular."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from distrecvae.checks import require_whole
from distrecvae.data.days.matching import KnownIds, positions_among
from distrecvae.data.histories import Histories
from distrecvae.data.recommendations import ArrowIds, Ids
from distrecvae.errors import ConfigError, DataError, nearest
from distrecvae.evaluation import Recommender
from distrecvae.recommendation import Best, Likening, best_items

MODEL, POPULARITY = "model", "popularity"
FALLBACKS = (POPULARITY,)
"""What users without a history that counts can be given."""


def popularity_for(fallback: str | None, popularity: Recommender | None) -> Recommender | None:
    """Return what scores for users who are left out; None for no fallback.

    Args:
        fallback: as asked for.
        popularity: the model's; None where its folder does not say what is popular.

    Raises:
        ConfigError: it is unknown, or the folder has none.
    """
    if fallback is None:
        return None
    if fallback not in FALLBACKS:
        raise ConfigError(f"fallback is {fallback!r}; it must be one of {', '.join(FALLBACKS)}, or left out")
    if popularity is None:
        raise ConfigError(
            "the model's folder does not say what is popular, an older version wrote it; leave --fallback out, or train"
            " again"
        )
    return popularity


def ids_of(
    histories: Histories,
    item_ids: npt.NDArray[Any] | ArrowIds,
    fallback: str | None,
    *,
    guarded: bool = False,
) -> Ids:
    """Return the ids of users and items in their lists, those who get a fallback last; `guarded` as in `Ids`."""
    last = fallback is not None and histories.n_left_out > 0
    users = np.concatenate([histories.user_ids, histories.left_out]) if last else histories.user_ids
    return Ids(users, item_ids, guarded=guarded, with_source=fallback is not None)


def lists(
    model: Recommender,
    histories: Histories,
    *,
    top: int,
    include_seen: bool,
    among: npt.NDArray[np.int64] | None = None,
    popularity: Recommender | None = None,
) -> Iterator[tuple[Best, str]]:
    """Yield the best items of each user and where they come from, batch by batch.

    Args:
        model: scores.
        histories: over its items.
        top: items a user.
        include_seen: recommend what a user has, too.
        among: rising positions of what may be recommended; None for all items.
        popularity: scores for users who are left out of the histories, who then come last, in the order of
            `Histories.left_out`; None gives them nothing.
    """
    hidden = None if include_seen else histories.seen
    for batch in best_items(model, histories.shown, top=top, hidden=hidden, among=among):
        yield batch, MODEL
    if popularity is None or not histories.n_left_out:
        return
    hidden = None if include_seen else histories.left_out_seen
    for batch in best_items(popularity, histories.left_out_seen, top=top, hidden=hidden, among=among):
        yield batch._replace(first_user=histories.n_users + batch.first_user), POPULARITY


def most_alike(
    model: Likening, item_ids: KnownIds, item: Any, top: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the positions of the items most like one, itself left out, and how alike they are, best first.

    Args:
        model: tells.
        item_ids: ids by its item position.
        item: an id; ids are the same where they are written the same.
        top: how many.

    Raises:
        DataError: the model does not know the item.
    """
    own = int(positions_among(np.array([str(item)], dtype=object), item_ids)[0])
    if own < 0:
        close = nearest(str(item), [str(each) for each in item_ids.ids[:100_000].tolist()])
        raise DataError(f"the model does not know the item {item!r}{close or '; give an id of its item_ids'}")
    likeness = model.likeness(own).cpu().numpy()
    order = np.argsort(-likeness, kind="stable")
    best = order[order != own][:top]
    return best, likeness[best]


def require_top(top: int) -> None:
    """Refuse to recommend nothing.

    Raises:
        ConfigError: `top` is not a whole number from 1 on.
    """
    require_whole("top", top, at_least=1)


class _Once:
    """A warning that a process gives once: a service would fill its log with one a request."""

    def __init__(self) -> None:
        self.given = False

    def warn(self, lines: Sequence[str], stacklevel: int) -> None:
        """Give all lines as one `UserWarning`, unless there are none or one was given before."""
        if lines and not self.given:
            self.given = True
            warnings.warn("; ".join(lines), UserWarning, stacklevel=stacklevel + 1)


NOTES = _Once()
"""What `recommend` in Python has to say of histories."""
