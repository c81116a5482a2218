"""Owns the distributions of a search space: int, float, categorical and simplex.

A distribution is plain frozen data that can draw a value from an Optuna trial, go back from a value to
Optuna's own parameters, list its extreme values, say itself in words, and give its columns in a table.
`parse` makes one from a mapping and refuses what makes no sense, in one line that names the parameter and the
rule.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from optuna.trial import BaseTrial

from distrecvae.errors import SpaceError, nearest
from distrecvae.search.space.scalars import Scalar, is_number, is_whole
from distrecvae.search.space.simplex import Simplex


class Distribution(Protocol):
    """What one searched parameter may be."""

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """Return a JSON-able value drawn from `trial` under the Optuna name `name` (or `name/0`, ...)."""

    def internal(self, name: str, value: Any) -> dict[str, Any]:
        """Return the Optuna parameters for which `suggest` gives `value`.

        Raises:
            SpaceError: `value` is not in the range.
        """

    def ends(self) -> tuple[Any, ...]:
        """Return the extreme values: a model that accepts these accepts the range."""

    def middle(self) -> Any:
        """Return a value from the middle, for when there is no better one."""

    def text(self) -> str:
        """Return the range in words."""

    def flatten(self, name: str, value: Any) -> dict[str, Scalar]:
        """Return the table columns of `value`; with `value` None, the columns with None."""

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping from which `parse` makes an equal distribution."""


@dataclass(frozen=True)
class Int:
    """Whole numbers from `low` to `high`, both included, `step` apart or evenly spread in the logarithm."""

    low: int
    high: int
    step: int = 1
    log: bool = False

    def suggest(self, trial: BaseTrial, name: str) -> int:
        """Return a drawn value."""
        return trial.suggest_int(name, self.low, self.high, step=self.step, log=self.log)

    def internal(self, name: str, value: Any) -> dict[str, Any]:
        """Return `{name: value}`."""
        if not is_whole(value) or not self.low <= value <= self.high or (value - self.low) % self.step:
            raise SpaceError(f"{name}: {value!r} is not in the range {self.text()}")
        return {name: value}

    def ends(self) -> tuple[int, int]:
        """Return low and high."""
        return self.low, self.high

    def middle(self) -> int:
        """Return the value in the middle (geometric if `log`)."""
        if self.log:
            return min(max(round(math.sqrt(self.low * self.high)), self.low), self.high)
        return self.low + (self.high - self.low) // self.step // 2 * self.step

    def text(self) -> str:
        """Return for example `50 to 400, step 50`."""
        suffix = ", log" if self.log else f", step {self.step}" if self.step != 1 else ""
        return f"{self.low} to {self.high}{suffix}"

    def flatten(self, name: str, value: Any) -> dict[str, Scalar]:
        """Return `{name: value}`."""
        return {name: value}

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping form."""
        return {"type": "int", "low": self.low, "high": self.high, "step": self.step, "log": self.log}


@dataclass(frozen=True)
class Float:
    """Numbers from `low` to `high`, both included; `step` apart, or evenly spread in the logarithm."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    def suggest(self, trial: BaseTrial, name: str) -> float:
        """Return a drawn value."""
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def internal(self, name: str, value: Any) -> dict[str, Any]:
        """Return `{name: value}`."""
        if not is_number(value) or not self.low <= value <= self.high or not self._on_grid(float(value)):
            raise SpaceError(f"{name}: {value!r} is not in the range {self.text()}")
        return {name: float(value)}

    def _on_grid(self, value: float) -> bool:
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return math.isclose(steps, round(steps), abs_tol=1e-9)

    def ends(self) -> tuple[float, float]:
        """Return low and high."""
        return self.low, self.high

    def middle(self) -> float:
        """Return the value in the middle (geometric if `log`)."""
        if self.log:
            return min(max(math.sqrt(self.low) * math.sqrt(self.high), self.low), self.high)
        if self.step is not None:
            return self.low + round((self.high - self.low) / self.step) // 2 * self.step
        return self.low + (self.high - self.low) / 2

    def text(self) -> str:
        """Return for example `0.0001 to 0.002, log`."""
        suffix = ", log" if self.log else f", step {self.step:g}" if self.step is not None else ""
        return f"{self.low:g} to {self.high:g}{suffix}"

    def flatten(self, name: str, value: Any) -> dict[str, Scalar]:
        """Return `{name: value}`."""
        return {name: value}

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping form."""
        return {"type": "float", "low": self.low, "high": self.high, "step": self.step, "log": self.log}


@dataclass(frozen=True)
class Categorical:
    """One of `choices`, without an order; choices are scalars, no two equal."""

    choices: tuple[Scalar, ...]

    def suggest(self, trial: BaseTrial, name: str) -> Scalar:
        """Return a drawn choice."""
        return trial.suggest_categorical(name, self.choices)

    def internal(self, name: str, value: Any) -> dict[str, Any]:
        """Return `{name: choice}`."""
        for choice in self.choices:
            if choice == value and isinstance(choice, bool) == isinstance(value, bool):
                return {name: choice}
        raise SpaceError(f"{name}: {value!r} is not one of {self.text()}")

    def ends(self) -> tuple[Scalar, ...]:
        """Return every choice."""
        return self.choices

    def middle(self) -> Scalar:
        """Return the choice in the middle of the list."""
        return self.choices[len(self.choices) // 2]

    def text(self) -> str:
        """Return the choices as JSON, separated by bars."""
        return " | ".join(
            json.dumps(choice) if not isinstance(choice, str) else choice for choice in self.choices
        )

    def flatten(self, name: str, value: Any) -> dict[str, Scalar]:
        """Return `{name: value}`."""
        return {name: value}

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping form."""
        return {"type": "categorical", "choices": list(self.choices)}


