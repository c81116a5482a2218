"""What happens in a simulated night: drawn from one integer, so that a failure is repeated by it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Literal, get_args

WorkerFault = Literal[
    "dies", "hangs", "slow", "twice", "late", "drains", "memory", "lost", "damaged", "astray"
]
DriverFault = Literal["killed", "power", "full", "second", "sleeps", "clock"]
MIN_PASSES = 4
"""The first rung; with a reduction factor of 3 the others are at 12 and 36 passes."""
WORKER_FAULTS: tuple[WorkerFault, ...] = get_args(WorkerFault)
DRIVER_FAULTS: tuple[DriverFault, ...] = get_args(DriverFault)
DRAWN = WORKER_FAULTS[:-1]
"""The worker's faults that any night may have; `_rarer` adds the last one."""

REQUESTS = (
    "narrow rate=0.001:0.1", "widen rate=0.0005:0.2", "narrow width=16:128", "fix kind=b", "narrow rate=0.3:0.2",
    "add width=100 rate=0.03 kind=b", "add rate=0.02", "add rate=5.0", "add depth=3",
    "stop 0", "stop 1 2", "stop 5", "stop 99", "trials 10", "trials 3", "trials 14", "concurrent 1", "concurrent 2",
    "concurrent 99", "pause", "go", "end", "continue 0 60", "continue 1 52", "continue 4 64",
)  # fmt: skip
"""What the operator asks, in the words of `distrecvae steer`; some of it cannot be done, and is refused."""
OF_BRANCHES = (
    "narrow heads=1:3", "widen heads=1:6", "fix heads=2", "fix layers=1", "narrow layers=1:2", "add heads=3",
    "add layers=2 width=90", "add heads=2 layers=2", "add heads=9",
)  # fmt: skip
"""What more is asked where the space has branches."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        kind: what.
        at: when: the cycle of all workers together, or for the driver's faults the operation on its disk.
        size: how bad: operations that find the disk full, seconds that a clock jumps, how often a trial is lost, ...
    """

    kind: WorkerFault | DriverFault
    at: int
    size: int = 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A night: a search, what is asked of it, and what goes wrong.

    Attributes:
        seed: it was drawn from this.
        trials: of the search.
        workers: trials at once.
        sampler: one of the package's.
        scheduler: one of the package's.
        reduction_factor: of the scheduler.
        checkpoint_every: cycles between a trial's states.
        max_passes: of a trial.
        time_budget_s: of the search; None: none.
        diverges: one configuration in so many has a loss that is not finite; 0: none.
        branches: whether the space has some.
        widen: whether the search may widen its ranges by itself; its space ends short of where it is best then.
        requests: by how many trials were asked for and reports made when they come in.
        faults: what goes wrong.
    """

    seed: int
    trials: int = 8
    workers: int = 3
    sampler: str = "random"
    scheduler: str = "asha"
    reduction_factor: int = 3
    checkpoint_every: int = 1
    max_passes: int = 48
    time_budget_s: float | None = None
    diverges: int = 0
    branches: bool = False
    widen: bool = False
    requests: tuple[tuple[int, str], ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def determined(self) -> bool:
        """Whether the outcome does not depend on when things happen.

        So it is with one worker, no clock that ends the search, and no sampler that looks at seconds; a trial that Ray
        loses sight of comes after others, and one that is to give its worker back reports once more, or is killed
        before. A report that comes twice may have a request between its two times: where that ends a trial, it ends a
        report earlier (night 207057).
        """
        lost = any(fault.kind in ("lost", "astray") for fault in self.faults)
        paused = any(text == "pause" for _, text in self.requests)
        between = any(fault.kind == "twice" for fault in self.faults) and any(
            text.split()[0] in ("end", "stop") for _, text in self.requests
        )
        timeless = self.time_budget_s is None and self.sampler != "guided"
        return self.workers == 1 and timeless and not (lost or paused or between)

    def undisturbed(self) -> Plan:
        """Return the same night without faults."""
        return replace(self, faults=())


OPTUNA_SHARE = 16
"""One night in so many has one of Optuna's samplers that learn (TPE, CMA-ES); nearly all others draw at random."""


