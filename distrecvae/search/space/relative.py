"""Ranges that depend on the data: ends such as `users/400 at least 16`, and their values on a data set.

An amount is one of `users`, `items` and `interactions` (of the training users), times or divided by a number, and after
that, in any order and each at most once, `at least N`, `at most N`, `rounded to N`. Nothing else is understood. They
are computed as fractions, so that every machine gets the same ends.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Literal, get_args

from optuna.trial import BaseTrial

from distrecvae.checks import Scalar, is_number
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import SpaceError

Size = Literal["users", "items", "interactions"]
SIZES: tuple[Size, ...] = get_args(Size)

GRAMMAR = (
    f"{', '.join(SIZES[:-1])} or {SIZES[-1]}, times or divided by a number, such as users/400 at least 16"
)
"""What an amount is, for people."""

_NUMBER = r"(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})(?:[eE][-+]?\d{1,2})?"
_SIZE = "|".join(SIZES)
_AMOUNT = re.compile(
    rf"\s*(?:(?P<size>{_SIZE})(?:\s*(?P<operator>[*/])\s*(?P<by>{_NUMBER}))?"
    rf"|(?P<times>{_NUMBER})\s*\*\s*(?P<of>{_SIZE}))(?P<bounds>(?:\s+(?:at least|at most|rounded to)\s+{_NUMBER})*)\s*"
)
_BOUND = re.compile(rf"(at least|at most|rounded to)\s+({_NUMBER})")
_OPERATOR = re.compile(rf"(?:{_SIZE})\s*[*/]|\*\s*(?:{_SIZE})")


@dataclass(frozen=True)
class Sizes:
    """How large a training set is."""

    users: int
    items: int
    interactions: int

    @classmethod
    def of(cls, train: InteractionMatrix) -> Sizes:
        """Return the sizes of the training users' interactions."""
        return cls(train.n_users, train.n_items, train.n_interactions)

    def to_dict(self) -> dict[str, int]:
        """Return them by name."""
        return asdict(self)

    def text(self) -> str:
        """Return them in words."""
        return f"{self.users:,} training users, {self.items:,} items, {self.interactions:,} interactions"


@dataclass(frozen=True)
class Amount:
    """A number that depends on the size of the training set.

    Attributes:
        text: as it was written.
        size: what it is relative to.
        factor: what that is multiplied by.
        at_least, at_most: what it is not below or above; None for no bound.
        rounded_to: the nearest multiple of this, a half upwards, that keeps the bounds; None for what its range takes.
    """

    text: str
    size: Size
    factor: Fraction
    at_least: Fraction | None = None
    at_most: Fraction | None = None
    rounded_to: Fraction | None = None

    def on(self, sizes: Sizes, unit: Fraction | None) -> Fraction:
        """Return what it is on a data set, a multiple of `rounded_to`, else of `unit`, where there is one.

        Raises:
            SpaceError: no such multiple keeps the bounds.
        """
        value = self.factor * sizes.to_dict()[self.size]
        if self.at_most is not None:
            value = min(value, self.at_most)
        if self.at_least is not None:
            value = max(value, self.at_least)
        unit = self.rounded_to if self.rounded_to is not None else unit
        if unit is None:
            return value
        nearest = math.floor(value / unit + Fraction(1, 2))
        if self.at_most is not None and nearest * unit > self.at_most:
            nearest = math.floor(self.at_most / unit)
        if self.at_least is not None and nearest * unit < self.at_least:
            nearest = math.ceil(self.at_least / unit)
        if self.at_most is not None and nearest * unit > self.at_most:
            raise SpaceError(f"{self.text!r} allows no multiple of {float(unit):g}; move its bounds apart")
        return nearest * unit


def is_relative(value: object) -> bool:
    """Tell whether a choice is meant as an amount: text in which a size is multiplied or divided."""
    return isinstance(value, str) and _OPERATOR.search(value) is not None


def parse_amount(text: str) -> Amount:
    """Return the amount that `text` describes.

    Raises:
        SpaceError: it is not what the grammar allows.
    """
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise SpaceError(f"is {text!r}; write a number, or {GRAMMAR}")
    size = next(size for size in SIZES if size in (found["size"], found["of"]))
    number = Fraction(found["by"] or found["times"] or 1)
    if number == 0:
        raise SpaceError(f"is {text!r}; what a size is multiplied or divided by must be greater than 0")
    bounds: dict[str, Fraction] = {}
    for word, bound in _BOUND.findall(found["bounds"]):
        key = word.replace(" ", "_")
        if key in bounds:
            raise SpaceError(f"is {text!r}; {word!r} may stand there once")
        bounds[key] = Fraction(bound)
    if bounds.get("rounded_to") == 0:
        raise SpaceError(f"is {text!r}; what it is rounded to must be greater than 0")
    least, most = bounds.get("at_least"), bounds.get("at_most")
    if least is not None and most is not None and least > most:
        raise SpaceError(f"is {text!r}; what is at least {float(least):g} is not at most {float(most):g}")
    written = " ".join(text.split())
    return Amount(written, size, 1 / number if found["operator"] == "/" else number, **bounds)


