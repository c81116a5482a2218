"""Changes a space while its search continues: a narrower or wider range, a fixed parameter; each makes a new space."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from distrecvae.errors import SpaceError, nearest
from distrecvae.search.space.checks import check_against_model
from distrecvae.search.space.distributions import Categorical, Distribution, Float, Int
from distrecvae.search.space.edges import Direction
from distrecvae.search.space.parameters import OneOf, Parameter, Setting
from distrecvae.search.space.parsing import parse
from distrecvae.search.space.space import SearchSpace

Range = tuple[Any, Any] | Sequence[Any]


def with_range(
    space: SearchSpace, field: str, ends: Range, *, wider: bool, config_class: type | None = None
) -> SearchSpace:
    """Return the space with other ends for a number's range, or other choices for a categorical.

    Args:
        space: as it stands.
        field: a setting of the model that is searched.
        ends: low and high, None for one that stays; a categorical's choices.
        wider: the range may only grow; else it may only shrink.
        config_class: the model's config, which has to accept the new ends; None skips that check.

    Raises:
        SpaceError: the setting is not searched, has no ends, or these break a rule.
    """
    name, parameter = _entry_of(space, field)
    before = _distribution_of(parameter, field)
    after = _between(field, before, ends, wider=wider)
    changed: Parameter
    if isinstance(parameter, OneOf):
        branches = {
            branch: {f: after if f == field else d for f, d in fields.items()}
            for branch, fields in parameter.branches.items()
        }
        changed = OneOf(branches)
    else:
        changed = Setting(field, after)
    _require_taken(space, name, changed, config_class)
    return replace(space, parameters={**space.parameters, name: changed})


def farther_end(distribution: Int | Float, direction: Direction, share: float) -> int | float:
    """Return where a range ends that is wider at one end by a share of its width, of the logarithm where that counts.

    Whole numbers move by at least one, steps by whole ones; others are rounded to three digits.

    Args:
        distribution: the range.
        direction: at which end.
        share: of its width.
    """
    low, high, sign = distribution.low, distribution.high, 1 if direction == "larger" else -1
    end = high if sign > 0 else low
    if distribution.log:
        moved = end * (high / low) ** (sign * share)
    elif distribution.step is not None:
        steps = max(1, round(share * round((high - low) / distribution.step)))
        exact = Decimal(str(end)) + sign * steps * Decimal(str(distribution.step))
        return int(exact) if isinstance(distribution, Int) else float(exact)
    else:
        moved = end + sign * share * (high - low)
    if isinstance(distribution, Int):
        whole = max(round(moved), end + 1) if sign > 0 else min(round(moved), end - 1)
        return int(max(whole, 1))
    short = float(f"{moved:.3g}")
    return short if sign * (short - end) > 0 else moved


def width(distribution: Int | Float) -> float:
    """Return how wide a range is, in its own numbers, or in their logarithm where that is searched."""
    low, high = float(distribution.low), float(distribution.high)
    return math.log(high / low) if distribution.log else high - low


def with_value(
    space: SearchSpace, field: str, value: Any, *, config_class: type | None = None
) -> SearchSpace:
    """Return the space with a setting that is no longer searched: all further trials have this value.

    Raises:
        SpaceError: the setting is not searched, the model refuses the value, or nothing would be left to search.
    """
    name, parameter = _entry_of(space, field)
    if isinstance(parameter, OneOf) and any(
        field in branch and len(branch) > 1 for branch in parameter.branches.values()
    ):
        raise SpaceError(f"{field}: its branch of {name} has other settings, too; narrow it instead")
    others = {other: each for other, each in space.parameters.items() if other != name}
    if not others:
        raise SpaceError(f"{field}: nothing would be left to search; end the search instead")
    base = {**space.base, **dict.fromkeys(parameter.fields), field: value}
    if config_class is not None:
        check_against_model(config_class, {}, base)
    likely = {name: each for name, each in space.likely.items() if name not in parameter.fields}
    return replace(space, parameters=others, base=base, likely=likely)


def fitting_point(space: SearchSpace, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Optuna parameters of the entries whose range holds the value in `config`."""
    point: dict[str, Any] = {}
    for name, parameter in space.parameters.items():
        try:
            point |= parameter.internal(name, config)
        except SpaceError:
            continue
    return point


def fits(space: SearchSpace, config: Mapping[str, Any]) -> bool:
    """Tell whether every range of the space holds the value in `config`."""
    try:
        for name, parameter in space.parameters.items():
            parameter.internal(name, config)
    except SpaceError:
        return False
    return True


def _entry_of(space: SearchSpace, field: str) -> tuple[str, Parameter]:
    for name, parameter in space.parameters.items():
        if field in parameter.fields:
            return name, parameter
    searched = sorted({each for parameter in space.parameters.values() for each in parameter.fields})
    raise SpaceError(
        f"{field} is not searched{nearest(field, searched)}; what is searched: {', '.join(searched)}"
    )


def _distribution_of(parameter: Parameter, field: str) -> Distribution:
    if isinstance(parameter, OneOf):
        return next(branch[field] for branch in parameter.branches.values() if field in branch)
    assert isinstance(parameter, Setting)  # noqa: S101  (there are two kinds)
    return parameter.distribution


def _between(field: str, before: Distribution, ends: Range, *, wider: bool) -> Distribution:
    if isinstance(before, Categorical):
        choices = tuple(before.internal(field, each)[field] if not wider else each for each in ends)
        missing = [each for each in before.choices if each not in choices]
        if wider and missing:
            raise SpaceError(f"{field}: widened, it keeps its choices {before.text()}; name them all")
        return parse(field, {"type": "categorical", "choices": list(choices)})
    if not isinstance(before, Int | Float):
        raise SpaceError(f"{field}: {before.text()} has no ends; fix it, or leave it")
    if len(ends) != 2:
        raise SpaceError(f"{field}: give LOW:HIGH, one of which may be left out")
    low = before.low if ends[0] is None else ends[0]
    high = before.high if ends[1] is None else ends[1]
    after = parse(field, {**before.to_dict(), "low": low, "high": high})
    assert isinstance(after, Int | Float)  # noqa: S101  (of the same kind)
    inside = before.low <= after.low and after.high <= before.high
    outside = after.low <= before.low and before.high <= after.high
    if not (outside if wider else inside):
        wanted, other = ("wider", "narrow") if wider else ("narrower", "widen")
        raise SpaceError(
            f"{field}: {after.text()} is not {wanted} than {before.text()}; give one that is, or {other} it"
        )
    return after


def _require_taken(space: SearchSpace, name: str, parameter: Parameter, config_class: type | None) -> None:
    if config_class is not None:
        # Where the search began may lie outside of a narrower range: that is no fault.
        somewhere = next(iter(parameter.extremes()))
        check_against_model(config_class, {name: parameter}, {**space.base, **somewhere})
