"""The scores of a model on data with other items than its own: what both have is ranked, the rest is counted.

Fold-in items that the model does not know are dropped: they tell it nothing. Held-out items that it does not know count
as misses, for it recommends none of them: they stay in what a metric divides by. A user with no known fold-in item, or
none of whose held-out items is known, is left out. Items of the model that the data does not have are not ranked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.days.matching import positions_among
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError
from distrecvae.evaluation import PUBLISHED, Beyond, Evaluation, Recommender, Scoring, evaluate
from distrecvae.words import counted


@dataclass(frozen=True)
class Coverage:
    """What of some held-out users a model knows; users are those whom the data lets one score.

    Attributes:
        n_items: items of the data.
        n_shared: those that the model knows.
        n_gone: items of the model that the data does not have.
        n_dropped: fold-in interactions with items unknown to the model.
        n_missed: held-out interactions with such items: misses.
        n_without_history: users left out, for the model knows none of their fold-in items.
        n_unfindable: users left out, for the model knows none of their held-out items.
    """

    n_items: int
    n_shared: int
    n_gone: int = 0
    n_dropped: int = 0
    n_missed: int = 0
    n_without_history: int = 0
    n_unfindable: int = 0

    def notes(self) -> list[str]:
        """Return what was not scored, a line each; none where model and data have the same items."""
        if self.n_shared == self.n_items and not self.n_gone:
            return []
        known = f"knows {self.n_shared:,} of the {counted(self.n_items, 'item', 'items')}"
        lines = [
            f"{known}: {counted(self.n_dropped, 'fold-in interaction', 'fold-in interactions')} with others dropped,"
            f" {self.n_missed:,} held-out ones count as misses"
        ]
        if self.n_gone:
            lines.append(
                f"{counted(self.n_gone, 'item', 'items')} of the model not in the data, and not ranked"
            )
        for n_users, what in (
            (self.n_without_history, "fold-in"),
            (self.n_unfindable, "held-out"),
        ):
            if n_users:
                lines.append(
                    f"{counted(n_users, 'user', 'users')} left out: no {what} item that the model knows"
                )
        return lines


class SharedItems:
    """A model's scores of the items that it shares with some data, in the order that they have in the model.

    Args:
        model: the model.
        at: int64, (n_items,), rising positions of these items in the model.
    """

    def __init__(self, model: Recommender, at: npt.NDArray[np.int64]) -> None:
        self._model, self._at = model, at

    @property
    def n_items(self) -> int:
        """Number of shared items."""
        return self._at.size

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return float32 scores, (n_users, n_items)."""
        items = self._at[fold_in.indices].astype(np.int32)  # rising in a row, for positions rise
        scores = self._model.score(InteractionMatrix(fold_in.indptr, items, self._model.n_items))
        if self.n_items == self._model.n_items:
            return scores
        return scores.index_select(1, torch.from_numpy(self._at).to(scores.device))


def evaluate_shared(
    model: Recommender,
    model_ids: npt.NDArray[Any],
    users: HeldOutUsers,
    item_ids: npt.NDArray[Any],
    scoring: Scoring = PUBLISHED,
    *,
    names: Sequence[str] = ("the model", "the data"),
) -> tuple[Evaluation, Coverage]:
    """Score `users` by what the model knows of their items; positions of users are those among `users`.

    Args:
        model: the model.
        model_ids: ids by its item position.
        users: held-out users over the data's items.
        item_ids: ids by the data's item position.
        scoring: what is computed, over the data's items.
        names: of model and data, for the message.

    Raises:
        DataError: model and data share no item.
        DivergedError: a score is not finite.
    """
    if len(model_ids) == len(item_ids) and model_ids.tolist() == item_ids.tolist():
        return evaluate(model, users, scoring), Coverage(len(item_ids), len(item_ids))
    at = positions_among(item_ids, model_ids)
    here = np.flatnonzero(at >= 0)
    here = here[np.argsort(at[here])]
    if not here.size:
        raise DataError(
            f"{names[0]} knows none of the {len(item_ids):,} items of {names[1]} (its ids are like"
            f" {', '.join(map(repr, model_ids[:3].tolist()))}); give data with such items"
        )
    place = np.full(len(item_ids), -1, dtype=np.int64)
    place[here] = np.arange(here.size)
    fold_in, held_out = (part.over(place, here.size) for part in (users.fold_in, users.held_out))
    missing = users.held_out.counts() - held_out.counts()
    if scoring.popularity is not None:
        scoring = replace(scoring, popularity=scoring.popularity[here])
    scored = evaluate(
        SharedItems(model, at[here]),
        HeldOutUsers(fold_in, held_out),
        scoring,
        beyond=Beyond(missing, len(item_ids) - here.size),
    )
    there = (users.fold_in.counts() > 0) & (users.held_out.counts() > 0)
    blind = there & (fold_in.counts() == 0)
    return scored, Coverage(
        n_items=len(item_ids),
        n_shared=here.size,
        n_gone=len(model_ids) - here.size,
        n_dropped=int((users.fold_in.counts() - fold_in.counts())[there].sum()),
        n_missed=int(missing[there].sum()),
        n_without_history=int(np.count_nonzero(blind)),
        n_unfindable=int(np.count_nonzero(there & ~blind & (held_out.counts() == 0))),
    )
