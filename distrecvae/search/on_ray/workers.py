"""The workers that a search's trials run on: what their death or their silence leads to, and who tells people."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial

from distrecvae.activity import PAUSED, STARTING, WAITING
from distrecvae.layout import trial_folder
from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.records import Status
from distrecvae.search.core.room import Verdict
from distrecvae.search.core.silence import Silence, Silent, Step
from distrecvae.search.on_ray.ray_internals import (
    died_for_memory,
    end,
    forgive,
    let_all_run,
    let_run,
    stop_worker,
    worker_to_be,
)
from distrecvae.words import counted, duration

LONGEST_STEP_S = 5.0
"""What one round of Tune's loop counts for at most: in a longer one the driver was stopped, or the machine slept."""


class Workers:
    """Follows the trials that have a worker in one run of Tune's loop.

    Args:
        conductor: whose trials they are.
        tell: shows a line to people.
    """

    def __init__(self, conductor: Conductor, tell: Callable[[str], None]) -> None:
        self._conductor, self._tell = conductor, tell
        self._silence = Silence(conductor.ledger.records)
        self._on: dict[int, Trial] = {}
        self._hung: Counter[int] = Counter()
        self._to_be: dict[int, Any] = {}
        self._stopped: set[int] = set()
        self._moving: set[int] = set()
        self._broken: dict[int, str] = {}
        self._kinds_told: set[str] = set()
        self._looked_s = time.monotonic()
        self._held = False

    def began(self, trial: Trial) -> None:
        """Note that a trial has a worker."""
        number = number_of(trial)
        self._on[number] = trial
        self._to_be.pop(number, None)
        self._stopped.discard(number)
        self._moving.discard(number)
        self._silence.heard(number)
        self._conductor.room.began()
        self._is_at(number, STARTING)

    def are_at(self, doings: Mapping[str, str]) -> None:
        """Note what workers say that they are at, by their trials' folders under the results folder."""
        for number in self._on.keys() - self._to_be.keys():
            self._is_at(number, doings.get(str(trial_folder(Path(), number)), STARTING))

    def _is_at(self, number: int, what: str) -> None:
        record = self._conductor.ledger.records[number]
        record.doing = what if record.status is Status.RUNNING else ""

    def heard(self, trial: Trial, *, further: bool) -> None:
        """Note a sign of life; `further`: the trial got further than it ever was."""
        number = number_of(trial)
        self._silence.heard(number)
        if further:
            # Spot nodes may vanish any number of times under a long trial: what counts are deaths at one place.
            forgive(trial)
            self._hung.pop(number, None)
            self._broken.pop(number, None)
            self._conductor.room.advanced(number)

    def broke(self, trial: Trial, reason: str) -> None:
        """Note that a trial's worker can do no more on its device, and is about to end itself."""
        self._broken[number_of(trial)] = reason

    def move(self, trial: Trial) -> None:
        """Let a trial whose node is about to go leave it: it has just saved what it has. That is no failure of it."""
        forgive(trial)
        self._moving.add(number_of(trial))
        stop_worker(trial)

    def moved(self, trial: Trial, what: str) -> None:
        """Note that a trial continues on another kind of device than before; `what` that means is told once."""
        if what not in self._kinds_told:
            self._kinds_told.add(what)
            self._tell(
                f"trial {number_of(trial)}: {what[0].lower()}{what[1:]}. Of others that move so nothing is said"
            )

    def left(self, trial: Trial) -> None:
        """Note that a trial has ended, or lost its worker."""
        self._on.pop(number_of(trial), None)
        self._to_be.pop(number_of(trial), None)
        self._silence.over(number_of(trial))

    def lost(self, trial: Trial, others: int) -> None:
        """Note that a trial's worker died; Tune is about to run it again, unless the conductor ends it here.

        Args:
            trial: the trial.
            others: trials that run or are about to, beside it.
        """
        number = number_of(trial)
        self.left(trial)
        self._is_at(number, PAUSED if self._conductor.paused else WAITING)
        if died_for_memory(trial):
            self._ran_out(number, min(others + 1, self._conductor.room.at_once))
        elif number in self._broken:
            self._tell(
                f"trial {number}: {self._broken[number]}; its process ended, and it continues from its last checkpoint"
                " in another"
            )
        elif number in self._moving and self._conductor.paused:
            forgive(trial)  # it has been said that all are given back
        elif number in self._moving:
            forgive(trial)
            self._tell(f"trial {number}: its node is about to go; it continues from here on another one")
        elif number in self._stopped:
            self._tell(f"trial {number}: its worker was stopped; it continues from its last checkpoint")
        else:
            self._tell(f"trial {number} lost its process or its node; it continues from its last checkpoint")

    def why_given_up(self, number: int, deaths: int) -> str:
        """Return why a trial that died so often is not run again."""
        if self._hung[number]:
            return f"it fell silent or died {deaths} times at the same place, and its worker was stopped"
        if number in self._broken:
            return f"its process had to end {deaths} times at the same place: {self._broken[number]}"
        return f"its process died {deaths} times at the same place (when memory runs out the system kills it)"

    def step(self) -> None:
        """Note that Tune went around its loop: time has passed."""
        now_s = time.monotonic()
        passed_s, self._looked_s = min(now_s - self._looked_s, LONGEST_STEP_S), now_s
        self._conductor.keep_time()
        for silent in self._silence.passed(passed_s):
            self._fell_silent(silent)

    def may_begin(self, controller: Any) -> bool:
        """Tell whether another trial may begin now, and end what the conductor has ended; Tune asks before it begins.

        Args:
            controller: what Tune hands to its scheduler.
        """
        for trial in list(controller.get_live_trials()):
            if number_of(trial) not in self._on and (worker := worker_to_be(controller, trial)) is not None:
                # It has a node, and a worker that is about to begin: that one may hang, too.
                self._on[number_of(trial)], self._to_be[number_of(trial)] = trial, worker
                self._silence.heard(number_of(trial))
                self._is_at(number_of(trial), STARTING)
            status = self._conductor.ledger.records[number_of(trial)].status
            if status is not Status.RUNNING and trial.status in (Trial.PENDING, Trial.RUNNING):
                # It ended while its worker was at work, or dead: no answer has to be waited for.
                stop_worker(trial)
                end(controller, trial)
        is_open = self._conductor.room.open_at(time.monotonic())
        at_once = self._conductor.at_once if is_open else 0
        if at_once >= self._conductor.room.most:
            if self._held:
                let_all_run(controller)
                self._held = False
            return True
        self._held = True
        return let_run(controller, at_once)

    def _ran_out(self, number: int, running: int) -> None:
        room = self._conductor.room
        before = room.at_once
        verdict = room.ran_out(number, running, time.monotonic())
        if verdict is Verdict.FAILED:
            reason = (
                f"memory ran out {room.deaths_alone(number)} times while it ran alone; lower batch_size or the model's"
                " sizes, or take a larger machine"
            )
            self._conductor.failed(number, Status.FAILED, reason)
            return
        line = f"trial {number}: memory ran out and Ray stopped its worker; it continues from its last checkpoint"
        if verdict is Verdict.FEWER:
            line += f"; from now on {counted(room.at_once, 'trial', 'trials')} at a time instead of {before}"
        self._tell(line)

    def _fell_silent(self, silent: Silent) -> None:
        number = silent.number
        line = f"trial {number} has not reported for {duration(silent.silent_s)}"
        if silent.usual_s is not None:
            line += f" (a cycle should take {duration(silent.usual_s) if silent.usual_s >= 1 else 'less than 1 s'})"
        if silent.step is Step.NAME:
            self._tell(line)
            return
        self._tell(f"{line}: its worker is stopped")
        self._silence.over(number)
        self._hung[number] += 1
        self._stopped.add(number)
        stop_worker(self._on[number], self._to_be.get(number))


def number_of(trial: Trial) -> int:
    """Return the search's number of a Tune trial."""
    return int(trial.config["task"]["number"])
