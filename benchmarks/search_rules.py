"""Does drawing every branch hurt, and does ASHA's floor rule earn its strictness? Takes minutes.

python benchmarks/search_rules.py branches
python benchmarks/search_rules.py stopping
"""

from __future__ import annotations

import heapq
import math
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import optuna

from distrecvae.search.core.rules import Asha, Curve
from distrecvae.search.core.samplers import make_sampler

Stops = Callable[[int, dict[int, Curve]], bool]


def suggest(trial: optuna.Trial, every_branch: bool) -> dict[str, Any]:
    config: dict[str, Any] = {
        "latent": trial.suggest_int("latent", 50, 400, step=50),
        "rate": trial.suggest_float("rate", 1e-4, 2e-3, log=True),
        "dropout": trial.suggest_float("dropout", 0.1, 0.8),
        "passes": trial.suggest_int("passes", 1, 5),
        "kl": trial.suggest_categorical("kl", ("gamma", "beta")),
    }
    for branch, low, high in (("gamma", 5e-4, 5e-2), ("beta", 0.01, 1.0)):
        if every_branch or config["kl"] == branch:
            config[branch] = trial.suggest_float(f"kl/{branch}", low, high, log=True)
    return config | {f"w{i}": trial.suggest_float(f"w/{i}", 0, 1) for i in range(2)}


def regret(sampler: str, every_branch: bool, seed: int, n_trials: int) -> float:
    """How far the best of `n_trials` is from the optimum of a random smooth objective with two branches."""
    draw = random.Random(seed)  # noqa: S311
    latent, rate = draw.choice([100, 200, 300, 400]), draw.uniform(-4, -2.7)
    dropout, gamma, beta = draw.uniform(0.2, 0.7), draw.uniform(-3.2, -1.4), draw.uniform(-1.8, -0.1)
    handicap = draw.choice([0, 0.02, -0.02])
    study, best = optuna.create_study(direction="maximize"), -math.inf
    for number in range(n_trials):
        study.sampler = make_sampler(sampler, seed=seed, trial_number=number)
        trial = study.ask()
        c = suggest(trial, every_branch)
        value = -0.02 * abs(c["latent"] - latent) / 100 - 0.05 * abs(math.log10(c["rate"]) - rate)
        value -= 0.1 * (c["dropout"] - dropout) ** 2 + 0.005 * abs(c["passes"] - 3)
        value -= 0.05 * (c["w0"] - 0.3) ** 2 + 0.03 * (c["w1"] - 0.8) ** 2
        if c["kl"] == "gamma":
            value -= 0.06 * (math.log10(c["gamma"]) - gamma) ** 2
        else:
            value -= handicap + 0.06 * (math.log10(c["beta"]) - beta) ** 2
        study.tell(trial, value)
        best = max(best, value)
    return max(0.0, -handicap) - best


def search(stops: Stops, seed: int, n_trials: int, workers: int, most: int = 200) -> tuple[float, float]:
    """Return the best model's true quality and the cost in full trainings, of trials of random quality."""
    draw = random.Random(seed)  # noqa: S311
    final = [draw.gauss(0.45, 0.02) for _ in range(n_trials)]
    pace = [math.exp(draw.gauss(math.log(25), 0.5)) for _ in range(n_trials)]
    curves: dict[int, Curve] = {}
    clock: list[tuple[float, int]] = []
    waiting: Iterator[int] = iter(range(n_trials))

    def start(now: float) -> None:
        if (number := next(waiting, None)) is not None:
            curves[number] = Curve(number, ())
            heapq.heappush(clock, (now + 4 * draw.uniform(0.8, 1.2), number))

    for _ in range(workers):
        start(0.0)
    spent, best = 0, 0.0
    while clock:
        now, number = heapq.heappop(clock)
        points = curves[number].points
        passes, before = points[-1] if points else (0, 0.0)
        passes, spent = passes + 4, spent + 4
        true = final[number] * (1 - 0.6 * math.exp(-passes / pace[number]))
        curves[number] = Curve(number, (*points, (passes, max(before, true + draw.gauss(0, 0.002)))))
        best = max(best, true)
        if passes >= most or stops(number, curves):
            start(now)
        else:
            heapq.heappush(clock, (now + 4 * draw.uniform(0.8, 1.2), number))
    return best, spent / most


def rounding_up(number: int, curves: dict[int, Curve]) -> bool:
    """ASHA at rungs 20, 60, 180 with ceil(n / 3) places instead of floor."""
    points = curves[number].points
    before = points[-2][0] if len(points) > 1 else 0
    for rung in (180, 60, 20):
        if before < rung <= points[-1][0]:
            reached = (c.points for c in curves.values() if c.points and c.points[-1][0] >= rung)
            values = [next(value for passes, value in p if passes >= rung) for p in reached]
            return 1 + sum(value > points[-1][1] for value in values) > math.ceil(len(values) / 3)
    return False


def main() -> None:
    """Print one of the two tables."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if sys.argv[1:] == ["branches"]:
        for sampler, n_trials, seeds in (
            ("random", 50, 60),
            ("tpe", 50, 60),
            ("cmaes", 50, 60),
            ("gp", 30, 8),
        ):
            for every_branch in (True, False):
                found = np.array([regret(sampler, every_branch, seed, n_trials) for seed in range(seeds)])
                error = found.std() / len(found) ** 0.5
                drawn = "all branches" if every_branch else "chosen branch"
                print(f"{sampler:7s} {n_trials} trials, {drawn:13s} regret {found.mean():.4f} +- {error:.4f}")
    elif sys.argv[1:] == ["stopping"]:
        floor = Asha(20, 200, 3).should_stop
        for n_floor, n_ceil in ((24, 24), (28, 24), (60, 53)):
            for name, rule, n_trials in (("floor", floor, n_floor), ("ceil", rounding_up, n_ceil)):
                found = np.array([search(rule, seed, n_trials, workers=4) for seed in range(600)])
                error = found[:, 0].std() / len(found) ** 0.5
                best, cost = found.mean(axis=0)
                print(
                    f"{name:5s} {n_trials} trials: best {best:.5f} +- {error:.5f}, {cost:.2f} full trainings"
                )
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
