"""Recommendation: each user's best items and their scores, a batch of users at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError
from distrecvae.evaluation import BATCH_USERS, Recommender, users_at_once
from distrecvae.kernels.precision import fast_float32
from distrecvae.kernels.transfer import onto
from distrecvae.ranking import rank


@runtime_checkable
class Likening(Protocol):
    """A `Recommender` that can tell which items are alike: by its vectors of them, or by its weights between them."""

    def likeness(self, item: int) -> torch.Tensor:
        """Return how alike each item and `item` are: (n_items,), finite, higher is more alike."""


class Best(NamedTuple):
    """The best items of some consecutive users.

    Attributes:
        first_user: position of the first one.
        items: int64, (n_rows, k), best first; equal scores by item position.
        scores: float32, (n_rows, k); minus infinity for what is hidden, which comes last.
    """

    first_user: int
    items: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


def best_items(
    model: Recommender,
    shown: InteractionMatrix,
    *,
    top: int,
    hidden: InteractionMatrix | None = None,
    among: npt.NDArray[np.int64] | None = None,
    batch_size: int | None = None,
) -> Iterator[Best]:
    """Yield the `top` best items of each user, batch by batch; memory is that of one batch of scores.

    Args:
        model: scores.
        shown: what it goes by.
        top: items a user, fewer where the model has fewer.
        hidden: what is not recommended, the same users and items; None hides nothing.
        among: rising positions of what may be recommended; None for all items.
        batch_size: users a batch; it decides nothing but speed. None as for an evaluation.

    Raises:
        DataError: the model and the users disagree about the number of items, or `shown` and `hidden` do about shapes.
        DivergedError: a score is not finite.
    """
    if model.n_items != shown.n_items or (hidden is not None and hidden.shape != shown.shape):
        shapes = f"{shown.shape}" if hidden is None else f"{shown.shape} and {hidden.shape}"
        raise DataError(
            f"the model knows {model.n_items} items and users x items are {shapes}; they must agree"
        )
    n_offered = model.n_items if among is None else among.size
    if among is not None and hidden is not None:
        place = np.full(model.n_items, -1, dtype=np.int64)
        place[among] = np.arange(among.size)
        hidden = hidden.over(place, among.size)
    start, size = 0, batch_size or BATCH_USERS
    while start < shown.n_users:
        stop = min(start + size, shown.n_users)
        with fast_float32():
            scores = model.score(shown.slice(start, stop)).detach()
        if among is not None:
            scores = scores.index_select(1, onto(torch.from_numpy(among), scores.device))
        scores = scores.contiguous()
        nothing = InteractionMatrix(
            np.zeros(stop - start + 1, dtype=np.int64), np.zeros(0, dtype=np.int32), n_offered
        )
        items = rank(scores, nothing if hidden is None else hidden.slice(start, stop), top)
        # `rank` marked what is hidden in these scores, for they were one block of memory already.
        values = scores.gather(1, onto(torch.from_numpy(items), scores.device)).cpu().numpy()
        size = batch_size or users_at_once(scores)
        del scores  # or two batches of them would live while the next one is scored
        yield Best(start, items if among is None else among[items], values)
        start = stop
