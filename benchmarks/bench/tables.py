"""The data sets of RecVAE-Bench, and the configurations that are recorded on each: functions of a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler

from distrecvae.data.dataset import Split
from distrecvae.data.sources import read_table
from distrecvae.data.split import split_users
from distrecvae.data.splitting.options import SplitOptions
from distrecvae.data.synthetic import synthetic_split
from distrecvae.rng import derive_seed, stream
from distrecvae.search.core.study import quiet
from distrecvae.search.space.space import SearchSpace

SPACE = Path(__file__).with_name("space.yaml")
N_PUBLISHED = 4
"""The first configurations are the published one, under as many seeds: what differs among them is luck."""
NEAR_SHARE = 0.35
"""Of the others, so many are drawn near it."""


@dataclass(frozen=True)
class Table:
    """One data set whose learning curves are recorded.

    Attributes:
        name: of its folder of parts.
        max_passes: data passes of each training.
        curves: how many are wanted.
        a_part: configurations in a file.
        split: makes the data; a source lies in the folder that it is given.
        turn: how much later than the other tables' its parts come: for trainings of minutes among those of seconds.
    """

    name: str
    max_passes: int
    curves: int
    a_part: int
    split: Callable[[Path], Split]
    turn: float = 1.0


def _movielens(relative: str, options: SplitOptions) -> Callable[[Path], Split]:
    return lambda data: split_users(read_table(data / relative), options)[0]


def _synthetic(n_train: int, n_items: int, seed: int) -> Callable[[Path], Split]:
    return lambda _: synthetic_split(n_users=n_train + 600, n_items=n_items, seed=seed, held_out_users=300)


TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table(
            "ml-latest-small",
            60,
            250,
            10,
            _movielens("ml-latest-small/ratings.csv", SplitOptions(min_rating=3.5, held_out_users=60)),
            turn=2.5,
        ),
        Table("few-users", 45, 250, 10, _synthetic(200, 300, 1)),
        Table("few-items", 45, 250, 10, _synthetic(300, 120, 2)),
        Table("many-items", 45, 250, 10, _synthetic(200, 1000, 3)),
        Table(
            "ml-1m",
            120,
            100,
            1,
            _movielens("ml-1m/interactions.parquet", SplitOptions(held_out_users=600)),
            turn=50.0,
        ),
    )
}


def drawn(space: SearchSpace, number: int) -> tuple[str, dict[str, Any]]:
    """Return how the configuration of this number was drawn ("published", "near", "wide"), and the configuration.

    "near": each parameter keeps the published value with probability 0.3, else moves from it by a Gaussian step of
    0.2 of its range (in the logarithm where it is searched so). "wide": uniform over the space.
    """
    if number < N_PUBLISHED:
        return "published", space.default_config()
    random = stream(0, "bench", number)
    near = random.random() < NEAR_SHARE
    start = space.default_point()
    with quiet():
        study = optuna.create_study(sampler=RandomSampler(seed=derive_seed(0, "bench-wide", number) % 2**32))
        if near:
            trial = study.ask()
            space.suggest(trial)
            values: dict[str, Any] = {}
            for name in sorted(start):
                keep, step = random.random() < 0.3, 0.2 * random.standard_normal()
                values[name] = start[name] if keep else moved(trial.distributions[name], start[name], step)
            study.enqueue_trial(values)
        return "near" if near else "wide", space.suggest(study.ask())


def moved(distribution: BaseDistribution, value: Any, step: float) -> Any:
    """Return the value that lies `step` of the range from `value`, at most at an end; a category changes beyond 0.2."""
    if isinstance(distribution, CategoricalDistribution):
        choices = distribution.choices
        return value if abs(step) < 0.2 else choices[(choices.index(value) + 1) % len(choices)]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = float(distribution.low), float(distribution.high)
    if distribution.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    new = min(max(value + step * (high - low), low), high)
    if distribution.log:
        new = min(max(math.exp(new), distribution.low), distribution.high)
    return round(new) if isinstance(distribution, IntDistribution) else new
