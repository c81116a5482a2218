"""Replays a search on a surrogate under a simulated clock; the package's conductor, ledger, samplers and rules decide.

Only training is replaced: a trial's reports come from its table's surrogate, noise included, and take the seconds that
it says, on any number of workers. A search is judged by the true score, without noise, of the model that it would hand
back: the one of the trial's report that looks best.
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from bench.forest import Forest
from bench.surrogate import Surrogate, features
from bench.tables import SPACE
from distrecvae.metrics import on_validation
from distrecvae.rng import derive_seed, stream
from distrecvae.search.core import proposals
from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.rules import make_rule
from distrecvae.search.core.unasked import said_widened
from distrecvae.search.space.changing import fits
from distrecvae.search.space.space import SearchSpace

METRIC = on_validation("ndcg_100")
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
SPACE_OF_BENCH = SearchSpace.load(SPACE)

Pace = Callable[[FrozenTrial], float | None]
Hear = Callable[[float, Ledger, int, float], None]
"""Is told of each report, once it is taken in: when (whole trainings by the clock), the ledger, the trial's number, and
the true score of what it trained by then."""
SamplerOf = Callable[[int, int, Pace], BaseSampler]
"""Takes the search's seed, the trial's number, and what says how many seconds a pass of a trial took."""


class Table(Protocol):
    """What a replay asks of a table by itself; the rest is its trainings' affair."""

    max_passes: int
    published: float
    best: float

    def seconds_a_pass(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the CPU seconds of a pass for each row of features."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to search.

    Attributes:
        name: of its rows.
        sampler: one of the package's.
        sampler_of: makes a sampler of another kind.
        scheduler: one of the package's rules.
        first_rung: share of the budget at which trials are judged first.
        reduction_factor: one trial in so many continues at a rung.
        widen: whether ranges may grow where the best trials lie at their ends, as far as the bench's own space reaches.
        space: what is searched; the published point may lie elsewhere in it than in the bench's own.
        likely: what the space is told of where the best values lie: nothing, what the `others` among the tables say, or
            the `opposite`.
        start: whether trials begin from the space's start; else the sampler draws the first ones, too.
    """

    name: str
    sampler: str = "tpe"
    sampler_of: SamplerOf | None = None
    scheduler: str = "asha"
    first_rung: float | None = None
    reduction_factor: int = 3
    widen: bool = False
    space: SearchSpace = field(default=SPACE_OF_BENCH)
    likely: Literal["", "others", "opposite"] = ""
    start: bool = True


@dataclass(frozen=True)
class Course:
    """What a replayed search did.

    Attributes:
        costs: in whole trainings of the published configuration, by the clock: when a better-looking model was found.
        passes: data passes of all trials by then, in whole trainings.
        true: that model's true score.
        trials: how many were begun.
        widened: how often a range grew by itself.
    """

    costs: np.ndarray[Any, np.dtype[np.float64]]
    passes: np.ndarray[Any, np.dtype[np.float64]]
    true: np.ndarray[Any, np.dtype[np.float64]]
    trials: int
    widened: int = 0

    def reached(self, score: float) -> tuple[float, float]:
        """Return the cost and the passes at which the model's true score is `score` for the first time, or infinity."""
        there = np.flatnonzero(self.true >= score)
        return (float(self.costs[there[0]]), float(self.passes[there[0]])) if there.size else (np.inf, np.inf)

    def at(self, costs: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the true score of what would be handed back at these costs; before the first report 0."""
        known = np.searchsorted(self.costs, costs, side="right")
        scores: np.ndarray[Any, np.dtype[np.float64]] = np.append(0.0, self.true)[known]
        return scores


class Training:
    """A trial under way: its reports, one after the other.

    Args:
        number: the trial's.
        config: its configuration.
        max_passes: its budget.
        surrogate: of its table.
        seed: the search's.
        again: how often the configuration was trained before: each time has noise of its own.
    """

    def __init__(
        self,
        number: int,
        config: Mapping[str, Any],
        max_passes: int,
        surrogate: Surrogate | Forest,
        seed: int,
        again: int = 0,
    ) -> None:
        self.number = number
        self.cycle_passes = config["encoder_passes"] + config["decoder_passes"]
        self.cycle_s = float(surrogate.seconds_a_pass(features(config)[None])[0]) * self.cycle_passes
        n = max(1, max_passes // self.cycle_passes)
        self.passes = self.cycle_passes * np.arange(1, n + 1)
        self.true = surrogate.scores(config, self.passes)
        random = stream(seed, "noise", number, *([again] if again else []))
        level = surrogate.training_noise * random.standard_normal()
        noise = surrogate.report_noise * random.standard_normal(n)
        # A curve begins at its own beginning whatever its level will be.
        self.seen = np.maximum(
            self.true + level * np.minimum(1.0, self.true / max(self.true.max(), 1e-9)) + noise, 0.0
        )
        self.done = 0

    def report(self) -> dict[str, Any]:
        """Return the next report."""
        self.done += 1
        return {
            "passes": int(self.passes[self.done - 1]),
            "cycle": self.done,
            METRIC: float(self.seen[self.done - 1]),
            "train_s": self.cycle_s,
            "evaluate_s": 0.0,
        }


def replay(
    method: Method,
    surrogate: Surrogate | Forest | Table,
    *,
    seed: int,
    workers: int,
    most: float,
    until: float = 1.0,
    hear: Hear | None = None,
    train: Callable[..., Training] = Training,
) -> Course:
    """Replay a search until it has cost `most` whole trainings of the published configuration, by the clock.

    It ends sooner where the model that it would hand back has closed the share `until` of the gap. `hear` is called
    with every report. `train` makes a trial's training.
    """
    config = SearchConfig(
        trials=100_000,
        max_passes=surrogate.max_passes,
        min_passes=None
        if method.first_rung is None
        else max(1, round(method.first_rung * surrogate.max_passes)),
        sampler=method.sampler if method.sampler_of is None else "random",
        scheduler=method.scheduler,
        reduction_factor=method.reduction_factor,
        widen=method.widen,
        seed=derive_seed(seed, "replay") % 2**31,
    )
    published = features(SPACE_OF_BENCH.default_config())[None]
    whole_s = float(surrogate.seconds_a_pass(published)[0]) * surrogate.max_passes
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as folder:
        ledger = Ledger(Path(folder), METRIC)
        conductor = Conductor(
            ledger=ledger,
            space=method.space,
            config=config,
            rule=make_rule(config.scheduler, config.first_rung, config.most_passes, config.reduction_factor),
            folder=Path(folder),
            concurrent=workers,
            allows=partial(fits, SPACE_OF_BENCH),
        )
        enough = surrogate.published + until * (surrogate.best - surrogate.published) if until < 1 else np.inf
        with _proposing(method, config.seed, ledger):
            return _run(
                conductor, surrogate, config.seed, workers, most * whole_s, whole_s, enough, hear, train
            )


@contextmanager
def _proposing(method: Method, seed: int, ledger: Ledger) -> Iterator[None]:
    """Let the method's own sampler propose, where it has one, in place of the package's `random`; and from no start."""
    make, replaced = method.sampler_of, dict[str, Any]()

    def pace(trial: FrozenTrial) -> float | None:
        record = ledger.records[trial.number]
        return record.duration_s / record.passes if record.passes else None

    def made(name: str, *, seed: int = seed, trial_number: int, **_: Any) -> BaseSampler:  # noqa: ARG001
        assert make is not None
        return make(seed, trial_number, pace)

    if make is not None:
        replaced["make_sampler"] = made
    if not method.start:
        replaced["starting_values"] = lambda *_, **__: {}
    usual = {name: vars(proposals)[name] for name in replaced}
    vars(proposals).update(replaced)
    try:
        yield
    finally:
        vars(proposals).update(usual)


def _run(
    conductor: Conductor,
    surrogate: Surrogate | Forest | Table,
    seed: int,
    workers: int,
    most_s: float,
    whole_s: float,
    enough: float,
    hear: Hear | None,
    train: Callable[..., Training],
) -> Course:
    clock: list[tuple[float, int, Training]] = []
    trainings: dict[int, Training] = {}
    begun = 0

    def begin(now: float) -> None:
        nonlocal begun
        task = conductor.next_task()
        assert task is not None
        if task.number not in trainings:
            trainings[task.number] = train(task.number, task.config, task.max_passes, surrogate, seed)
        training = trainings[task.number]
        heapq.heappush(clock, (now + training.cycle_s, begun, training))
        begun += 1

    for _ in range(workers):
        begin(0.0)
    spent, leading, found = 0, -1.0, []
    while clock:
        now, order, training = heapq.heappop(clock)
        if now > most_s:
            break
        report = training.report()
        spent += training.cycle_passes
        if report[METRIC] > leading:
            leading = report[METRIC]
            found.append((now / whole_s, spent / surrogate.max_passes, training.true[training.done - 1]))
            if found[-1][2] >= enough:
                break
        over = conductor.heard(training.number, report)
        if not over and training.done == len(training.passes):
            conductor.finished(training.number)
            over = True
        if hear is not None:
            hear(now / whole_s, conductor.ledger, training.number, training.true[training.done - 1])
        if over:
            begin(now)
        else:
            heapq.heappush(clock, (now + training.cycle_s, order, training))
    costs, passes, true = np.array(found).reshape(-1, 3).T
    return Course(costs, passes, true, len(trainings), len(said_widened(conductor.ledger.answers)))