def parse(name: str, raw: object) -> Distribution:
    """Return the distribution that the mapping `raw` describes.

    Raises:
        SpaceError: an unknown type or key, or bounds that break a rule; the message starts with `name`.
    """
    if not isinstance(raw, Mapping):
        raise SpaceError(f"{name}: {raw!r} is not a distribution; write {{type: float, low: ..., high: ...}}")
    kind = raw.get("type")
    if kind is None:
        raise SpaceError(f"{name}: has no type; choose from {', '.join(TYPES)}")
    if not isinstance(kind, str) or kind not in _PARSERS:
        hint = nearest(str(kind), TYPES)
        raise SpaceError(f"{name}: unknown type {kind!r}{hint or '; choose from ' + ', '.join(TYPES)}")
    required, optional, build = _PARSERS[kind]
    known = ("type", *required, *optional)
    for key in raw:
        if key not in known:
            hint = nearest(str(key), known)
            raise SpaceError(
                f"{name}: unknown key {key!r} for type {kind}{hint or '; it takes ' + ', '.join(known)}"
            )
    for key in required:
        if key not in raw:
            raise SpaceError(f"{name}: type {kind} needs {key!r}")
    distribution: Distribution = build(name, raw)
    return distribution


def _parse_int(name: str, raw: Mapping[str, Any]) -> Int:
    for key in ("low", "high", "step"):
        if raw.get(key) is not None and not is_whole(raw[key]):
            raise SpaceError(f"{name}: {key} is {raw[key]!r}; an int distribution takes whole numbers")
    log, low, high = _log(name, raw), raw["low"], raw["high"]
    step = 1 if raw.get("step") is None else raw["step"]
    if low is None or high is None:
        raise SpaceError(f"{name}: low and high must be whole numbers, not null")
    _check_range(name, low, high, step if raw.get("step") is not None else None, log, log_needs_step_1=True)
    return Int(low, high, step, log)


def _parse_float(name: str, raw: Mapping[str, Any]) -> Float:
    for key in ("low", "high", "step"):
        if (key != "step" or raw.get(key) is not None) and not is_number(raw[key]):
            raise SpaceError(f"{name}: {key} is {raw[key]!r}; it must be a finite number")
    log, step = _log(name, raw), raw.get("step")
    low, high = float(raw["low"]), float(raw["high"])
    _check_range(name, raw["low"], raw["high"], step, log, log_needs_step_1=False)
    return Float(low, high, None if step is None else float(step), log)


def _log(name: str, raw: Mapping[str, Any]) -> bool:
    log = raw.get("log", False)
    if not isinstance(log, bool):
        raise SpaceError(f"{name}: log is {log!r}; it must be true or false")
    return log


def _check_range(
    name: str, low: float, high: float, step: float | None, log: bool, *, log_needs_step_1: bool
) -> None:
    if low > high:
        raise SpaceError(f"{name}: low {low} is greater than high {high}; swap them")
    if log and low <= 0:
        raise SpaceError(f"{name}: low is {low}; with log: true it must be greater than 0")
    if step is None:
        return
    if step <= 0:
        raise SpaceError(f"{name}: step is {step}; it must be greater than 0")
    if log and not (log_needs_step_1 and step == 1):
        raise SpaceError(f"{name}: step and log: true exclude each other; remove one")
    span = Decimal(str(high)) - Decimal(str(low))
    if span % Decimal(str(step)):
        raise SpaceError(
            f"{name}: high {high} is not low {low} plus a multiple of step {step}; it would never be drawn"
        )


def _parse_categorical(name: str, raw: Mapping[str, Any]) -> Categorical:
    choices = raw["choices"]
    if not isinstance(choices, list) or not choices:
        raise SpaceError(f"{name}: choices is {choices!r}; it must be a list of at least one value")
    for i, choice in enumerate(choices):
        if not isinstance(choice, bool | int | float | str | None):
            raise SpaceError(f"{name}: choice {choice!r} is neither number, text, true, false nor null")
        if isinstance(choice, float) and not math.isfinite(choice):
            raise SpaceError(f"{name}: choice {choice!r} is not a finite number")
        if choice in choices[:i]:
            raise SpaceError(f"{name}: choice {choice!r} is given twice")
    return Categorical(tuple(choices))


def _parse_simplex(name: str, raw: Mapping[str, Any]) -> Simplex:
    components = raw["components"]
    if not isinstance(components, list) or not all(isinstance(c, str) and c for c in components):
        raise SpaceError(f"{name}: components is {components!r}; it must be a list of names")
    if len(components) < 2:
        raise SpaceError(f"{name}: a simplex needs at least 2 components, this one has {len(components)}")
    for i, component in enumerate(components):
        if component in components[:i]:
            raise SpaceError(f"{name}: component {component!r} is given twice")
    given = raw.get("concentration", 1.0)
    values = given if isinstance(given, list) else [given] * len(components)
    if len(values) != len(components):
        raise SpaceError(
            f"{name}: {len(values)} concentrations for {len(components)} components; give one or as many"
        )
    for value in values:
        if not is_number(value) or value <= 0:
            raise SpaceError(f"{name}: concentration is {value!r}; it must be a finite number greater than 0")
    return Simplex(tuple(components), tuple(float(value) for value in values))


_PARSERS: dict[str, tuple[tuple[str, ...], tuple[str, ...], Any]] = {
    "int": (("low", "high"), ("step", "log"), _parse_int),
    "float": (("low", "high"), ("step", "log"), _parse_float),
    "categorical": (("choices",), (), _parse_categorical),
    "simplex": (("components",), ("concentration",), _parse_simplex),
}

TYPES = (*_PARSERS, "one_of")  # the last is an entry of a space, not a distribution: search/parameters.py
