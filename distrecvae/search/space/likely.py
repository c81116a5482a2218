"""Where a space's author expects the best values: on all data, or by the size of the training set.

The sampler `guided` begins there, and believes it until the trials say otherwise. Sizes in between are interpolated in
their logarithm, values as their range is searched; beyond the sizes that are given the nearest value holds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distrecvae.checks import is_number
from distrecvae.errors import SpaceError, nearest
from distrecvae.search.space.distributions import Distribution, Float, Int
from distrecvae.search.space.parameters import OneOf, Parameter
from distrecvae.search.space.relative import SIZES, Relative, Size, Sizes

_KEYS = ("at", "within")
_SIZE = re.compile(rf"\s*(\d{{1,15}})\s+({'|'.join(SIZES)})\s*")
_EXAMPLE = "{at: 0.001, within: 10} or {at: {300 users: 0.005, 100000 users: 0.0005}}"


@dataclass(frozen=True)
class Likely:
    """Where one setting's best value is expected.

    Attributes:
        values: by size of the training set, from small to large; one, at size 0, where it does not depend on that.
        size: what it depends on; None for nothing.
        within: how far away the score has fallen off noticeably: a factor where the range is searched in its
            logarithm, else a difference. Only how it compares to other settings' counts. None for the whole range.
    """

    values: tuple[tuple[int, float], ...]
    size: Size | None = None
    within: float | None = None

    def on(self, sizes: Sizes | None, *, log: bool) -> float:
        """Return the value on a training set of these sizes, interpolated in the logarithm of the value if `log`."""
        if self.size is None or sizes is None:
            return self.values[0][1]
        there = max(sizes.to_dict()[self.size], 1)
        (low, first), (high, second) = self.values[0], self.values[-1]
        for (a, at_a), (b, at_b) in zip(self.values, self.values[1:], strict=False):
            if a <= there <= b:
                (low, first), (high, second) = (a, at_a), (b, at_b)
        if there <= low or there >= high:
            return first if there <= low else second
        share = math.log(there / low) / math.log(high / low)
        if log:
            return float(math.exp((1 - share) * math.log(first) + share * math.log(second)))
        return (1 - share) * first + share * second

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping from which `parse_likely` makes an equal one."""
        at: Any = self.values[0][1]
        if self.size is not None:
            at = {f"{size} {self.size}": value for size, value in self.values}
        return {"at": at} | ({} if self.within is None else {"within": self.within})


def parse_likely(raw: Mapping[str, object], parameters: Mapping[str, Parameter]) -> dict[str, Likely]:
    """Return what a space's section `likely` says, by setting.

    Args:
        raw: a mapping for each setting, such as `{at: 0.001, within: 10}`.
        parameters: what is searched.

    Raises:
        SpaceError: a setting is not searched or has no range of numbers, or what is said of it breaks a rule.
    """
    ranges = {
        field: distribution for parameter in parameters.values() for field, distribution in parameter.leaves()
    }
    return {field: _parsed(field, each, ranges) for field, each in raw.items()}


def expected(
    likely: Mapping[str, Likely], parameters: Mapping[str, Parameter], sizes: Sizes | None
) -> dict[str, tuple[float, float | None]]:
    """Return the expected value and `within` of everything that is still searched, by Optuna parameter."""
    return {
        place: (likely[field].on(sizes, log=bool(_log_of(distribution))), likely[field].within)
        for name, parameter in parameters.items()
        for place, field, distribution in _places(name, parameter)
        if field in likely
    }


def _places(name: str, parameter: Parameter) -> list[tuple[str, str, Distribution]]:
    """Return (Optuna's name, setting, distribution) of everything in an entry of a space."""
    if isinstance(parameter, OneOf):
        return [
            (f"{name}/{branch}/{field}", field, distribution)
            for branch, fields in parameter.branches.items()
            for field, distribution in fields.items()
        ]
    return [(name, field, distribution) for field, distribution in parameter.leaves()]


def _parsed(field: str, raw: object, ranges: Mapping[str, Distribution]) -> Likely:
    if field not in ranges:
        hint = nearest(field, tuple(ranges)) or f"; searched are {', '.join(ranges)}"
        raise SpaceError(f"likely: {field} is not searched{hint}")
    log = _log_of(ranges[field])
    if log is None:
        raise SpaceError(f"likely: {field} is no range of numbers; leave it out")
    if not isinstance(raw, Mapping) or "at" not in raw or any(key not in _KEYS for key in raw):
        raise SpaceError(f"likely: {field} is {raw!r}; write for example {_EXAMPLE}")
    within = raw.get("within")
    least = 1 if log else 0
    if within is not None and (not is_number(within) or within <= least):
        kind = "a factor greater than 1" if log else "a difference greater than 0"
        raise SpaceError(f"likely: {field}: within is {within!r}; it must be {kind}")
    at = raw["at"]
    by_size = dict(at) if isinstance(at, Mapping) else {"0 users": at}
    found = [_SIZE.fullmatch(str(size)) for size in by_size]
    kinds = {each[2] if each else None for each in found}
    if not by_size or None in kinds or len(kinds) > 1:
        raise SpaceError(f"likely: {field}: at is {at!r}; write a number, or values by size as in {_EXAMPLE}")
    for value in by_size.values():
        if not is_number(value) or (log and value <= 0):
            rule = "a number greater than 0, for its range is logarithmic" if log else "a finite number"
            raise SpaceError(f"likely: {field}: {value!r} must be {rule}")
    values = sorted(
        (int(each[1]), float(value)) for each, value in zip(found, by_size.values(), strict=True) if each
    )
    named = next(size for size in SIZES if size in kinds)
    if isinstance(at, Mapping) and (values[0][0] < 1 or len({size for size, _ in values}) < len(values)):
        raise SpaceError(f"likely: {field}: at is {at!r}; sizes are at least 1 and differ")
    return Likely(
        tuple(values), named if isinstance(at, Mapping) else None, None if within is None else float(within)
    )


def _log_of(distribution: Distribution) -> bool | None:
    """Return whether a range of numbers is searched in its logarithm; None where it is no range of numbers."""
    if isinstance(distribution, Int | Float):
        return distribution.log
    if isinstance(distribution, Relative) and distribution.form["type"] in ("int", "float"):
        return bool(distribution.form.get("log", False))
    return None
