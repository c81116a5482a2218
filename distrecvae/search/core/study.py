"""Owns how a search's Optuna study lies on disk, and reading it while another process writes it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from distrecvae.errors import ResultsError

STUDY_FILE = "study.journal"
STUDY_NAME = "search"
CONFIG_KEY = "config"
"""User attribute of a study's trial: the model's configuration. It is written last when a trial is asked for."""


def read_study_trials(folder: Path) -> list[optuna.trial.FrozenTrial]:
    """Return the study's trials that have a configuration, without writing: another process may be at work in it.

    Raises:
        ResultsError: the study is missing or damaged.
    """
    path = folder / STUDY_FILE
    try:
        if not path.exists():  # opening it would make one
            raise ResultsError(f"{path} is missing; restore it, or give another search's folder")
        with quiet():
            storage = JournalStorage(JournalFileBackend(str(path), lock_obj=NoLock()))
            study = optuna.load_study(storage=storage, study_name=STUDY_NAME)
            return [trial for trial in study.get_trials(deepcopy=False) if CONFIG_KEY in trial.user_attrs]
    except (OSError, ValueError, KeyError) as error:
        raise ResultsError(
            f"{path} cannot be read ({error}); restore it, or give another search's folder"
        ) from error


def cut_torn_line(path: Path) -> None:
    """Cut off a last line that was not written to its end; make the file where there is none."""
    if not path.exists():
        path.touch()
        return
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


class NoLock(JournalFileOpenLock):
    """No lock a write: one driver writes, under the lock of the folder; a lock file would outlive a killed driver."""

    def __init__(self) -> None:
        """Need no file."""

    def acquire(self) -> bool:
        """Say that it is held."""
        return True

    def release(self) -> None:
        """Give nothing back."""
        return


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's log lines and its notes about experimental features; the search has its own words."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator computes")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
