"""How searched values lie on an axis: a column's range, its scale, and the simplexes with a triangle."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from distrecvae.checks import Scalar, is_number
from distrecvae.search.space.space import SearchSpace


@dataclass(frozen=True)
class Axis:
    """A column of the searched values.

    Attributes:
        name: the column's.
        parameter: the name of the space's entry it belongs to.
        low: the range's lower end; 0 where there are choices.
        high: its upper end; the last choice's position.
        log: whether it is searched in the logarithm.
        choices: the labels of a categorical column; empty for numbers.
    """

    name: str
    parameter: str
    low: float
    high: float
    log: bool = False
    choices: tuple[str, ...] = ()

    def place(self, value: Scalar) -> float | None:
        """Return where on the axis a value lies, 0 at its low end and 1 at its high end; None for no value."""
        if self.choices:
            label = label_of(value)
            return (
                self.choices.index(label) / max(1, len(self.choices) - 1) if label in self.choices else None
            )
        if not isinstance(value, int | float) or self.high <= self.low:
            return None if value is None else 0.5
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return (at - low) / (high - low)

    def end_labels(self) -> tuple[str, str]:
        """Return the words for both ends."""
        if self.choices:
            return self.choices[0], self.choices[-1]
        return label_of(self.low), label_of(self.high)


def label_of(value: Any) -> str:
    """Return a value as the report writes it, numbers with four digits."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def axes(space: SearchSpace) -> list[Axis]:
    """Return an axis for every column of `SearchSpace.flatten`, in its order."""
    found: dict[str, Axis] = {}
    for name, parameter in space.parameters.items():
        form = parameter.to_dict()
        if form["type"] != "one_of":
            found |= {axis.name: axis for axis in _axes(name, name, form)}
            continue
        found[name] = _choices(name, name, list(form["branches"]))
        for branch in form["branches"].values():
            for field, distribution in branch.items():
                for axis in _axes(field, name, distribution):
                    found[axis.name] = _joined(found[axis.name], axis) if axis.name in found else axis
    return [found[name] for name in space.names()]


def stretched(axis: Axis, values: Iterable[Scalar]) -> Axis:
    """Return the axis so long that it has these values: those of a range that was widened lie beyond its ends."""
    numbers = [float(each) for each in values if isinstance(each, int | float) and is_number(each)]
    if axis.choices or not numbers:
        return axis
    return replace(axis, low=min(axis.low, *numbers), high=max(axis.high, *numbers))


def triangles(space: SearchSpace) -> dict[str, tuple[str, str, str]]:
    """Return, for each simplex of three components, its name and the columns of its weights."""
    found = {}
    for name, parameter in space.parameters.items():
        form = parameter.to_dict()
        branches: Iterator[tuple[str, Mapping[str, Any]]] = (
            (field, distribution)
            for branch in form.get("branches", {}).values()
            for field, distribution in branch.items()
        )
        for field, distribution in [(name, form), *branches]:
            if distribution["type"] == "simplex" and len(distribution["components"]) == 3:
                a, b, c = (f"{field}.{component}" for component in distribution["components"])
                found[field] = (a, b, c)
    return found


def _axes(name: str, parameter: str, form: Mapping[str, Any]) -> list[Axis]:
    if form["type"] == "simplex":
        return [Axis(f"{name}.{component}", parameter, 0.0, 1.0) for component in form["components"]]
    if form["type"] == "categorical":
        return [_choices(name, parameter, form["choices"])]
    return [Axis(name, parameter, form["low"], form["high"], bool(form["log"]))]


def _choices(name: str, parameter: str, choices: list[Any]) -> Axis:
    return Axis(name, parameter, 0, len(choices) - 1, choices=tuple(label_of(choice) for choice in choices))


def _joined(first: Axis, second: Axis) -> Axis:
    """Return one axis for a field that two branches have in different ranges."""
    choices = tuple(dict.fromkeys((*first.choices, *second.choices)))
    if choices:
        return Axis(first.name, first.parameter, 0, len(choices) - 1, choices=choices)
    low, high = min(first.low, second.low), max(first.high, second.high)
    return Axis(first.name, first.parameter, low, high, log=first.log and second.log)