@dataclass(frozen=True)
class Relative:
    """An int, float or categorical distribution with amounts for ends or choices; it can be drawn from only after `on`.

    Attributes:
        form: its mapping, as it was written; amounts are text.
    """

    form: Mapping[str, Any]

    def on(self, name: str, sizes: Sizes, start: Any) -> dict[str, Any]:
        """Return the mapping form of the distribution on a data set: numbers in the place of amounts.

        The start's value always belongs to it: an end that is an amount moves out as far as there, choices get it
        added. So the first trial is a point of the range like any other, on every data set.

        Args:
            name: the parameter's, for errors.
            sizes: of the training set.
            start: the first trial's value; None where it has none.

        Raises:
            SpaceError: an amount is 0, or the ends change places.
        """
        unit = self._unit()
        if self.form["type"] == "categorical":
            return {**self.form, "choices": self._choices(name, sizes, unit, start)}
        ends = {key: self._end(name, key, sizes, unit) for key in ("low", "high")}
        low, high = ends["low"], ends["high"]
        if is_number(low) and is_number(high) and low > high:
            raise SpaceError(
                f"{name}: low {self.form['low']} is {low:g}, above high {self.form['high']}, {high:g}, with"
                f" {sizes.text()}; bound them with 'at most' and 'at least'"
            )
        if is_number(start):
            ends["low"] = min(low, start) if isinstance(self.form["low"], str) else low
            ends["high"] = max(high, start) if isinstance(self.form["high"], str) else high
        return {**self.form, **ends}

    def asked(self, name: str, sizes: Sizes) -> str:
        """Return what was asked for and what that is on a data set, whatever the start is."""
        unit = self._unit()
        if self.form["type"] == "categorical":
            return " | ".join(self._said(name, "choice", each, sizes, unit) for each in self.form["choices"])
        low, high = (self._said(name, key, self.form[key], sizes, unit) for key in ("low", "high"))
        return f"{low} to {high}"

    def text(self) -> str:
        """Return the range in words, as it was written."""
        if self.form["type"] == "categorical":
            return " | ".join(map(str, self.form["choices"]))
        step = self.form.get("step")
        suffix = ", log" if self.form.get("log") else "" if step in (None, 1) else f", step {step:g}"
        return f"{self.form['low']} to {self.form['high']}{suffix}"

    def flatten(self, name: str, value: Any) -> dict[str, Scalar]:
        """Return `{name: value}`."""
        return {name: value}

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping form."""
        return dict(self.form)

    def ends(self) -> tuple[Any, ...]:
        """Return nothing: there are no ends before `on`."""
        return ()

    def middle(self) -> Any:
        """Refuse: see `suggest`."""
        raise self._unresolved("a relative range")

    def suggest(self, trial: BaseTrial, name: str) -> Any:  # noqa: ARG002
        """Refuse, for nothing can be drawn yet.

        Raises:
            SpaceError: always.
        """
        raise self._unresolved(name)

    def internal(self, name: str, value: Any) -> dict[str, Any]:  # noqa: ARG002
        """Refuse: see `suggest`."""
        raise self._unresolved(name)

    def _unresolved(self, name: str) -> SpaceError:
        return SpaceError(
            f"{name}: {self.text()} depends on the data; take SearchSpace.resolved(sizes) of the space"
        )

    def _unit(self) -> Fraction | None:
        """Return what ends are rounded to: the step, else 1 for whole numbers, else nothing."""
        step = self.form.get("step")
        if step is not None:
            return Fraction(str(step))
        return None if self.form["type"] == "float" else Fraction(1)

    def _end(self, name: str, key: str, sizes: Sizes, unit: Fraction | None) -> Any:
        value = self.form[key]
        if not isinstance(value, str):
            return value
        return self._number(name, key, parse_amount(value), sizes, unit)

    def _number(
        self, name: str, key: str, amount: Amount, sizes: Sizes, unit: Fraction | None
    ) -> int | float:
        try:
            value = amount.on(sizes, unit)
        except SpaceError as error:
            raise SpaceError(f"{name}: {key} {error}") from None
        if value == 0:
            raise SpaceError(
                f"{name}: {key} {amount.text} is 0 with {sizes.text()}; let it be 'at least' something"
            )
        return float(value) if self.form["type"] == "float" or value.denominator != 1 else int(value)

    def _choices(self, name: str, sizes: Sizes, unit: Fraction | None, start: Any) -> list[Any]:
        found: list[Any] = []
        for choice in (*self.form["choices"], *([] if start is None else [start])):
            value = choice
            if is_relative(choice):
                value = self._number(name, "choice", parse_amount(choice), sizes, unit)
            if value not in found:
                found.append(value)
        return sorted(found) if all(is_number(value) for value in found) else found

    def _said(self, name: str, key: str, value: Any, sizes: Sizes, unit: Fraction | None) -> str:
        if not isinstance(value, str) or (key == "choice" and not is_relative(value)):
            return str(value)
        amount = parse_amount(value)
        return f"{amount.text} ({self._number(name, key, amount, sizes, unit):g})"


def has_amounts(raw: Mapping[str, Any]) -> bool:
    """Tell whether a distribution's mapping has an amount in it: then it is `Relative`."""
    choices = raw.get("choices")
    listed: Iterable[object] = choices if isinstance(choices, list) else ()
    return any(isinstance(raw.get(key), str) for key in ("low", "high")) or any(map(is_relative, listed))
