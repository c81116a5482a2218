"""Finds values at the edge of their ranges: better ones may lie beyond, where no trial can be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from distrecvae.checks import is_number
from distrecvae.search.space.checks import refusal
from distrecvae.search.space.distributions import Categorical, Distribution, Float, Int
from distrecvae.search.space.parameters import Parameter
from distrecvae.words import short

MARGIN = 0.05
"""The share of a range that counts as its edge, at either end: samplers come near an end, seldom onto it."""

_A_LITTLE = 1e-3
"""The share of a range, or of its end, by which a value lies beyond it that the model is asked about."""

Direction = Literal["smaller", "larger"]


@dataclass(frozen=True)
class Edge:
    """A value at the end of its range.

    Attributes:
        name: the model's setting.
        value: what it is.
        range: in words.
        direction: the way in which better values may lie.
    """

    name: str
    value: int | float
    range: str
    direction: Direction

    def text(self) -> str:
        """Return it in words."""
        value = short(self.value)
        return (
            f"{self.name} {value} is at the edge of its range ({self.range}): {self.direction} may be better"
        )


def edges(
    parameters: Mapping[str, Parameter], config: Mapping[str, Any], config_class: type
) -> tuple[Edge, ...]:
    """Return the values of a configuration at the edge of their ranges, in the order of the space.

    Whole numbers and choices are at the edge at their last value; floats, and ranges of more than twenty values, in the
    outermost twentieth, on the scale that is searched. Where the model itself allows nothing beyond (a dropout below
    0), there is no edge. Weights of a simplex have none.

    Args:
        parameters: the space's, resolved.
        config: a whole configuration of the model.
        config_class: the model's, which says what it takes.
    """
    found = []
    for parameter in parameters.values():
        for name, distribution in parameter.leaves(config):
            direction = edge_at(distribution, config[name])
            if direction is None:
                continue
            if refusal(config_class, {**config, name: _beyond(distribution, direction)}) is None:
                found.append(Edge(name, config[name], distribution.text(), direction))
    return tuple(found)


def _ends(distribution: Distribution) -> tuple[float, float, bool] | None:
    """Return low, high and whether the scale is logarithmic; None if values have no order, or there is only one."""
    if isinstance(distribution, Int | Float):
        low, high, log = float(distribution.low), float(distribution.high), distribution.log
    elif isinstance(distribution, Categorical) and all(is_number(each) for each in distribution.choices):
        numbers = [float(each) for each in distribution.choices if isinstance(each, int | float)]
        low, high, log = min(numbers), max(numbers), False
    else:
        return None
    return None if low >= high else (low, high, log)


def edge_at(distribution: Distribution, value: Any) -> Direction | None:
    """Return beyond which end of its range a value may have better ones; None where it lies inside, or has no ends."""
    ends = _ends(distribution)
    if ends is None or not is_number(value):
        return None
    low, high, log = ends
    start, at, end = (math.log(each) if log else float(each) for each in (low, value, high))
    margin = MARGIN * (end - start) if _is_fine(distribution) else 0.0
    if at <= start + margin:
        return "smaller"
    return "larger" if at >= end - margin else None


def edge_share(distribution: Int | Float) -> float:
    """Return which share of uniform draws from a range lies at either one of its edges."""
    if _is_fine(distribution):
        return MARGIN
    step = distribution.step or 1
    return 1 / (round((distribution.high - distribution.low) / step) + 1)


def _is_fine(distribution: Distribution) -> bool:
    """Tell whether a range has so many values that the last one of them is hardly ever drawn."""
    if isinstance(distribution, Int):
        return (distribution.high - distribution.low) // distribution.step + 1 > 1 / MARGIN
    if isinstance(distribution, Float):
        step = distribution.step
        return step is None or (distribution.high - distribution.low) / step + 1 > 1 / MARGIN
    return False


def _beyond(distribution: Distribution, direction: Direction) -> int | float:
    """Return a value a little beyond the end of a range."""
    ends = _ends(distribution)
    assert ends is not None, "it has a direction"  # noqa: S101
    low, high, log = ends
    sign, end = (-1, low) if direction == "smaller" else (1, high)
    whole = isinstance(distribution, Int) or (
        isinstance(distribution, Categorical) and all(isinstance(each, int) for each in distribution.choices)
    )
    if whole:
        return round(end) + sign
    return end * (1 + sign * _A_LITTLE) if log else end + sign * _A_LITTLE * (high - low)
