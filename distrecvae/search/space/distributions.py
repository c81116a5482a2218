"""The distributions of a search space: int, float, categorical and simplex.

A distribution is plain frozen data that can draw a value from an Optuna trial, turn a value back into Optuna's own
parameters, list its extreme values, describe itself in words, and give its columns in a table.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Protocol

from optuna.trial import BaseTrial

from distrecvae.checks import Scalar, is_number, is_whole
from distrecvae.errors import SpaceError


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
        """Return a value from the middle, where no better one is known."""

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


def nearest_value(distribution: Distribution, value: Any) -> Any:
    """Return the value of a range of numbers that is nearest to `value`; `value` itself for other distributions."""
    if not is_number(value):
        return value
    if isinstance(distribution, Int | Float):
        return min(max(value, distribution.low), distribution.high)
    if isinstance(distribution, Categorical):
        numbers = [each for each in distribution.choices if isinstance(each, int | float) and is_number(each)]
        return min(numbers, key=lambda number: abs(number - value), default=value)
    return value
