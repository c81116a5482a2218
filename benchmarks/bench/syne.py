"""Syne Tune's schedulers on RecVAE-Bench: asked and told under the same simulated clock, judged in the same way.

What trains, what it costs and who is judged is as in `bench.replay`; what is proposed, stopped, paused and continued is
Syne Tune's. It is in no environment of ours, since it wants an older NumPy; it runs beside a newer one:

    pip install --no-deps syne-tune==0.14.2 dill autograd statsmodels patsy

0.14 is the last one with MOBSTER and rungs that promote paused trials.
"""

from __future__ import annotations

import heapq
import importlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FixedTrial

from bench.forest import Forest
from bench.replay import METRIC, SPACE_OF_BENCH, Course, Training
from bench.surrogate import Surrogate, features
from distrecvae.rng import derive_seed
from distrecvae.search.core.study import quiet

RESOURCE, SCORE = "passes", "score"
FIRST_RUNG, REDUCTION = 5, 3
"""Trials are judged first at this part of the budget, and one in so many goes on: as by default here."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A scheduler of Syne Tune's.

    Attributes:
        name: of its rows.
        scheduler: its class among Syne Tune's baselines.
        kind: "promotion", where trials pause at a rung and the best go on later, or "stopping".
    """

    name: str
    scheduler: str
    kind: str = "promotion"


PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(name="syne-asha", scheduler="ASHA"),
        Peer(name="syne-asha-stopping", scheduler="ASHA", kind="stopping"),
        Peer(name="syne-mobster", scheduler="MOBSTER"),
        Peer(name="syne-mobster-stopping", scheduler="MOBSTER", kind="stopping"),
    )
}


class Scheduler(Protocol):
    """What is used of a scheduler of Syne Tune's."""

    def suggest(self, trial_id: int) -> Any:
        """Return what to train next: a new trial under this number, or one that was paused."""

    def on_trial_add(self, trial: Any) -> None:
        """Hear that a new trial begins."""

    def on_trial_result(self, trial: Any, result: dict[str, Any]) -> str:
        """Return "CONTINUE", "PAUSE" or "STOP"."""

    def on_trial_complete(self, trial: Any, result: dict[str, Any]) -> None:
        """Hear a trial's last report."""


def _of_syne_tune(module: str) -> Any:
    try:
        return importlib.import_module(f"syne_tune.{module}")
    except ImportError:
        raise SystemExit(
            "Syne Tune 0.14 is not installed here, and its peers need it: "
            "pip install --no-deps syne-tune==0.14.2 dill autograd statsmodels patsy, in an environment of its own"
        ) from None


def distributions() -> Mapping[str, BaseDistribution]:
    """Return the space's parameters, those of both branches."""
    with quiet():
        trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
        SPACE_OF_BENCH.suggest(trial)
    return trial.distributions


def domain(distribution: BaseDistribution) -> Any:
    """Return the range as Syne Tune has it."""
    space = _of_syne_tune("config_space")
    if isinstance(distribution, CategoricalDistribution):
        return space.choice(list(distribution.choices))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    kind = "randint" if isinstance(distribution, IntDistribution) else "uniform"
    kind = {"randint": "lograndint", "uniform": "loguniform"}[kind] if distribution.log else kind
    return getattr(space, kind)(distribution.low, distribution.high)


