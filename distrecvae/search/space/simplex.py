"""The simplex: weights drawn by breaking a stick, so that a sampler sees plain floats in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import BaseTrial
from scipy import special

from distrecvae.checks import Scalar, is_number
from distrecvae.errors import SpaceError

# Snaps the rounding of stick-breaking away: 0.15 comes back as 0.15, and the sum stays within 1e-13 of one.
_DECIMALS = 14


@dataclass(frozen=True)
class Simplex:
    """Weights of `components`: not negative, summing to one, Dirichlet distributed with `concentration`.

    Drawn by breaking a stick: the share v_i that component i takes of what is left of it is distributed as
    Beta(a_i, a_(i+1) + ... + a_K), where a_i is the component's concentration (Gelman et al., Bayesian Data
    Analysis, 3rd edition, appendix A, "Dirichlet"), and comes from a uniform u_i in [0, 1] by the quantile
    function of that. So Optuna sees K - 1 plain floats in [0, 1]; at u_i = 0 and u_i = 1 lie the faces and
    vertices, where weights are exactly zero. With all concentrations 1 the simplex is filled uniformly.
    """

    components: tuple[str, ...]
    concentration: tuple[float, ...]

    def suggest(self, trial: BaseTrial, name: str) -> list[float]:
        """Return K drawn weights."""
        sticks = [trial.suggest_float(f"{name}/{i}", 0.0, 1.0) for i in range(len(self.components) - 1)]
        return self.weights(sticks)

    def internal(self, name: str, value: Any) -> dict[str, Any]:
        """Return `{name/0: u_0, ...}`, K - 1 floats."""
        shape = (
            isinstance(value, Sequence) and not isinstance(value, str) and len(value) == len(self.components)
        )
        if not shape or not all(is_number(weight) and weight >= 0 for weight in value):
            raise SpaceError(f"{name}: {value!r} is not {len(self.components)} weights of at least 0")
        if abs(math.fsum(value) - 1) > 1e-9:
            raise SpaceError(f"{name}: {value!r} sums to {math.fsum(value):g}, not to 1")
        return {f"{name}/{i}": stick for i, stick in enumerate(self.sticks(value))}

    def weights(self, sticks: Sequence[float]) -> list[float]:
        """Return the K weights of K - 1 uniforms in [0, 1]; each to 14 decimals."""
        left, weights = 1.0, []
        for stick, (a, b) in zip(sticks, self._shapes(), strict=True):
            share, rest = _break(stick, a, b)
            weights.append(left * share)
            left *= rest
        return [round(weight, _DECIMALS) for weight in [*weights, left]]

    def sticks(self, weights: Sequence[float]) -> list[float]:
        """Return the K - 1 uniforms whose `weights` these are; 1 where nothing is left of the stick."""
        sticks = []
        for i, (a, b) in enumerate(self._shapes()):
            after = math.fsum(weights[i + 1 :])
            left = weights[i] + after
            share = weights[i] / left if left > 0 else 0.0
            sticks.append(_unbreak(share, after / left if left > 0 else 1.0, a, b))
        return sticks

    def _shapes(self) -> list[tuple[float, float]]:
        a = self.concentration
        return [(a[i], math.fsum(a[i + 1 :])) for i in range(len(a) - 1)]

    def ends(self) -> tuple[list[float], ...]:
        """Return the vertices and the centre."""
        n = len(self.components)
        vertices = [[float(i == j) for j in range(n)] for i in range(n)]
        return *vertices, self.middle()

    def middle(self) -> list[float]:
        """Return equal weights."""
        n = len(self.components)
        return [round(1 / n, _DECIMALS)] * n

    def text(self) -> str:
        """Return the components, and the concentration where it is not 1."""
        text = f"weights of {', '.join(self.components)}"
        if set(self.concentration) == {1.0}:
            return text
        return f"{text}, concentration {', '.join(f'{a:g}' for a in self.concentration)}"

    def flatten(self, name: str, value: Any) -> dict[str, Scalar]:
        """Return a column a component: `{name.component: weight}`."""
        values = [None] * len(self.components) if value is None else value
        return {f"{name}.{component}": v for component, v in zip(self.components, values, strict=True)}

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping form."""
        return {
            "type": "simplex",
            "components": list(self.components),
            "concentration": list(self.concentration),
        }


def _break(u: float, a: float, b: float) -> tuple[float, float]:
    # Returns v, which a Beta(a, b) variable exceeds with probability u, and 1 - v. By the upper tail, because
    # near 0 floats are dense: what is left of the stick may become as small as it likes.
    if u <= 0:
        return 1.0, 0.0
    if u >= 1:
        return 0.0, 1.0
    if a == 1:  # P(V > v) = (1 - v)^b
        log_rest = math.log(u) / b
        return -math.expm1(log_rest), math.exp(log_rest)
    share, rest = float(special.betainccinv(a, b, u)), float(special.betaincinv(b, a, u))
    if math.isnan(
        share + rest
    ):  # scipy's far tail, u below 1e-157: there the series' first term is all there is
        log_rest = (math.log(u) + math.log(b) + float(special.betaln(a, b))) / b
        rest = math.exp(min(log_rest, 0.0))
        share = 1.0 - rest
    return share, rest


def _unbreak(share: float, rest: float, a: float, b: float) -> float:
    if rest <= 0:
        return 0.0
    if share <= 0:
        return 1.0
    if a == 1:
        return float(rest**b)
    return float(special.betainc(b, a, rest))
