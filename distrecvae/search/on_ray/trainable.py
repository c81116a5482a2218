"""What runs in a Ray worker: map the shared data set, run the trial, report to Tune."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from ray import tune

from distrecvae.activity import PREPARING, at
from distrecvae.data.shared import SharedData, from_shared
from distrecvae.errors import DistrecvaeError, DivergedError
from distrecvae.layout import trial_folder
from distrecvae.pacing import Remaining, Seldom
from distrecvae.runs.trial import TrialTask, memory_of, run_trial
from distrecvae.search.core.records import Status
from distrecvae.search.on_ray.lent import LentStates, NotWantedError, RefusedError
from distrecvae.search.on_ray.ray_internals import own_node_is_draining
from distrecvae.training.device import (
    OUT_OF_MEMORY,
    device_facts,
    give_back_memory,
    is_ruinous,
    keep_to_share,
    require_room,
    set_aside_imports,
    use_threads,
)
from distrecvae.training.entry import CommonArrays
from distrecvae.words import one_line

FAILURE = "failure"
"""Key of a report that ends a trial without a result: the status; `reason` says why."""

TRACEBACK = "traceback"
"""Key of a traceback in such a report, or in a `BROKEN` one."""
REFUSED = "refused"
"""Key of a report that ends the search: number, text and path of what the driver's storage refused with."""
BROKEN = "broken"
"""Key of a report before the worker ends itself, since its device is lost to it; `reason` says why."""
LEAVING = "leaving"
"""Key of a report after which the trial is to be moved: its node is about to go, and what it has is saved."""
MOVED = "moved"
"""Key of a report before the others: what it means that the trial was on another kind of device until now."""
SHARE = "share"
"""Key of a report that only tells which share of a long step is done, and in `TO_GO` how many seconds are to go."""
TO_GO = "to_go_s"
DEVICE_LOST = 70
"""Exit status of a worker that ends itself since its device is lost to it."""
SHARE_EVERY_S = 2.0
"""For each report the worker waits for the driver."""
DRAIN_EVERY_S = 2.0
"""How often a worker looks whether its node is about to go: spot nodes are warned 30 s before, or 120."""


class Departure:
    """Knows whether this worker is about to be taken away: its node goes, or the search is paused.

    Attributes:
        near: whether it is, as far as is known.
        pausing: tells whether the search is paused.
    """

    def __init__(self) -> None:
        self.near = False
        self.pausing: Callable[[], bool] = lambda: False
        self._ask = Seldom(self._look, DRAIN_EVERY_S)

    def look(self) -> bool:
        """Ask Ray if it is time to, and tell whether it is."""
        self._ask()
        return self.near

    def _look(self) -> None:
        self.near = own_node_is_draining() or self.pausing()


@lru_cache(maxsize=1)
def departure_of_this_worker() -> Departure:
    """Return the worker's one: trials may be shorter than the time between two looks."""
    return Departure()


def trainable(
    config: dict[str, Any],
    data: SharedData,
    common: CommonArrays | None,
    states: LentStates,
    threads: int,
    gpus: float,
) -> None:
    """Run one trial on a Ray worker (a Tune function trainable).

    A trial that cannot work (diverged, out of memory, an exception) reports so and ends well: running it again would
    give the same. Only a process that dies is run again, by Tune, and continues from its checkpoint. A process whose
    GPU has failed must die: Tune would give it the next trials, and each of them would fail.
    """
    # How long a stopped trial may take to wind up; after Tune's 2 s a busy machine would lose the next trial.
    os.environ.setdefault("TUNE_FUNCTION_THREAD_TIMEOUT_S", "60")
    set_aside_imports()
    task = TrialTask(**config["task"])
    training = str(trial_folder(Path(), task.number))
    place = states.of(training)
    use_threads(threads)
    train, valid = from_shared(data)
    try:
        if gpus:
            keep_to_share(gpus)
            require_room(memory_of(task, train, lent=common is not None), device_facts(task.device), gpus)
        departure = departure_of_this_worker()
        departure.pausing = states.pausing
        progress = _shares()
        with at(PREPARING), states.telling(training):
            for metrics in run_trial(task, place, train, valid, common, progress, departure.look, _remark):
                tune.report({**metrics, LEAVING: True} if departure.near else metrics)
    except DivergedError as error:
        tune.report({FAILURE: str(Status.DIVERGED), "reason": str(error)})
    except OUT_OF_MEMORY as error:
        tune.report({FAILURE: str(Status.FAILED), "reason": f"out of memory: {one_line(error)}"})
    except NotWantedError:
        return
    except RefusedError as error:
        tune.report({REFUSED: [error.errno, error.strerror, error.filename]})
    except DistrecvaeError as error:
        tune.report({FAILURE: str(Status.FAILED), "reason": str(error)})
    except Exception as error:
        why = {"reason": f"{type(error).__name__}: {one_line(error)}", TRACEBACK: traceback.format_exc()}
        if is_ruinous(error):
            tune.report({BROKEN: True, **why})
            os._exit(DEVICE_LOST)
        tune.report({FAILURE: str(Status.FAILED), **why})
    finally:
        try:
            give_back_memory()
        except Exception as error:
            # Kernels run behind the host: a failure may show only now, and the trial that was reported stands.
            if is_ruinous(error):
                os._exit(DEVICE_LOST)
            raise


def _shares() -> Callable[[float], None]:
    """Return what takes each share of a step that is done, and reports one now and then."""
    remaining = Remaining()
    tell = Seldom(lambda share, to_go: tune.report({SHARE: share, TO_GO: to_go}), SHARE_EVERY_S)
    return lambda share: tell(share, remaining.after(share))


def _remark(text: str) -> None:
    tune.report({MOVED: text})
