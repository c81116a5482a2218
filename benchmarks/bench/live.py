"""Real searches on data that no table was recorded of: RecVAE is trained, and time is its CPU seconds.

    python benchmarks/recvae_bench.py live --methods default,guided --seeds 6 --out live.csv

The conductor and its loop are the replay's; only trainings are real, a cycle at a time, by one worker. Seconds are
the process's own (`time.process_time`), so that work beside it does not count. What is judged is the NDCG@100 over
test users of the model that would be handed back: the one of the report that looks best on validation users. Rows that
are in the file already are not made again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from bench.methods import METHODS
from bench.replay import METRIC, SPACE_OF_BENCH, Training, replay
from bench.transfer import told
from distrecvae.data.dataset import Split
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import DivergedError
from distrecvae.evaluation import evaluate
from distrecvae.training.registry import config_from_dict, make_trainer
from distrecvae.training.trainer import fit

SETS: Mapping[str, Mapping[str, int]] = {
    "unseen-a": {"n_users": 900, "n_items": 500, "seed": 11, "held_out_users": 300},
    "unseen-b": {"n_users": 840, "n_items": 250, "seed": 12, "held_out_users": 300},
}
"""Arguments of `synthetic_split`: of shapes and seeds that are no table's."""
MAX_PASSES = 45
COSTS = (2.0, 4.0, 8.0, 12.0)
"""Whole trainings of the published configuration after which the model is judged."""


@dataclass
class Live:
    """A data set to train on, in the place of a table's surrogate.

    Attributes:
        split: the data.
        max_passes: of a whole training.
        published, best: not known; a search ends by its cost.
        second: CPU seconds of a pass of the published configuration.
    """

    split: Split
    max_passes: int = MAX_PASSES
    published: float = 0.0
    best: float = np.inf
    second: float = 0.0

    def seconds_a_pass(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the CPU seconds of a pass of the published configuration."""
        return np.full(len(x), self.second)


class RealTraining(Training):
    """A trial that is trained: a cycle ahead of its report, so that it is known when that comes."""

    def __init__(
        self, number: int, config: Mapping[str, Any], max_passes: int, live: Live, seed: int
    ) -> None:
        self.number = number
        trainer = make_trainer(
            "recvae", config_from_dict("recvae", dict(config)), live.split.train, seed=seed
        )
        self.cycle_passes, self._trainer, self._test = trainer.passes_per_cycle, trainer, live.split.test
        self.passes = self.cycle_passes * np.arange(1, max(1, max_passes // self.cycle_passes) + 1)
        self.true = np.zeros(len(self.passes))
        self.seen = np.zeros(len(self.passes))
        self.done, self._ready = 0, 0
        self._reports = fit(trainer, live.split.valid)
        self._seconds = 0.0

    @property
    def cycle_s(self) -> float:
        """CPU seconds of the next cycle, which is trained now."""
        if self._ready == self.done:
            started = time.process_time()
            try:
                self.seen[self._ready] = next(self._reports).metrics()[METRIC]
            except (DivergedError, StopIteration):  # nothing comes after it diverged
                self.seen[self._ready] = 0.0
            self._seconds = time.process_time() - started
            self.true[self._ready] = evaluate(self._trainer.model, self._test).means()["ndcg_100"]
            self._ready += 1
        return self._seconds

    def report(self) -> dict[str, Any]:
        """Return the next report."""
        seconds = self.cycle_s
        self.done += 1
        return {
            "passes": int(self.passes[self.done - 1]),
            "cycle": self.done,
            METRIC: float(self.seen[self.done - 1]),
            "train_s": seconds,
            "evaluate_s": 0.0,
        }


def live(name: str) -> Live:
    """Return the data set, with the seconds of the published configuration."""
    found = Live(synthetic_split(**SETS[name]))
    config = SPACE_OF_BENCH.default_config()
    training = RealTraining(0, config, MAX_PASSES, found, 0)
    each = []
    for _ in training.passes:
        each.append(training.cycle_s / training.cycle_passes)
        training.report()
    found.second = float(np.median(each))
    return found


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--methods", default="default,guided")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    rows: list[Mapping[Any, Any]] = []
    if arguments.out.exists():
        rows += pd.read_csv(arguments.out).to_dict("records")
    made = {(row["set"], row["method"], row["seed"]) for row in rows}
    tables = {name: live(name) for name in arguments.sets.split(",")}
    for seed in range(arguments.seeds):
        for name, table in tables.items():
            for method in arguments.methods.split(","):
                if (name, method, seed) in made:
                    continue
                search = partial(
                    replay, told(METHODS[method], name), table, seed=seed, workers=1, most=COSTS[-1]
                )
                course = search(train=RealTraining)
                scores = course.at(np.array(COSTS))
                row: dict[str, Any] = {"set": name, "method": method, "seed": seed, "trials": course.trials}
                rows.append(
                    row
                    | {f"test_{cost:g}": round(float(s), 5) for cost, s in zip(COSTS, scores, strict=True)}
                )
                print(rows[-1], flush=True)
                pd.DataFrame(rows).to_csv(arguments.out, index=False)
