"""Would it pay to pause trials and to continue them later? Freeze-thaw by the sampler's own process, replayed.

    python benchmarks/recvae_bench.py pausing --kinds pause,revive --seeds 100 --out pausing.parquet

At each free worker the choice is between a new configuration and a trial that was paused (Swersky, Snoek and Adams,
Freeze-Thaw Bayesian Optimization, 2014): whichever can be expected to improve on the best report for its time, by the
process that `--sampler guided` proposes with. The end of a paused trial is what the process expects of that trial, its
luck included; a new one is offered as the sampler offers it. `pause` puts every trial aside at every rung, `revive`
only those that ASHA stops there. Rows are as `compare` writes them, so `draw` takes both.

This is a loop of its own: the conductor does not pause. `pause` without a paused trial to choose is `--sampler guided`.
"""

from __future__ import annotations

import argparse
import heapq
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
import pandas as pd
from optuna.trial import FixedTrial
from scipy.special import ndtr

from bench.compare import MOST, costs, judge, summary
from bench.forest import Forest
from bench.replay import METRIC, SPACE_OF_BENCH, Course, Training
from bench.surrogate import SURROGATES, Surrogate, features
from distrecvae.rng import derive_seed, stream
from distrecvae.search.core.guided.cube import Cube
from distrecvae.search.core.guided.guide import FIRST, Guide, Known, log_expected_improvement
from distrecvae.search.core.guided.sampler import PATIENCE
from distrecvae.search.core.study import quiet

Array = npt.NDArray[np.float64]
FIRST_RUNG, FACTOR = 1 / 15, 3
"""Share of the budget of the first rung; rungs grow by the factor, and where ASHA stops one in it continues."""
KINDS = ("pause", "revive")


def _cube() -> Cube:
    with quiet():
        trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
        SPACE_OF_BENCH.suggest(trial)
    return Cube(dict(sorted(trial.distributions.items())))


CUBE = _cube()


@dataclass
class Trial:
    """A trial of this loop.

    Attributes:
        number: in the order of their beginning.
        point: of the unit cube.
        training: what it reports.
        curve: (passes, running best) so far.
        paused: whether it waits to be continued.
        over: whether it spent its budget.
    """

    number: int
    point: Array
    training: Training
    curve: list[tuple[int, float]] = field(default_factory=list)
    paused: bool = False
    over: bool = False

    @property
    def running(self) -> bool:
        """Whether a worker has it."""
        return not (self.paused or self.over)

    @property
    def known(self) -> Known:
        """What the sampler knows of it."""
        seconds = self.training.cycle_s / self.training.cycle_passes
        return Known(self.number, self.point, self.curve, seconds, not self.running)

    def at(self, rung: int) -> float | None:
        """Return its running best at its first report with so many passes."""
        return next((value for passes, value in self.curve if passes >= rung), None)


