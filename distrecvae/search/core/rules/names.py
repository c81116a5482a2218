"""The stopping rules by the names that `--scheduler` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from distrecvae.errors import ConfigError, nearest
from distrecvae.search.core.rules.curves import Curve, Judgement, StoppingRule, require_budget
from distrecvae.search.core.rules.halving import Asha, Hyperband
from distrecvae.search.core.rules.median import MedianRule


@dataclass(frozen=True)
class Never(StoppingRule):
    """Every trial gets its whole budget."""

    def rungs(self, number: int) -> tuple[int, ...]:  # noqa: ARG002
        """Return nothing."""
        return ()

    def judge(self, number: int, curves: Mapping[int, Curve]) -> Judgement | None:  # noqa: ARG002
        """Return None."""
        return None


# Another rule is one more line here: CONTRIBUTING.md, "A stopping rule".
_RULES: Mapping[str, Callable[[int, int, int], StoppingRule]] = {
    "asha": Asha,
    "hyperband": Hyperband,
    "median": lambda min_passes, max_passes, reduction_factor: MedianRule(min_passes, max_passes),  # noqa: ARG005
    "none": lambda min_passes, max_passes, reduction_factor: Never(),  # noqa: ARG005
}
RULES = tuple(_RULES)


def make_rule(name: str, min_passes: int, max_passes: int, reduction_factor: int = 3) -> StoppingRule:
    """Return the rule called `name`, one of `RULES`.

    Raises:
        ConfigError: an unknown name, passes that are not 1 <= min <= max, or a factor below 2.
    """
    require_budget(min_passes, max_passes, reduction_factor)
    if name not in _RULES:
        raise ConfigError(f"unknown scheduler {name!r}; choose from {', '.join(RULES)}{nearest(name, RULES)}")
    return _RULES[name](min_passes, max_passes, reduction_factor)