def configured(proposed: Mapping[str, Any], space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """Return the model's configuration of what was proposed; an end that is missed by a rounding is met."""
    params: dict[str, Any] = {}
    for name, distribution in space.items():
        value = proposed[name]
        if isinstance(distribution, FloatDistribution | IntDistribution):
            value = min(max(value, distribution.low), distribution.high)
            value = round(value) if isinstance(distribution, IntDistribution) else float(value)
        params[name] = value
    return SPACE_OF_BENCH.suggest(FixedTrial(params))


def scheduler_of(peer: Peer, max_passes: int, seed: int) -> Scheduler:
    """Return the peer's scheduler; its first trial is the published configuration."""
    baselines = _of_syne_tune("optimizer.legacy_baselines")
    logging.getLogger("syne_tune").setLevel(logging.ERROR)
    more = {} if peer.scheduler == "ASHA" else {"search_options": {"debug_log": False}}
    made: Scheduler = getattr(baselines, peer.scheduler)(
        {name: domain(each) for name, each in distributions().items()},
        metric=SCORE, mode="max", resource_attr=RESOURCE, max_t=max_passes, type=peer.kind,
        grace_period=max(1, max_passes // FIRST_RUNG), reduction_factor=REDUCTION, random_seed=seed,
        points_to_evaluate=[dict(SPACE_OF_BENCH.default_point())], **more,
    )  # fmt: skip
    return made


def replay_peer(
    peer: Peer, surrogate: Surrogate | Forest, *, seed: int, workers: int, most: float, until: float = 1.0
) -> Course:
    """Replay a search of a peer's; see `bench.replay.replay`."""
    root = derive_seed(seed, "replay") % 2**31
    return replay_scheduler(
        scheduler_of(peer, surrogate.max_passes, root), surrogate, root, workers, most, until
    )


def rungs(max_passes: int) -> list[int]:
    """Return the passes at which trials are judged, the budget last."""
    found = [max(1, max_passes // FIRST_RUNG)]
    while found[-1] * REDUCTION < max_passes:
        found.append(found[-1] * REDUCTION)
    return [*found, max_passes]


def replay_scheduler(
    scheduler: Scheduler, surrogate: Surrogate | Forest, seed: int, workers: int, most: float, until: float
) -> Course:
    """Replay a search that a scheduler of Syne Tune's decides.

    It hears a report at each rung: the first one that reaches it (a cycle is several passes, and it wants to hear of
    exact ones), and the last one as of the whole budget.

    Args:
        scheduler: fresh.
        surrogate: of the table.
        seed: of the noise.
        workers: trainings at a time.
        most: whole trainings by the clock, after which the search is over.
        until: the share of the gap, closed, at which it is over sooner.
    """
    trial_class = _trial_class()
    published = features(SPACE_OF_BENCH.default_config())[None]
    whole_s = float(surrogate.seconds_a_pass(published)[0]) * surrogate.max_passes
    enough = surrogate.published + until * (surrogate.best - surrogate.published) if until < 1 else np.inf
    space, levels = distributions(), rungs(surrogate.max_passes)
    trials: list[tuple[Any, Training]] = []
    clock: list[tuple[float, int, int]] = []
    begun = 0

    def begin(now: float) -> None:
        nonlocal begun
        suggestion = scheduler.suggest(len(trials))
        if suggestion.spawn_new_trial_id:
            number = len(trials)
            trial = trial_class(number, suggestion.config, datetime(2026, 1, 1))
            config = configured(suggestion.config, space)
            trials.append((trial, Training(number, config, surrogate.max_passes, surrogate, seed)))
            scheduler.on_trial_add(trial)
        else:
            number = suggestion.checkpoint_trial_id  # it was paused: its state is there
        heapq.heappush(clock, (now + trials[number][1].cycle_s, begun, number))
        begun += 1

    for _ in range(workers):
        begin(0.0)
    spent, leading, found = 0, -1.0, []
    while clock:
        now, order, number = heapq.heappop(clock)
        if now > most * whole_s:
            break
        trial, training = trials[number]
        before = int(training.passes[training.done - 1]) if training.done else 0
        report = training.report()
        spent += training.cycle_passes
        if report[METRIC] > leading:
            leading = report[METRIC]
            found.append((now / whole_s, spent / surrogate.max_passes, training.true[training.done - 1]))
            if found[-1][2] >= enough:
                break
        if _told(scheduler, trial, training, before, report, levels):
            begin(now)
        else:
            heapq.heappush(clock, (now + training.cycle_s, order, number))
    costs, passes, true = np.array(found).reshape(-1, 3).T
    return Course(costs, passes, true, len(trials))


def _told(
    scheduler: Scheduler,
    trial: Any,
    training: Training,
    before: int,
    report: Mapping[str, Any],
    levels: list[int],
) -> bool:
    """Tell the scheduler of the rungs that a report reaches; return whether its worker is free."""
    last = training.done == len(training.passes)
    after = levels[-1] if last else min(report["passes"], levels[-1] - 1)
    for level in levels:
        if before < level <= after:
            result = {SCORE: report[METRIC], RESOURCE: level}
            goes_on = scheduler.on_trial_result(trial, result) == "CONTINUE"
            if goes_on and level == levels[-1]:
                scheduler.on_trial_complete(trial, result)
            if not goes_on or level == levels[-1]:
                return True
    return False


def _trial_class() -> Any:
    return _of_syne_tune("backend.trial_status").Trial
