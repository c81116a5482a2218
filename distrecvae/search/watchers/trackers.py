"""The choice of loggers: trackers and storages that are told of a search, and whose failures never end it."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from distrecvae.errors import ConfigError
from distrecvae.layout import JOURNAL_FILE
from distrecvae.metrics import on_validation
from distrecvae.search.core.conductor import Watcher
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.space.space import SearchSpace
from distrecvae.search.watchers.notify import resolved
from distrecvae.search.watchers.study_copy import Journal, StudyCopy, require_storage
from distrecvae.words import first_line


class Logger(Watcher, Protocol):
    """A watcher that writes elsewhere what the results folder has anyway."""

    def knows_end(self, record: TrialRecord) -> bool:
        """Tell whether it was told before, by an earlier run of the search, how this trial ended."""

    def finish(self, *, complete: bool, scores: Mapping[str, float]) -> None:
        """Hear that this run of the search is over, `complete` or not, and the best model's test scores, if any."""


def _mlflow(**about: Any) -> Logger:
    from distrecvae.search.watchers.mlflow import MLflowLog

    return MLflowLog(**about)


def _wandb(**about: Any) -> Logger:
    from distrecvae.search.watchers.wandb import WandbLog

    return WandbLog(**about)


class Tracker(NamedTuple):
    """An experiment tracker that a search can tell.

    Attributes:
        package: what to install.
        make: imports what speaks to it, and returns its logger.
    """

    package: str
    make: Callable[..., Logger]


MAKERS = {"mlflow": Tracker("mlflow-skinny", _mlflow), "wandb": Tracker("wandb", _wandb)}
"""By the names of `SearchConfig.log_to`."""


def require_loggers(config: SearchConfig) -> None:
    """Check that what the loggers need is there.

    Raises:
        ConfigError: a package is missing, a storage's folder, or the command that is to be told.
    """
    name = config.log_to
    if name is not None and importlib.util.find_spec(name) is None:
        package = MAKERS[name].package
        raise ConfigError(f"--log-to {name} needs {package}, which is not installed: pip install {package}")
    require_storage(config.storage)
    if config.notify is not None:
        resolved(config.notify)


def make_loggers(
    config: SearchConfig,
    *,
    folder: Path,
    space: SearchSpace,
    ledger: Ledger,
    started: str,
    tell: Callable[[str], None],
) -> list[Tolerant]:
    """Return the loggers that `config` names, told of every trial that has ended already.

    Args:
        config: the search's settings.
        folder: the results folder.
        space: what is searched.
        ledger: the search's record.
        started: when the search began; with the folder, what tells it from other searches.
        tell: is told in one line if a logger fails; the search continues without it.
    """
    search_id = hashlib.blake2b(f"{folder.resolve()} {started}".encode(), digest_size=8).hexdigest()
    about: dict[str, Any] = {
        "search_id": search_id,
        "metric": on_validation(config.metric),
        "revives": config.revives,
    }
    journal = partial(Journal, folder, **about)
    loggers = [Tolerant(journal, JOURNAL_FILE, tell)]
    if config.log_to is not None:
        make = partial(
            MAKERS[config.log_to].make, folder=folder, space=space, config=config, search_id=search_id
        )
        loggers.append(Tolerant(make, config.log_to, tell))
    if (url := config.storage) is not None:
        # Its URL, which may have a password, is not repeated.
        copy = partial(StudyCopy, url, name=folder.resolve().name, **about)
        loggers.append(Tolerant(copy, "--storage", tell))
    for logger in loggers:
        for record in ledger.records.values():
            if record.status is not Status.RUNNING:
                logger.catch_up(record)
    return loggers


class Tolerant:
    """Passes everything on until the first failure, says that in a line, and is silent from then on.

    A tracker's server may be away for a minute or a night; the results folder has everything, so no trial waits for it.
    """

    def __init__(self, make: Callable[[], Logger], name: str, tell: Callable[[str], None]) -> None:
        self._name, self._tell = name, tell
        self._logger: Logger | None = None
        self._failed = False
        self._try(lambda: setattr(self, "_logger", make()))

    def catch_up(self, record: TrialRecord) -> None:
        """Tell of a trial that ended in an earlier run of the search, if the logger does not know."""

        def tell_all() -> None:
            if self._logger is not None and not self._logger.knows_end(record):
                self._logger.started(record)
                self._logger.ended(record)

        self._try(tell_all)

    def started(self, record: TrialRecord) -> None:
        """Pass it on."""
        self._pass("started", record)

    def reported(self, record: TrialRecord) -> None:
        """Pass it on."""
        self._pass("reported", record)

    def ended(self, record: TrialRecord) -> None:
        """Pass it on."""
        self._pass("ended", record)

    def finish(self, *, complete: bool, scores: Mapping[str, float]) -> None:
        """Pass it on."""
        self._pass("finish", complete=complete, scores=scores)

    def _pass(self, what: str, *arguments: Any, **named: Any) -> None:
        self._try(lambda: getattr(self._logger, what)(*arguments, **named))

    def _try(self, action: Callable[[], Any]) -> None:
        if self._failed:
            return
        try:
            action()
        except Exception as error:
            self._failed = True
            self._tell(
                f"{self._name} failed and is told nothing more ({type(error).__name__}: {first_line(error)});"
                " all is in the results folder"
            )
