"""Learns from some tables where the best values of a setting are likely, in the words of a space's `likely`.

    python benchmarks/recvae_bench.py likely                       # from all tables, as in search_spaces/recvae.yaml
    python benchmarks/recvae_bench.py likely --without few-users   # what a search on that table is told in `compare`

On each table a whole training's score, put on one scale, falls off from a likely value with the square of the distance,
a setting at a time: places and strengths are those of least squares on random configurations, the mean over tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import optuna
import yaml
from scipy.optimize import lsq_linear

from bench.replay import Method
from bench.surrogate import FEATURES, LOGS, SURROGATES, features, load
from bench.tables import SPACE
from distrecvae.search.core.study import quiet
from distrecvae.search.space.likely import Likely
from distrecvae.search.space.space import SearchSpace

TABLES = ("few-users", "few-items", "many-items", "ml-latest-small")
SETTINGS = ("latent_dim", "gamma", "beta", "encoder_passes", "learning_rate", "batch_size")
"""Those that made a difference on every table, one way."""
PLACES = np.linspace(0.1, 0.9, 21)
"""Where a likely value may lie, in parts of the range: of the outermost tenths a surrogate knows little."""
CONFIGURATIONS = 1500
ROUNDS = 3

Array = npt.NDArray[np.float64]


@cache
def likely_of(tables: tuple[str, ...]) -> dict[str, Likely]:
    """Return where the best values lie on these tables, by setting."""
    x = _configurations()
    y = np.mean([_levelled(load(name, SURROGATES).curves(x).max(axis=1)) for name in tables], axis=0)
    is_beta = x[:, FEATURES.index("is_beta")] > 0.5
    used = {name: np.ones(len(x), bool) for name in SETTINGS} | {"gamma": ~is_beta, "beta": is_beta}
    columns = {name: x[:, FEATURES.index(name)] for name in SETTINGS}

    def fitted(places: dict[str, float]) -> tuple[float, Array]:
        falls = [np.where(used[n], -((columns[n] - places[n]) ** 2), 0.0) for n in SETTINGS]
        found = lsq_linear(
            np.column_stack([np.ones(len(x)), *falls]), y, (np.append(-np.inf, np.zeros(len(falls))), np.inf)
        )
        return float(found.cost), found.x[1:]

    places = dict.fromkeys(SETTINGS, 0.5)
    for _ in range(ROUNDS):
        for name in SETTINGS:
            places[name] = float(min(PLACES, key=lambda place: fitted({**places, name: place})[0]))
    _, strengths = fitted(places)
    return {
        name: _in_own_units(name, places[name], float(strength) ** -0.5)
        for name, strength in zip(SETTINGS, strengths, strict=True)
    }


def told(method: Method, table: str) -> Method:
    """Return the method on a table, or on data of that name: its space expects what the other tables say.

    So does one that is told the opposite, at the other end of each range; one that is told nothing stays as it is.
    """
    if not method.likely:
        return method
    likely = likely_of(tuple(name for name in TABLES if name != table.split(":")[-1]))
    if method.likely == "opposite":
        likely = {name: _mirrored(name, each) for name, each in likely.items()}
    return replace(method, space=replace(method.space, likely=likely))


def _configurations() -> Array:
    space = SearchSpace.load(SPACE)
    with quiet():
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        return np.array([features(space.suggest(study.ask())) for _ in range(CONFIGURATIONS)])


def _levelled(ends: Array) -> Array:
    """Return -log(1 + distance from the best / the median one), at mean 0 and standard deviation 1."""
    off = ends.max() - ends
    y = -np.log1p(off / np.median(off))
    found: Array = (y - y.mean()) / y.std()
    return found


def _in_own_units(name: str, place: float, width: float) -> Likely:
    if name == "encoder_passes":
        return Likely(((0, 1 + 4 * place),), None, 4 * width)
    low, high = LOGS[name]
    return Likely(((0, low * (high / low) ** place),), None, (high / low) ** width)


def _mirrored(name: str, likely: Likely) -> Likely:
    value = likely.values[0][1]
    if name == "encoder_passes":
        return replace(likely, values=((0, 6 - value),))
    low, high = LOGS[name]
    return replace(likely, values=((0, low * high / value),))


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--without", choices=TABLES, help="leave this table out")
    arguments = parser.parse_args(argv)
    likely = likely_of(tuple(name for name in TABLES if name != arguments.without))
    short = {
        name: {key: float(f"{value:.2g}") for key, value in each.to_dict().items()}
        for name, each in likely.items()
    }
    print(yaml.safe_dump({"likely": short}, sort_keys=False))
