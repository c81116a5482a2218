"""`--storage`: a copy of a search as an Optuna study, for optuna-dashboard and Optuna's other tools.

The ledger stays what a search believes. A trial is copied whole, in one write, when it ends, so a copy that was cut off
anywhere has some of the trials and none by half; the next run of the search adds the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalFileSymlinkLock

from distrecvae.errors import ConfigError
from distrecvae.layout import JOURNAL_FILE
from distrecvae.search.core.config import JOURNAL
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.core.study import as_optuna_has_it, quiet
from distrecvae.words import first_line

STUDY_NAME = "search"
"""Of the copy in the results folder; another one is named like the folder."""
SEARCH_KEY, NUMBER_KEY = "distrecvae.search", "trial"
"""User attributes: of the study, whose copy it is; of a trial, its number in the search. Optuna counts as they end."""


class StudyCopy:
    """Adds each trial that ends to a study named like the results folder; a logger.

    Where another search has that name in this storage, the search's id is added to it. Optuna changes no trial that has
    ended: where a stopped one may continue (`revives`), it is added when the search is over.
    """

    def __init__(
        self, storage: str | BaseStorage, *, name: str, search_id: str, metric: str, revives: bool = False
    ) -> None:
        self._revives = revives
        self._waiting: dict[int, TrialRecord] = {}
        with quiet():
            self._storage = _opened(storage) if isinstance(storage, str) else storage
            self._study = _study(self._storage, name, search_id)
            self._study.set_metric_names([metric])
            trials = self._study.get_trials(deepcopy=False)
        self._has = {trial.user_attrs.get(NUMBER_KEY) for trial in trials}

    def knows_end(self, record: TrialRecord) -> bool:
        """Tell whether the trial is in the copy."""
        return record.number in self._has

    def started(self, record: TrialRecord) -> None:
        """Nothing to write: a trial is copied when it ends."""
        self._waiting.pop(record.number, None)

    def reported(self, record: TrialRecord) -> None:
        """Nothing to write."""

    def ended(self, record: TrialRecord) -> None:
        """Add the trial, unless it may continue: as Optuna has it, its times included, and how it ended."""
        if self._revives and record.status is Status.STOPPED:
            self._waiting[record.number] = record
        elif not self.knows_end(record):
            self._add(record)

    def _add(self, record: TrialRecord) -> None:
        trial = as_optuna_has_it(record)
        about = {NUMBER_KEY: record.number, "status": str(record.status), "reason": record.reason}
        trial.user_attrs = {**about, **trial.user_attrs}
        trial.system_attrs = {}
        with quiet():
            self._study.add_trial(trial)
        self._has.add(record.number)

    def finish(self, *, complete: bool, scores: Mapping[str, float]) -> None:  # noqa: ARG002
        """Add what waited, if the search is over, and close the storage."""
        for record in self._waiting.values() if complete else ():
            if not self.knows_end(record):
                self._add(record)
        if isinstance(self._storage, RDBStorage):
            self._storage.remove_session()
            self._storage.engine.dispose()


def require_storage(url: str | None) -> None:
    """Check that the copy can be made, as far as that is seen without making it.

    Raises:
        ConfigError: its folder is missing, it would be written into a ledger, or a package is missing.
    """
    if url is None:
        return
    path = url.removeprefix(JOURNAL) if url.startswith(JOURNAL) else _database_file(url)
    if path is None:
        return
    file = Path(path)
    if not file.parent.is_dir():
        raise ConfigError(f"--storage {url}: there is no folder {file.parent}; make it, or choose another")
    if file.is_dir():
        raise ConfigError(f"--storage {url}: {path} is a folder; name a file in it")
    if file.name == JOURNAL_FILE:
        raise ConfigError(f"--storage {url}: a search keeps a file of that name itself; give another name")


def _database_file(url: str) -> str | None:
    """Return the file of an SQLite URL, None for a server's; look for its driver."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    scheme = url.partition(":")[0]
    try:
        database = make_url(url)
        database.get_dialect().import_dbapi()
    except ImportError as error:
        raise ConfigError(
            f"--storage {scheme}: needs the module {error.name}, which is not installed; install its package"
        ) from None
    except (ArgumentError, ValueError) as error:
        reason = first_line(error)
        raise ConfigError(
            f"--storage {scheme}:... is no database's URL ({reason}); write sqlite:///study.db"
        ) from None
    if not scheme.startswith("sqlite"):
        return None
    if database.database in (None, "", ":memory:"):
        raise ConfigError(
            f"--storage {url} names no file; write sqlite:///study.db, four slashes from the root"
        )
    return database.database


def _opened(url: str) -> BaseStorage:
    if not url.startswith(JOURNAL):
        return RDBStorage(url)
    path = Path(url.removeprefix(JOURNAL)).resolve()
    lock = JournalFileSymlinkLock(str(path))
    lock.acquire()
    try:
        _cut_torn_line(path)  # else the next line would be joined to it
    finally:
        lock.release()
    return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


def _cut_torn_line(path: Path) -> None:
    """Cut off a last line that was not written to its end; make the file where there is none."""
    if not path.exists():
        path.touch()
        return
    with path.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


class NoLock(JournalFileOpenLock):
    """No lock a write: one driver writes, under the lock of the folder; a lock file would outlive a killed driver."""

    def __init__(self) -> None:
        """There is no file."""

    def acquire(self) -> bool:
        """It is held."""
        return True

    def release(self) -> None:
        """There is nothing to give back."""
        return


class Journal(StudyCopy):
    """The copy in the results folder, for Optuna's tools; a logger. It is a view: each run rewrites it."""

    def __init__(self, folder: Path, *, search_id: str, metric: str, revives: bool = False) -> None:
        path = folder / JOURNAL_FILE
        path.unlink(missing_ok=True)
        storage = JournalStorage(JournalFileBackend(str(path), lock_obj=NoLock()))
        super().__init__(storage, name=STUDY_NAME, search_id=search_id, metric=metric, revives=revives)


def _study(storage: BaseStorage, name: str, search_id: str) -> optuna.Study:
    own = f"{name}-{search_id}"
    for candidate in (name, own):
        try:
            study = optuna.create_study(storage=storage, study_name=candidate, direction="maximize")
            study.set_user_attr(SEARCH_KEY, search_id)
        except optuna.exceptions.DuplicatedStudyError:
            study = optuna.load_study(storage=storage, study_name=candidate)
        if study.user_attrs.get(SEARCH_KEY) == search_id:
            break
    return study
