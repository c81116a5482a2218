"""What a simulated night is made of beside its disk: trials on workers, their states, what they report."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from distrecvae.runs.trial import TrialTask
from distrecvae.search.core.chain import Mark
from distrecvae.search.core.records import TrialRecord
from distrecvae.search.core.rules import make_rule
from distrecvae.search.space.space import SearchSpace
from tests.search.simulated import METRIC, PARAMETERS, PASSES_PER_CYCLE, SPACE, ToyConfig, toy_curve
from tests.simulation.disk import Disk
from tests.simulation.plan import MIN_PASSES, Plan


class LostError(AssertionError):
    """A promise was broken."""


def require(holds: bool, promise: str) -> None:
    """Raise a `LostError` where a promise does not hold."""
    if not holds:
        raise LostError(promise)


@dataclass
class Run:
    """A trial on a worker, or on its way to one.

    Attributes:
        task: what the worker was given.
        cycle: cycles completed.
        deaths: of its processes at one place.
        order: of the event that it waits for; an event of another order is of a worker that is gone.
        leaving: its node is about to go.
    """

    task: TrialTask
    cycle: int = 0
    deaths: int = 0
    order: int = -1
    leaving: bool = False


class States:
    """The states of trials on the simulated disk: what a trial can continue from. Stands for `TrialStates`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._of_tasks: dict[int, tuple[TrialTask, str]] = {}
        self._read: dict[bytes, Mapping[str, Any] | None] = {}

    def put(self, task: TrialTask, cycle: int) -> None:
        """Keep a state, durable when this returns."""
        known, text = self._of_tasks.get(task.number, (None, ""))
        if known is not task:  # all but the cycle is the same as long as the task is
            text = json.dumps({"config": task.config, "seed": task.seed, "ledger": task.ledger})[1:]
            self._of_tasks[task.number] = task, text
        self._disk.replace(state_name(task.number), f'{{"cycle": {cycle}, {text}'.encode())

    def latest(self, number: int) -> Mapping[str, Any] | None:
        """Return what is kept of a trial; None where there is nothing, or it is damaged."""
        name = state_name(number)
        if name not in self._disk.files:
            return None
        content = self._disk.read(name)
        if content not in self._read:
            try:
                self._read[content] = json.loads(content)
            except ValueError:
                self._read[content] = None
        return self._read[content]

    def marks(self) -> Iterator[Mark]:
        """Yield how long the ledger was when the states were written, at least."""
        for name in self._disk.files:
            if (
                name.startswith("state-")
                and (kept := self.latest(int(name.removeprefix("state-")))) is not None
            ):
                yield Mark.from_dict(kept["ledger"])

    def forget(self, number: int) -> None:
        """Remove a trial's state."""
        if state_name(number) in self._disk.files:
            self._disk.remove(state_name(number))

    def clean(self, number: int) -> None:
        """Nothing: what is written beside a file has no name here."""


@dataclass(frozen=True, kw_only=True)
class BranchedConfig(ToyConfig):
    """Stands for the config of a model that can be built in two ways."""

    heads: int | None = 2
    layers: int | None = None


BRANCHED = SearchSpace.from_mapping(
    {
        "model": "toy",
        "parameters": {
            **PARAMETERS,
            "shape": {
                "type": "one_of",
                "branches": {
                    "wide": {"heads": {"type": "int", "low": 1, "high": 4}},
                    "deep": {"layers": {"type": "int", "low": 1, "high": 3}},
                },
            },
        },
    },
    model="toy",
    config_class=BranchedConfig,
)


SHORT = SearchSpace.from_mapping(
    {
        "model": "toy",
        "parameters": {
            "width": {"type": "int", "low": 8, "high": 32, "step": 8},
            "rate": {"type": "float", "low": 0.02, "high": 0.05, "log": True},
        },
        "default": {"width": 16, "rate": 0.02},
    },
    model="toy",
    config_class=ToyConfig,
)
"""What is best, a width of 100, lies beyond an end."""


def space_of(plan: Plan) -> SearchSpace:
    """Return the space of a night."""
    if plan.widen:
        return SHORT
    return BRANCHED if plan.branches else SPACE


def state_name(number: int) -> str:
    return f"state-{number}"


def rule_of(plan: Plan) -> Any:
    """Return the stopping rule of a night."""
    return make_rule(plan.scheduler, MIN_PASSES, plan.max_passes, plan.reduction_factor)


def report_of(plan: Plan, config: Mapping[str, Any], cycle: int) -> dict[str, Any]:
    """Return what a trial reports after a cycle: a function of its configuration, as in the product."""
    passes = PASSES_PER_CYCLE * cycle
    value = toy_curve(dict(config), passes)
    if plan.diverges and cycle == 3 and config["width"] % plan.diverges == 0:
        value = math.nan
    return {"passes": passes, "cycle": cycle, METRIC: value, "train_s": 1.0 + config["width"] / 100}


def course_of(records: Mapping[int, TrialRecord]) -> list[tuple[Any, ...]]:
    """Return all that a search decided, comparable."""
    return [
        (r.number, r.config, r.status, r.reason, r.score, [m["passes"] for m in r.reports], r.best)
        for r in records.values()
    ]
