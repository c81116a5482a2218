"""What workers are at is told when it changes, asked for without waiting, and reaches the trials' records."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from distrecvae.activity import EVALUATING, PAUSED, STARTING, TRAINING, WAITING, at
from distrecvae.search.on_ray import doing
from distrecvae.search.on_ray.doing import Doings, telling
from distrecvae.search.on_ray.keeping import Keeper
from distrecvae.search.on_ray.workers import Workers
from tests import HANGS_AFTER_S
from tests.search.on_ray.test_workers import tune_trial
from tests.search.simulated import open_conductor, toy_search_config


class Told:
    """A keeper's handle that writes down what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.tell = SimpleNamespace(remote=lambda training, what: self.heard.append((training, what)))


def until_heard(told: Told, n: int) -> None:
    ends = time.monotonic() + HANGS_AFTER_S
    while len(told.heard) < n:
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_a_worker_tells_when_it_is_at_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doing, "TOLD_EVERY_S", 0.01)
    told = Told()
    with telling(told, "trials/00003"):
        with at(TRAINING):
            until_heard(told, 1)
            time.sleep(0.1)  # ten looks, and nothing new
        with at(EVALUATING):
            until_heard(told, 2)
    assert told.heard == [("trials/00003", TRAINING), ("trials/00003", EVALUATING)]
    time.sleep(0.1)
    with at(TRAINING):
        time.sleep(0.1)
    assert len(told.heard) == 2, "the block was left"


def test_the_driver_never_waits_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    ready: list[Any] = []
    monkeypatch.setattr(doing, "ASKED_EVERY_S", 0.0)
    monkeypatch.setattr(ray, "wait", lambda asked, **_: ([each for each in asked if each in ready], []))
    monkeypatch.setattr(ray, "get", lambda asked: {"trials/00000": str(asked)})
    asked = iter(["first", "second", "third"])
    taken: list[Any] = []
    doings = Doings(SimpleNamespace(doings=SimpleNamespace(remote=lambda: next(asked))), taken.append)
    doings.look()
    doings.look()
    assert taken == []
    ready.append("first")
    doings.look()
    assert taken == [{"trials/00000": "first"}]


def test_a_keeper_knows_what_was_said_last_and_forgets_it_with_the_worker(tmp_path: Path) -> None:
    keeper = Keeper(str(tmp_path))
    keeper.tell("trials/00001", TRAINING)
    keeper.tell("trials/00001", EVALUATING)
    assert keeper.doings() == {"trials/00001": EVALUATING}
    keeper.lend("trials/00001")
    assert keeper.doings() == {}


def test_a_trial_waits_for_a_node_begins_works_and_waits_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conductor = open_conductor(tmp_path, toy_search_config(scheduler="none"))
    workers, trial = Workers(conductor, print), tune_trial(conductor)
    record = conductor.ledger.records[0]
    assert record.doing == WAITING
    workers.are_at({"trials/00000": TRAINING})
    assert record.doing == WAITING, "it has no worker yet: that was another one's"
    workers.began(trial)
    assert record.doing == STARTING
    workers.are_at({"trials/00000": TRAINING, "trials/00007": TRAINING})
    assert record.doing == TRAINING
    workers.lost(trial, 0)
    assert record.doing == WAITING
    workers.began(trial)
    monkeypatch.setattr(type(conductor), "paused", property(lambda _: True))
    workers.lost(trial, 0)
    assert record.doing == PAUSED
    conductor.finished(0)
    assert record.doing == ""
