"""Says which ends of ranges pull: the best trials lie there, and better ones may lie beyond. From the ledger alone.

An end pulls where the best trial lies at its edge (`distrecvae.search.space.edges`), and so many of the best `FEW` that
uniform draws would bring it to that end in less than one case of a hundred: three of four where the edge is a twentieth
of the range, all four where it is the last of four to seven values. Of two or three values four trials tell nothing,
and their ends stay. What was put there tells nothing, either: a start-up trial's value that is the start's own does
not count.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import comb
from typing import Any

from distrecvae.search.core.records import Status, TrialRecord, by_score
from distrecvae.search.core.samplers import STARTUP_TRIALS
from distrecvae.search.space.changing import farther_end, width
from distrecvae.search.space.distributions import Distribution, Float, Int
from distrecvae.search.space.edges import Direction, edge_at, edge_share
from distrecvae.search.space.space import SearchSpace

FEW = 4
"""Best trials that are looked at."""
MOST_OF_THEM = 3
"""Of these, at least."""
CHANCE = 0.01
"""How likely uniform draws may be to bring as many of them to an edge."""
SHARE = 0.5
"""Of the width that a range was begun with, by which an end that pulls moves outwards. (Were it the width by now, each
step would be half as large again as the one before.)"""
TRIES = 3
"""Ends that are tried, each half as far out as the one before, where the model does not take that. Nearer ones would
leave the old end at the edge of the new range, where it would pull again."""

WIDENED = f"may widen, by half at an end where {MOST_OF_THEM} or {FEW} of the best {FEW} trials lie (--widen)"
"""What a plan says of it."""

Allows = Callable[[Mapping[str, Any]], bool]
"""Tells whether a model takes a whole configuration, and can be trained with it here."""


@dataclass(frozen=True)
class Pull:
    """An end of a range at which the best trials lie.

    Attributes:
        field: the model's setting.
        direction: where better ones may lie.
        at_edge: how many of the best few lie there.
        of: how many those are.
        end: where the range is to end.
    """

    field: str
    direction: Direction
    at_edge: int
    of: int
    end: int | float

    @property
    def ends(self) -> list[bool | int | float | str | None]:
        """The range's low and high that are asked for; None for as it is."""
        return [self.end, None] if self.direction == "smaller" else [None, self.end]

    def text(self) -> str:
        """Return why, in words."""
        end = "lower" if self.direction == "smaller" else "upper"
        return f"{self.at_edge} of the best {self.of} trials lay at the {end} end of {self.field}"


def pulls(
    records: Collection[TrialRecord], space: SearchSpace, begun: SearchSpace, allows: Allows | None = None
) -> list[Pull]:
    """Return the ends that pull, in the order of the space; nothing before `STARTUP_TRIALS` trials have ended.

    Args:
        records: the trials so far.
        space: what is searched now.
        begun: what was when the search began.
        allows: tells what the model takes; an end beyond which it takes nothing does not pull. None: everything.
    """
    best = by_score(records)[:FEW]
    ended = sum(record.status is not Status.RUNNING for record in records)
    if ended < STARTUP_TRIALS or len(best) < FEW:
        return []
    found = []
    for parameter in space.parameters.values():
        for field, distribution in parameter.leaves(best[0].config):
            direction = _drawn_to(best[0], field, distribution, space)
            if direction is None or not isinstance(distribution, Int | Float):
                continue
            leaves = [dict(parameter.leaves(record.config)).get(field) for record in best]
            there = sum(
                leaf is not None and _drawn_to(record, field, leaf, space) == direction
                for record, leaf in zip(best, leaves, strict=True)
            )
            if there < _needed(edge_share(distribution)):
                continue
            share = SHARE * _begun_width(begun, field, distribution) / width(distribution)
            end = _end(distribution, share, field, direction, best[0].config, allows)
            if end is not None:
                found.append(Pull(field, direction, there, len(best), end))
    return found


def _drawn_to(
    record: TrialRecord, field: str, distribution: Distribution, space: SearchSpace
) -> Direction | None:
    """Return at which edge a trial's value lies; None where it lies inside, or was put there by the start."""
    value = record.config[field]
    if record.number < STARTUP_TRIALS and value == space.base[field]:
        return None
    return edge_at(distribution, value)


def _needed(share: float) -> int:
    """Return how many of the best few have to lie at an edge that holds such a share of uniform draws."""
    chances = [comb(FEW, k) * share**k * (1 - share) ** (FEW - k) for k in range(FEW + 1)]
    fitting = (k for k in range(MOST_OF_THEM, FEW + 1) if sum(chances[k:]) < CHANCE)
    return next(fitting, FEW + 1)


def _begun_width(begun: SearchSpace, field: str, now: Int | Float) -> float:
    """Return how wide a setting's range was at first; as now where it was not searched so."""
    leaves = [
        leaf for parameter in begun.parameters.values() for leaf in parameter.leaves() if leaf[0] == field
    ]
    first = next((each for _, each in leaves if isinstance(each, Int | Float)), now)
    return width(first if first.log == now.log and first.low < first.high else now)


def _end(
    distribution: Int | Float,
    share: float,
    field: str,
    direction: Direction,
    config: Mapping[str, Any],
    allows: Allows | None,
) -> int | float | None:
    """Return the new end, as far out as the model takes it; None where it takes nothing beyond the old one."""
    old = distribution.low if direction == "smaller" else distribution.high
    for halved in range(TRIES):
        end = farther_end(distribution, direction, share / 2**halved)
        if end != old and (allows is None or allows({**config, field: end})):
            return end
    return None
