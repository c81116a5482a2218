"""The methods that RecVAE-Bench compares, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
from optuna.trial import FixedTrial

from bench.beliefs import BeliefSampler
from bench.replay import SPACE_OF_BENCH, Method, SamplerOf
from distrecvae.rng import derive_seed
from distrecvae.search.core.guided.cube import Cube
from distrecvae.search.core.study import quiet
from distrecvae.search.space.changing import with_range
from distrecvae.search.space.distributions import Float, Int
from distrecvae.search.space.relative import Sizes
from distrecvae.search.space.space import SearchSpace


def half(space: SearchSpace) -> SearchSpace:
    """Return the space with each range half as wide: around the start as far as it stays inside, else up to an end.

    Ranges of two values stay, and weights.
    """
    middle = dict(space.base)
    for parameter in space.parameters.values():
        for name, distribution in parameter.leaves():
            if not isinstance(distribution, Int | Float) or distribution.high - distribution.low == 1:
                continue
            at = distribution.middle() if middle[name] is None else middle[name]
            low, high = _half(distribution, at)
            space = with_range(space, name, (low, high), wider=False)
    return space


def _half(distribution: Int | Float, at: float) -> tuple[float, float]:
    ends = np.array([distribution.low, distribution.high, at], dtype=float)
    low, high, middle = np.log(ends) if distribution.log else ends
    quarter = (high - low) / 4
    middle = min(max(middle, low + quarter), high - quarter)
    found = np.array([middle - quarter, middle + quarter])
    found = np.exp(found) if distribution.log else found
    if isinstance(distribution, Int):
        return round(found[0]), round(found[1])
    return float(found[0]), float(found[1])


PUBLISHED = (SPACE_OF_BENCH.default_point(),)


def mirrored(point: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the point at the other side of the space's middle: a belief that is wrong on purpose."""
    with quiet():
        trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
        SPACE_OF_BENCH.suggest(trial)
    cube = Cube(trial.distributions)
    return cube.params(1 - cube.point(point))


MISLED = replace(SPACE_OF_BENCH, base=SPACE_OF_BENCH.suggest(FixedTrial(dict(mirrored(PUBLISHED[0])))))
"""The same space, whose searches start at the other side of its middle from the published point."""


SIZES_OF_TABLES = Sizes(users=300, items=1000, interactions=20_000)
"""About the tables': what the packaged space's ranges of batches depend on."""
PACKAGED = with_range(
    replace(SearchSpace.load("recvae"), likely={}).resolved(SIZES_OF_TABLES),
    "hidden_dim",
    (200, 600),
    wider=False,
)
"""What users search, as far as the tables reach: no hidden layer above 600 was recorded."""


def believing(beliefs: Sequence[Mapping[str, Any]] = PUBLISHED, **settings: Any) -> SamplerOf:
    return lambda seed, number, pace: BeliefSampler(
        derive_seed(seed, "sampler", number), beliefs, pace=pace, **settings
    )


METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method(
            name="default"
        ),  # tpe, asha, a first rung at a fifth of the budget: the defaults without `likely`
        Method(name="random", sampler="random", scheduler="none"),
        Method(name="tpe-alone", scheduler="none"),
        Method(name="asha-alone", sampler="random"),
        Method(name="hyperband", scheduler="hyperband"),
        Method(name="hyperband-alone", sampler="random", scheduler="hyperband"),
        Method(name="median", scheduler="median"),
        Method(name="sobol", sampler="qmc"),
        Method(name="gp", sampler="gp"),
        Method(name="cmaes", sampler="cmaes"),
        Method(name="tpe-9", first_rung=1 / 9),
        Method(name="belief", sampler_of=believing()),
        Method(name="belief-thrift0", sampler_of=believing(thrift=0.0)),
        Method(name="belief-none", sampler_of=believing(())),
        Method(name="belief-wrong", sampler_of=believing((mirrored(PUBLISHED[0]),))),
        Method(name="tpe-9-4", first_rung=1 / 9, reduction_factor=4),
        Method(name="guided", sampler="guided"),
        Method(name="guided-likely", sampler="guided", likely="others"),
        Method(name="guided-unlikely", sampler="guided", likely="opposite"),
        Method(name="guided-9", sampler="guided", first_rung=1 / 9),
        Method(name="guided-15", sampler="guided", first_rung=1 / 15),
        Method(name="guided-misled", sampler="guided", space=MISLED),
        Method(name="guided-blind", sampler="guided", start=False),
        Method(name="default-misled", space=MISLED),
        Method(name="half", space=half(SPACE_OF_BENCH)),
        Method(name="half-widen", space=half(SPACE_OF_BENCH), widen=True),
        Method(name="packaged", space=PACKAGED),
        Method(name="packaged-guided", space=PACKAGED, sampler="guided", likely="others"),
        Method(name="belief-9", sampler_of=believing(), first_rung=1 / 9),
    )
}
