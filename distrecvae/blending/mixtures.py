"""The scores of many blends of the same models at once: each model scores a user once, whatever is made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.evaluation import BATCH_USERS, PUBLISHED, Evaluation, Recommender, Scoring, evaluate
from distrecvae.kernels.comparable import RULES
from distrecvae.saved.blend import seen_cells

Told = Callable[[int, int], None]
"""Told how many users are done, of how many."""


class _Given:
    """Scores that are there already, of the very users that will be asked for."""

    def __init__(self, scores: torch.Tensor) -> None:
        self._scores = scores

    @property
    def n_items(self) -> int:
        return self._scores.shape[1]

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:  # noqa: ARG002
        return self._scores


def scorable(users: HeldOutUsers) -> npt.NDArray[np.int64]:
    """Return the positions of the users with something folded in and something held out."""
    return np.flatnonzero((users.fold_in.counts() > 0) & (users.held_out.counts() > 0))


def part_of(users: HeldOutUsers, positions: npt.NDArray[np.int64]) -> HeldOutUsers:
    """Return some of the users, in the order of `positions`."""
    return HeldOutUsers(users.fold_in.take(positions), users.held_out.take(positions))


def comparable_batches(
    members: Sequence[Recommender], rule: str, users: HeldOutUsers
) -> Iterator[tuple[HeldOutUsers, torch.Tensor]]:
    """Yield batches of users and the members' comparable scores: float32, (n_members, n_users, n_items), on the CPU."""
    for start in range(0, users.n_users, BATCH_USERS):
        stop = min(start + BATCH_USERS, users.n_users)
        batch = HeldOutUsers(users.fold_in.slice(start, stop), users.held_out.slice(start, stop))
        seen = seen_cells(batch.fold_in, torch.device("cpu"))
        yield batch, torch.stack([RULES[rule](each.score(batch.fold_in).cpu(), seen) for each in members])


def evaluate_mixtures(
    members: Sequence[Recommender],
    rule: str,
    weightings: Sequence[Sequence[float]],
    users: HeldOutUsers,
    scoring: Scoring = PUBLISHED,
    told: Told = lambda _done, _all: None,
) -> list[Evaluation]:
    """Return what `evaluate` gives of each blend of `members`.

    Args:
        members: models of the same items.
        rule: by which their scores are made comparable.
        weightings: each blend's weights, one a member; 0 leaves a member out.
        users: held-out users.
        scoring: metrics that are a value a user.
        told: of the users that are done.

    Raises:
        DivergedError: a score is not finite.
    """
    counted = scorable(users)
    kept = part_of(users, counted)
    parts: list[list[Mapping[str, npt.NDArray[np.float64]]]] = [[] for _ in weightings]
    done = 0
    for batch, scores in comparable_batches(members, rule, kept):
        for place, weights in enumerate(weightings):
            total = torch.zeros_like(scores[0])
            for weight, member in zip(weights, scores, strict=True):
                if weight:
                    total.add_(member * weight)
            parts[place].append(evaluate(_Given(total), batch, scoring, batch_size=batch.n_users).per_user)
        done += batch.n_users
        told(done, kept.n_users)
    return [
        Evaluation(
            {
                metric.name: np.concatenate([np.empty(0), *(part[metric.name] for part in each)])
                for metric in scoring.metrics
            },
            counted,
            users.n_users - counted.size,
        )
        for each in parts
    ]