def draw(seed: int) -> Plan:
    """Return the night of that integer."""
    random = Random(seed)  # noqa: S311
    alone = random.random() < 0.4
    n_faults = random.choice((2, 2, 3, 4, 6))
    faults = sorted((_fault(random) for _ in range(n_faults)), key=lambda fault: fault.at)
    requests = sorted(
        (random.randrange(1, 60), random.choice(REQUESTS)) for _ in range(random.choice((0, 0, 1, 2, 4, 6)))
    )
    learns = random.randrange(OPTUNA_SHARE) == 0
    plan = Plan(
        seed=seed,
        trials=random.randrange(8, 13),
        workers=1 if alone else random.randrange(3, 6),
        sampler=random.choice(("tpe", "tpe", "cmaes")) if learns else "random",
        scheduler=random.choice(("asha", "asha", "asha", "hyperband", "median", "none")),
        reduction_factor=random.choice((2, 3)),
        checkpoint_every=random.choice((1, 1, 2, 5)),
        time_budget_s=None if alone or random.random() < 0.8 else float(random.randrange(20, 400)),
        diverges=random.choice((0, 5)),
        requests=tuple(requests),
        faults=tuple(_bearable(faults)),
        max_passes=random.choice((48, 48, 36)),  # the last rung, perhaps
    )
    plan = _rarer(plan, Random(seed ^ 0xA57A))  # noqa: S311
    return _rarest(plan, Random(seed ^ 0x71DE))  # noqa: S311


def _rarer(plan: Plan, random: Random) -> Plan:
    """Let what few nights have come about; drawn apart, so that all others are what they were."""
    if (
        random.randrange(16) == 0
    ):  # Ray loses sight of one trial again and again, more often than it is run again
        plan = replace(
            plan, faults=(*plan.faults, Fault("astray", random.randrange(0, 30), random.randrange(2, 7)))
        )
    if random.randrange(16) == 0:
        asked = [(random.randrange(1, 60), random.choice(OF_BRANCHES)) for _ in range(random.randrange(1, 4))]
        plan = replace(plan, branches=True, requests=tuple(sorted((*plan.requests, *asked))))
    if random.randrange(16) == 0:  # it is ended, and somebody thinks better of it
        due = random.randrange(1, 40)
        more = (
            (due, "add width=100 rate=0.03 kind=b"), (due, "end"), (due, f"trials {random.randrange(10, 16)}"),
        )  # fmt: skip
        plan = replace(plan, requests=tuple(sorted((*plan.requests, *more), key=lambda each: each[0])))
    return plan


def _rarest(plan: Plan, random: Random) -> Plan:
    """The same of what came later still: nights that are known by their integers stay what they were."""
    if random.randrange(16) == 0 and not plan.branches:
        plan = replace(plan, widen=True, trials=random.randrange(20, 27))
    if random.randrange(64) == 1 and plan.sampler == "random":
        plan = replace(plan, sampler="guided")
    return plan


def _fault(random: Random) -> Fault:
    kind: WorkerFault | DriverFault = random.choice((*DRAWN, *DRIVER_FAULTS, "killed", "power"))
    if kind in DRIVER_FAULTS:
        return Fault(kind, random.randrange(1, 220), random.randrange(1, 40))
    return Fault(kind, random.randrange(0, 50), random.randrange(1, 40))


DEADLY = ("dies", "hangs", "memory", "damaged")
"""Faults that cost a trial its process; after more than three at one place it is given up, as promised."""


def _bearable(faults: list[Fault]) -> list[Fault]:
    kept, deaths = [], 0
    for fault in faults:
        deaths += fault.kind in DEADLY
        if fault.kind not in DEADLY or deaths <= 3:
            kept.append(fault)
    return kept
