"""The three places where Ray Tune asks: for the next trial, about a report, about a trial's end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from distrecvae.layout import trial_folder
from distrecvae.search.core.conductor import RETRIES, Conductor
from distrecvae.search.core.records import Status
from distrecvae.search.on_ray.interruption import StopSearch
from distrecvae.search.on_ray.ray_internals import forget
from distrecvae.search.on_ray.trainable import (
    BROKEN,
    FAILURE,
    LEAVING,
    MOVED,
    REFUSED,
    SHARE,
    TO_GO,
    TRACEBACK,
)
from distrecvae.search.on_ray.workers import Workers, number_of


class _Unpickled:
    """Tune pickles searchers and schedulers into state files that are never read here: they carry nothing along."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


@contextmanager
def _ours() -> Iterator[None]:
    """Let an error of ours end the search as it is: Tune would turn it into a trial's failure, or a traceback."""
    try:
        yield
    except Exception as error:
        raise StopSearch(error) from None


class ConductorSearcher(_Unpickled, Searcher):  # type: ignore[misc]
    """Hands the conductor's trials to Tune."""

    def __init__(self, conductor: Conductor, refresh: Callable[[], None]) -> None:
        super().__init__(mode="max")
        self._conductor, self._refresh = conductor, refresh

    def suggest(self, trial_id: str) -> Any:  # noqa: ARG002  (Tune's name for the trial; ours is the number)
        """Return the next trial's task, None where there is none now, or Tune's mark that there will be none.

        While a trial runs somebody may ask for more of them. Where none does and the search is paused, Tune does
        nothing but ask here, once a second: so that is where the search is heard then.
        """
        with _ours():
            task = self._conductor.next_task()
            if task is not None:
                return {"task": task.to_dict()}
            if self._conductor.paused:
                self._refresh()
        return None if self._conductor.paused or self._conductor.ledger.unfinished() else Searcher.FINISHED

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: the scheduler and the callback, which see the trial, tell the conductor."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the state."""


class ConductorScheduler(_Unpickled, FIFOScheduler):  # type: ignore[misc]
    """Brings each report to the conductor and its decision back; begins no more trials than there is room for."""

    def __init__(self, conductor: Conductor, workers: Workers) -> None:
        super().__init__()
        self._conductor, self._workers = conductor, workers

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return the trial that Tune shall begin next, or None."""
        with _ours():
            may_begin = self._workers.may_begin(tune_controller)
        return super().choose_trial_to_run(tune_controller) if may_begin else None

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ARG002
        """Return Tune's STOP or CONTINUE."""
        number = number_of(trial)
        with _ours():
            if REFUSED in result:
                raise OSError(*result[REFUSED])
            if FAILURE in result:
                self._conductor.failed(number, Status(result[FAILURE]), self._reason(number, result))
            elif BROKEN in result:
                self._workers.broke(trial, self._reason(number, result))
                return TrialScheduler.CONTINUE  # type: ignore[no-any-return]
            elif MOVED in result:
                self._workers.heard(trial, further=False)
                self._workers.moved(trial, str(result[MOVED]))
                return TrialScheduler.CONTINUE  # type: ignore[no-any-return]
            elif SHARE in result:
                self._workers.heard(trial, further=False)
                self._conductor.advanced(number, float(result[SHARE]), result.get(TO_GO))
                return TrialScheduler.CONTINUE  # type: ignore[no-any-return]
            elif "passes" in result:
                metrics = {
                    key: value for key, value in result.items() if key in _OURS or key.startswith(_OURS_UNDER)
                }
                known = self._conductor.ledger.records[number].passes
                over = self._conductor.heard(number, metrics)
                further = self._conductor.ledger.records[number].passes > known
                self._workers.heard(trial, further=further)
                if not over:
                    if LEAVING in result:
                        self._workers.move(trial)
                    return TrialScheduler.CONTINUE  # type: ignore[no-any-return]
        return TrialScheduler.STOP  # type: ignore[no-any-return]

    def _reason(self, number: int, result: dict[str, Any]) -> str:
        """Return why a trial failed; a traceback of it is written down beside the trial."""
        reason = str(result["reason"])
        if TRACEBACK in result:
            reason += self._conductor.keep_traceback(number, result[TRACEBACK])
        return reason


class ConductorCallback(_Unpickled, Callback):  # type: ignore[misc]
    """Tells the conductor of trials that ended by themselves, `workers` of those that have or lose one, and `refresh`
    that time has passed."""

    def __init__(self, conductor: Conductor, workers: Workers, refresh: Callable[[], None]) -> None:
        self._conductor, self._workers, self._refresh = conductor, workers, refresh
        self._ended: list[Trial] = []

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """A trial has a worker, a new one or one that another trial had."""
        self._workers.began(trial)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """A trial's function returned, or it was stopped (and the conductor knows already)."""
        self._workers.left(trial)
        with _ours():
            self._conductor.finished(number_of(trial))
        self._ended.append(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """Tune gave up a trial: its process died more often than it is restarted, or at a bad moment."""
        number = number_of(trial)
        with _ours():
            # Tune counts the death of a worker that was about to be used again twice, and then gives up at once.
            if trial.num_failures <= RETRIES and self._conductor.dropped(number):
                self._workers.lost(trial, _others(trials, trial))
            else:
                why = self._workers.why_given_up(number, trial.num_failures)
                reason = f"{why}; see {trial_folder(Path(), number)} and Ray's logs"
                self._workers.left(trial)
                self._conductor.failed(number, Status.FAILED, reason)
        self._ended.append(trial)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """A trial's process died; Tune runs the trial again."""
        with _ours():
            self._workers.lost(trial, _others(trials, trial))

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:  # noqa: ARG002
        """Tune went once around its loop: all that it does at a trial's end is done."""
        for trial in self._ended:
            forget(trial)
        self._ended.clear()
        with _ours():
            self._workers.step()
            self._refresh()


class Quiet(_Unpickled, TrialProgressCallback):  # type: ignore[misc]
    """Takes the place of Tune's own callback, which prints lines about some trials however silent it was told to be."""

    def log_result(self, trial: Trial, result: dict[str, Any], error: bool = False) -> None:
        """Nothing: watchers show what there is."""

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Nothing."""

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Nothing: Tune's own asks for the last result, and raises if the worker was killed before the first."""


def _others(trials: list[Trial], trial: Trial) -> int:
    return sum(other is not trial and other.status in (Trial.RUNNING, Trial.PENDING) for other in trials)


# Tune adds its own keys to every result (time_total_s, node_ip, ...).
_OURS = frozenset({"cycle", "passes", "train_s", "evaluate_s"})
_OURS_UNDER = ("valid/", "train/")
