"""A tracker is told of every trial once, and is never in the way; what each one makes of it is its own file's."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from distrecvae.errors import ConfigError
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.space.space import SearchSpace
from distrecvae.search.watchers.trackers import MAKERS, Tolerant, Tracker, make_loggers, require_loggers

SPACE = SearchSpace.load("recvae-demo")


class Noted:
    """A logger that notes what it is told, and fails at the `fails_at`-th thing."""

    def __init__(self, fails_at: int = 0) -> None:
        self.told: list[Any] = []
        self.fails_at = fails_at

    def _note(self, *what: Any) -> None:
        self.told.append(what)
        if len(self.told) == self.fails_at:
            raise ConnectionError("no route to host\nmore")

    def knows_end(self, record: TrialRecord) -> bool:
        return record.number == 0

    def started(self, record: TrialRecord) -> None:
        self._note("started", record.number)

    def reported(self, record: TrialRecord) -> None:
        self._note("reported", record.number)

    def ended(self, record: TrialRecord) -> None:
        self._note("ended", record.number)

    def finish(self, *, complete: bool, scores: Mapping[str, float]) -> None:
        self._note("finish", complete, dict(scores))


def test_a_tracker_that_fails_is_told_nothing_more_and_the_search_goes_on() -> None:
    noted, said = Noted(fails_at=2), list[str]()
    logger = Tolerant(lambda: noted, "mlflow", said.append)
    record = TrialRecord(1, {})
    for hear in (logger.started, logger.reported, logger.reported, logger.ended, logger.catch_up):
        hear(record)
    logger.finish(complete=True, scores={})
    assert noted.told == [("started", 1), ("reported", 1)]
    assert said == [
        "mlflow failed and is told nothing more (ConnectionError: no route to host); all is in the results folder"
    ]

    def broken() -> Noted:
        raise ValueError("no such server")

    Tolerant(broken, "wandb", said.append).started(record)
    assert len(said) == 2
    assert "wandb failed" in said[1]


def test_trials_of_an_earlier_run_are_told_once() -> None:
    noted = Noted()
    logger = Tolerant(lambda: noted, "mlflow", print)
    for number in range(2):
        logger.catch_up(TrialRecord(number, {}, Status.FINISHED))
    assert noted.told == [("started", 1), ("ended", 1)]


def test_the_tracker_that_is_named_is_told_of_every_trial_that_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[Noted, dict[str, Any]]] = []

    def make(**about: Any) -> Noted:
        made.append((Noted(), about))
        return made[-1][0]

    monkeypatch.setitem(MAKERS, "mlflow", Tracker("mlflow-skinny", make))
    ledger = Ledger(tmp_path, "valid/ndcg_100")
    for number, status in enumerate((Status.FINISHED, Status.FAILED, Status.RUNNING, Status.STOPPED)):
        ledger.records[number] = TrialRecord(number, {}, status)
    config = SearchConfig(log_to="mlflow")

    def loggers(
        folder: Path = tmp_path, started: str = "2026", config: SearchConfig = config
    ) -> list[Tolerant]:
        return make_loggers(config, folder=folder, space=SPACE, ledger=ledger, started=started, tell=print)

    assert len(loggers()) == 2, "it and the journal in the folder"
    noted, about = made[0]
    # `Noted` says that it knows how trial 0 ended; trial 2 is still under way.
    assert noted.told == [("started", 1), ("ended", 1), ("started", 3), ("ended", 3)]
    assert (about["folder"], about["space"], about["config"]) == (tmp_path, SPACE, config)
    assert len(loggers(config=SearchConfig())) == 1, "the journal alone"
    # A search that is resumed is the same one; another folder, or one restarted in the same, is another.
    loggers()
    loggers(started="2027")
    loggers(folder=tmp_path / "other")
    ids = [about["search_id"] for _, about in made]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_a_missing_package_is_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(
        ConfigError, match="needs mlflow-skinny, which is not installed: pip install mlflow-skinny"
    ):
        require_loggers(SearchConfig(log_to="mlflow"))
    require_loggers(SearchConfig())
    with pytest.raises(
        ConfigError, match="log_to='mlflw' is not one of mlflow, wandb; did you mean 'mlflow'"
    ):
        SearchConfig(log_to="mlflw")
