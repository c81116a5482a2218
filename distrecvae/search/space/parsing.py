"""Makes distributions from mappings, as YAML gives them; an error names the parameter and the rule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from distrecvae.checks import MOST, is_number, is_whole
from distrecvae.errors import SpaceError, nearest
from distrecvae.search.space.distributions import Categorical, Distribution, Float, Int
from distrecvae.search.space.relative import Relative, Sizes, has_amounts, is_relative, parse_amount
from distrecvae.search.space.simplex import Simplex


def _shown(value: int) -> str:
    """Return a number that may have more digits than can be written."""
    return f"a number of {value.bit_length()} bits" if value.bit_length() > 200 else str(value)


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
    if kind in _RELATIVE and has_amounts(raw):
        return _parse_relative(name, raw)
    distribution: Distribution = build(name, raw)
    return distribution


def resolved(name: str, distribution: Distribution, sizes: Sizes, start: Any) -> Distribution:
    """Return a distribution resolved on a data set: itself where it does not depend on one.

    Args:
        name: the parameter's.
        distribution: of any kind.
        sizes: of the training set.
        start: the first trial's value; None where it has none.

    Raises:
        SpaceError: its ends make no sense on this data; the message starts with `name`.
    """
    if not isinstance(distribution, Relative):
        return distribution
    return parse(name, distribution.on(name, sizes, start))


def _parse_relative(name: str, raw: Mapping[str, Any]) -> Relative:
    """Return a range whose ends are amounts; what can be checked before they are numbers is checked."""
    listed = raw.get("choices")
    amounts = [("choice", choice) for choice in listed or () if is_relative(choice)]
    amounts += [(key, raw[key]) for key in ("low", "high") if isinstance(raw.get(key), str)]
    for key, amount in amounts:
        try:
            parse_amount(amount)
        except SpaceError as error:
            raise SpaceError(f"{name}: {key} {error}") from None
    # Numbers in the place of amounts that any other key of the mapping goes with.
    stand_ins = {key: raw[key] for key in raw if key not in ("low", "high", "choices")}
    if listed is None:
        numbers = [raw[key] for key in ("low", "high") if not isinstance(raw[key], str)]
        known = numbers[0] if numbers else stand_ins.get("step") or 1
        parse(name, {**stand_ins, "low": known, "high": known})
    else:
        plain = [choice for choice in listed if not is_relative(choice)]
        parse(name, {**stand_ins, "choices": plain or [0]})
    return Relative(dict(raw))


def _parse_int(name: str, raw: Mapping[str, Any]) -> Int:
    for key in ("low", "high", "step"):
        if raw.get(key) is not None and not is_whole(raw[key]):
            raise SpaceError(f"{name}: {key} is {raw[key]!r}; an int distribution takes whole numbers")
    log, low, high = _log(name, raw), raw["low"], raw["high"]
    step = 1 if raw.get("step") is None else raw["step"]
    if low is None or high is None:
        raise SpaceError(f"{name}: low and high must be whole numbers, not null")
    for key, value in (("low", low), ("high", high), ("step", step)):
        if abs(value) > MOST:
            raise SpaceError(f"{name}: {key} is {_shown(value)}; whole numbers lie within {MOST} of 0")
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
    if span / Decimal(str(step)) > MOST:
        raise SpaceError(
            f"{name}: step {step} divides low {low} to high {high} into more than {MOST} parts; leave it out"
        )
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

_RELATIVE = ("int", "float", "categorical")
"""Types whose ends or choices may be amounts."""

TYPES = (*_PARSERS, "one_of")  # the last is an entry of a space, not a distribution: search/parameters.py
