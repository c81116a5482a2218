"""Owns the three places where Ray Tune asks: for the next trial, about a report, about a trial's end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from distrecvae.layout import trial_folder
from distrecvae.search.core.conductor import RETRIES, Conductor
from distrecvae.search.core.records import Status
from distrecvae.search.on_ray.interruption import StopSearch
from distrecvae.search.on_ray.ray_internals import forget, forgive
from distrecvae.search.on_ray.trainable import FAILURE, SHARE, TROUBLE


class _Unpickled:
    """Tune pickles searchers and schedulers into state files that are never read here: they carry nothing along."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


@contextmanager
def _ours() -> Iterator[None]:
    """Let an error of ours end the search as it is: Tune would make a trial's failure, or a traceback, of it."""
    try:
        yield
    except Exception as error:
        raise StopSearch(error) from None


class ConductorSearcher(_Unpickled, Searcher):  # type: ignore[misc]
    """Hands the conductor's trials to Tune."""

    def __init__(self, conductor: Conductor) -> None:
        super().__init__(mode="max")
        self._conductor = conductor

    def suggest(self, trial_id: str) -> Any:  # noqa: ARG002  (Tune's name for the trial; ours is the number)
        """Return the next trial's task, or Tune's mark that there are no more."""
        with _ours():
            task = self._conductor.next_task()
        return Searcher.FINISHED if task is None else {"task": task.to_dict()}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: the scheduler and the callback, which see the trial, tell the conductor."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the state."""


class ConductorScheduler(_Unpickled, FIFOScheduler):  # type: ignore[misc]
    """Brings each report to the conductor and its decision back."""

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self._conductor = conductor

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ARG002
        """Return Tune's STOP or CONTINUE."""
        number = number_of(trial)
        with _ours():
            if TROUBLE in result:
                self._conductor.give_up(number, result[TROUBLE])
            elif FAILURE in result:
                self._conductor.failed(number, Status(result[FAILURE]), result["reason"])
            elif SHARE in result:
                self._conductor.advanced(number, float(result[SHARE]))
                return TrialScheduler.CONTINUE  # type: ignore[no-any-return]
            elif "passes" in result:
                metrics = {
                    key: value for key, value in result.items() if key in _OURS or key.startswith(_OURS_UNDER)
                }
                known = self._conductor.ledger.records[number].passes
                over = self._conductor.heard(number, metrics)
                if self._conductor.ledger.records[number].passes > known:
                    # Spot nodes may vanish any number of times under a long trial: what counts are deaths at one place.
                    forgive(trial)
                if not over:
                    return TrialScheduler.CONTINUE  # type: ignore[no-any-return]
        return TrialScheduler.STOP  # type: ignore[no-any-return]


class ConductorCallback(_Unpickled, Callback):  # type: ignore[misc]
    """Tells the conductor of trials that ended by themselves, `lost` of a trial that is run again after its process or
    its node was lost, and `refresh` that time has passed."""

    def __init__(
        self, conductor: Conductor, refresh: Callable[[], None], lost: Callable[[int], None]
    ) -> None:
        self._conductor = conductor
        self._refresh = refresh
        self._lost = lost
        self._ended: list[Trial] = []

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """A trial's function returned, or it was stopped (and the conductor knows already)."""
        with _ours():
            self._conductor.finished(number_of(trial))
        self._ended.append(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """Tune gave a trial up: its process died more often than it is run again, or at a bad moment."""
        number = number_of(trial)
        with _ours():
            # Tune counts the death of a worker that was about to be used again twice, and then gives up at once.
            if trial.num_failures <= RETRIES and self._conductor.dropped(number):
                self._lost(number)
            else:
                reason = (
                    f"its process died {trial.num_failures} times at the same place (when memory runs out the system"
                    f" kills it); see {trial_folder(Path(), number)} and Ray's logs"
                )
                self._conductor.failed(number, Status.FAILED, reason)
        self._ended.append(trial)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """A trial's process died; Tune runs the trial again."""
        with _ours():
            self._lost(number_of(trial))

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:  # noqa: ARG002
        """Tune went once around its loop: all that it does at a trial's end is done."""
        for trial in self._ended:
            forget(trial)
        self._ended.clear()
        with _ours():
            self._refresh()


# Tune adds its own keys to every result (time_total_s, node_ip, ...).
_OURS = frozenset({"cycle", "passes", "train_s", "evaluate_s"})
_OURS_UNDER = ("valid/", "train/")


def number_of(trial: Trial) -> int:
    """Return the search's number of a Tune trial."""
    return int(trial.config["task"]["number"])