class Search:
    """A search that may continue what it put aside.

    Args:
        kind: one of `KINDS`.
        surrogate: of the table.
        seed: the search's.
        workers: trials at once.

    Attributes:
        given_up: for each trial that was put aside, the chance that its end beats the best report of that time, as the
            process had it, and whether it would have.
    """

    def __init__(self, kind: str, surrogate: Surrogate | Forest, seed: int, workers: int) -> None:
        self._kind, self._surrogate, self._workers = kind, surrogate, workers
        self._seed = derive_seed(seed, "replay") % 2**31
        self._trials: list[Trial] = []
        first = max(1, round(FIRST_RUNG * surrogate.max_passes))
        self._rungs = [first * FACTOR**k for k in range(9) if first * FACTOR**k < surrogate.max_passes]
        self.given_up: list[tuple[float, bool]] = []

    def run(self, most: float, until: float = 1.0) -> Course:
        """Replay it, as `bench.replay.replay` does."""
        surrogate = self._surrogate
        published = features(SPACE_OF_BENCH.default_config())[None]
        whole_s = float(surrogate.seconds_a_pass(published)[0]) * surrogate.max_passes
        enough = surrogate.published + until * (surrogate.best - surrogate.published) if until < 1 else np.inf
        clock: list[tuple[float, int, Trial]] = []
        begun, spent, leading, found = 0, 0, -1.0, list[tuple[float, float, float]]()
        for _ in range(self._workers):
            trial = self._next()
            heapq.heappush(clock, (trial.training.cycle_s, begun, trial))
            begun += 1
        while clock:
            now, _, trial = heapq.heappop(clock)
            if now > most * whole_s:
                break
            training = trial.training
            report = training.report()
            spent += training.cycle_passes
            value = float(report[METRIC])
            trial.curve.append((report["passes"], max(value, trial.curve[-1][1] if trial.curve else value)))
            if value > leading:
                leading = value
                found.append(
                    (now / whole_s, spent / surrogate.max_passes, float(training.true[training.done - 1]))
                )
                if found[-1][2] >= enough:
                    break
            trial.over = training.done == len(training.passes)
            trial.paused = not trial.over and self._put_aside(trial)
            following = trial if trial.running else self._next()
            heapq.heappush(clock, (now + following.training.cycle_s, begun, following))
            begun += 1
        costs, passes, true = np.array(found).reshape(-1, 3).T
        return Course(costs, passes, true, len(self._trials))

    def _put_aside(self, trial: Trial) -> bool:
        """Tell whether the trial waits now: it has crossed a rung, and its kind says so."""
        before = trial.curve[-2][0] if len(trial.curve) > 1 else 0
        crossed = [rung for rung in self._rungs if before < rung <= trial.curve[-1][0]]
        if not crossed or self._kind == "pause":
            return bool(crossed)
        values = [value for each in self._trials if (value := each.at(crossed[-1])) is not None]
        bar = sorted(values, reverse=True)[max(1, len(values) // FACTOR) - 1]
        return trial.curve[-1][1] < bar

    def _next(self) -> Trial:
        """Return the trial for a free worker: a new one, or one that goes on."""
        told = [each for each in self._trials if each.curve]
        number = len(self._trials)
        if number == 0:
            return self._begin(CUBE.point(SPACE_OF_BENCH.default_point()))
        random = stream(self._seed, "guided", number)
        if sum(not each.running for each in self._trials) < FIRST:
            return self._begin(random.random(len(CUBE.names)))
        unheard = [each.point for each in self._trials if not each.curve]
        guide = Guide([each.known for each in told], unheard, CUBE, self._surrogate.max_passes)
        ends, spreads = guide.ends()
        far = number % 2 == 1 and guide.behind >= PATIENCE
        point = guide.far(random) if far else guide.near(random)
        waiting = [i for i, each in enumerate(told) if each.paused]
        if not waiting:
            return self._begin(point)
        left = 1 - np.array([told[i].curve[-1][0] for i in waiting]) / self._surrogate.max_passes
        points = np.array([told[i].point for i in waiting])
        worth = log_expected_improvement(ends[waiting], spreads[waiting], guide.best)
        worth -= np.log(left) + guide.log_seconds(points)
        chosen = told[waiting[int(np.argmax(worth))]]
        if worth.max() < guide.worth(point[None])[0]:
            self._judge(told, ends, spreads, guide.best)
            return self._begin(point)
        chosen.paused = False
        return chosen

    def _judge(self, told: list[Trial], ends: Array, spreads: Array, best: float) -> None:
        """Note what is given up for a new configuration, the trial that was put aside last."""
        i = max((i for i, each in enumerate(told) if each.paused), key=lambda i: told[i].number)
        leading = max(each.curve[-1][1] for each in told)
        chance = float(ndtr((ends[i] - best) / spreads[i]))
        self.given_up.append((chance, bool(told[i].training.seen[-1] > leading)))

    def _begin(self, point: Array) -> Trial:
        params = CUBE.params(point)
        config = SPACE_OF_BENCH.suggest(FixedTrial(params))
        number, most = len(self._trials), self._surrogate.max_passes
        training = Training(number, config, most, self._surrogate, self._seed)
        self._trials.append(Trial(number, CUBE.point(params), training))
        return self._trials[-1]


def row(
    kind: str, table: str, surrogate: Surrogate | Forest, workers: int, seed: int, until: float
) -> dict[str, Any]:
    """Return what one search cost, as `compare` has it, and how its chances came out."""
    search = Search(kind, surrogate, seed, workers)
    course = search.run(MOST[workers], until)
    found = {"method": kind, "table": table, "workers": workers, "seed": seed, **costs(course, surrogate)}
    chances, beaten = zip(*search.given_up, strict=True) if search.given_up else ((), ())
    return found | {
        "trials": course.trials,
        "chances": list(chances),
        "beaten": [int(each) for each in beaten],
    }


def calibration(frame: pd.DataFrame) -> pd.DataFrame:
    """Return by kind how often trials that were passed over would have got there, by the chance given to them."""
    each = pd.DataFrame(
        {
            "kind": np.repeat(frame["method"], frame["chances"].str.len()),
            "chance": np.concatenate([np.asarray(c, float) for c in frame["chances"]]),
            "beaten": np.concatenate([np.asarray(b, float) for b in frame["beaten"]]),
        }
    )
    bins = pd.cut(each["chance"], [0, 0.01, 0.05, 0.1, 0.2, 0.4, 1], include_lowest=True)
    return each.groupby(["kind", bins], observed=True)[["chance", "beaten"]].agg(["mean", "size"]).round(3)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--tables", default="few-users,many-items,ml-latest-small")
    parser.add_argument("--workers", default="1,8")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument(
        "--until", type=float, default=0.9, help="end searches that closed such a share of the gap"
    )
    parser.add_argument("--surrogates", type=Path, default=SURROGATES)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    rows = []
    for table in arguments.tables.split(","):
        surrogate = judge(table, arguments.surrogates)
        for kind in arguments.kinds.split(","):
            for workers in (int(text) for text in arguments.workers.split(",")):
                rows += [
                    row(kind, table, surrogate, workers, seed, arguments.until)
                    for seed in range(arguments.seeds)
                ]
    frame = pd.DataFrame(rows)
    frame.to_parquet(arguments.out, index=False, compression="zstd")
    with pd.option_context("display.width", 200, "display.max_columns", 30):
        print(summary(frame))
        print(calibration(frame))
