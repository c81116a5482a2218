"""A state that lies with the driver: what a worker sends is what the next one is lent, whatever its size."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import ray
import torch

from distrecvae.errors import CheckpointError
from distrecvae.layout import STATE_FILE
from distrecvae.saved.tensors import load_state, save_state
from distrecvae.search.on_ray.keeping import Keeper, keeping
from distrecvae.search.on_ray.lent import LentState, LentStates, NotWantedError, RefusedError, between
from distrecvae.search.planning.resources import Cluster

TENSORS = {"a": torch.arange(1000.0), "b": torch.tensor(3), "none": torch.zeros(0, 2)}
TRAINING = "trials/00001"


class Near:
    """A keeper's handle without Ray: calls are made at once, and counted."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper, self.calls = keeper, 0

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.calls += 1
            return getattr(self.keeper, name)(*arguments)

        return SimpleNamespace(remote=call)


@pytest.fixture
def near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Near:
    monkeypatch.setattr("distrecvae.search.on_ray.lent.ray.get", lambda value: value)
    return Near(Keeper(str(tmp_path)))


@pytest.mark.parametrize("piece_bytes", [7, 1000, 1 << 20])
def test_what_is_sent_is_what_is_lent(piece_bytes: int, near: Near, tmp_path: Path) -> None:
    place = LentStates(near, piece_bytes).of(TRAINING)
    assert place.load() is None
    near.calls = 0
    place.save(TENSORS, {"history": [{"cycle": 1}]})
    path = tmp_path / TRAINING / STATE_FILE
    assert near.calls == -(-path.stat().st_size // piece_bytes)
    assert load_state(path)[1] == {"history": [{"cycle": 1}]}
    found = LentState(near, TRAINING, piece_bytes).load()
    assert found is not None
    assert found[1] == {"history": [{"cycle": 1}]}
    assert found[0].keys() == TENSORS.keys()
    assert all(torch.equal(found[0][name], value) for name, value in TENSORS.items())


def test_damage_is_told_and_a_file_that_shrinks_is_damage(
    near: Near, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / TRAINING / STATE_FILE
    save_state(path, TENSORS, {})
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CheckpointError, match="the state of trials/00001 is damaged"):
        LentState(near, TRAINING).load()
    save_state(path, TENSORS, {})
    whole, read = path.read_bytes(), near.keeper.read

    def shrinking(*arguments: Any) -> Any:
        path.write_bytes(whole[:200])
        return read(*arguments)

    monkeypatch.setattr(near.keeper, "read", shrinking)
    with pytest.raises(CheckpointError, match="the state of trials/00001 is damaged"):
        LentState(near, TRAINING, 100).load()


def test_a_trial_that_went_on_elsewhere_is_not_wanted_here(near: Near) -> None:
    here, elsewhere = LentState(near, TRAINING), LentState(near, TRAINING)
    here.load()
    elsewhere.load()
    with pytest.raises(NotWantedError, match="the state of trials/00001 is not wanted any more"):
        here.save(TENSORS, {})
    elsewhere.save(TENSORS, {})


def test_the_drivers_storage_refuses_in_its_own_words(near: Near, tmp_path: Path) -> None:
    place = LentState(near, TRAINING)
    place.load()
    (tmp_path / "trials").touch()
    with pytest.raises(RefusedError) as caught:
        place.save(TENSORS, {})
    assert caught.value.errno in (errno.EEXIST, errno.ENOTDIR)
    assert str(caught.value.filename).startswith(str(tmp_path / "trials"))


def test_pieces_are_views() -> None:
    parts = [np.arange(5, dtype=np.uint8), np.zeros(0, np.uint8), np.arange(5, 12, dtype=np.uint8)]
    for begins in range(13):
        for ends in range(begins, 14):
            found = between(parts, begins, ends)
            assert b"".join(part.tobytes() for part in found) == bytes(range(12))[begins:ends]
            assert all(any(np.shares_memory(part, whole) for whole in parts) for part in found)


@pytest.mark.ray
def test_a_keeper_that_dies_while_a_state_is_sent_costs_nothing(cluster: Cluster, tmp_path: Path) -> None:
    assert cluster.nodes
    big = {"x": torch.arange(2_000_000.0)}
    with keeping(tmp_path, Named) as keeper:
        place = LentState(keeper, TRAINING, 100_000)
        place.load()
        process = ray.get(keeper.process.remote())
        sender = threading.Thread(target=lambda: place.save(big, {"n": 1}))
        sender.start()
        while not list((tmp_path / TRAINING).glob(".*.part")):
            time.sleep(0.001)
        os.kill(process, signal.SIGKILL)
        sender.join()
        assert ray.get(keeper.process.remote()) != process
        found = LentState(keeper, TRAINING).load()
    assert found is not None
    assert torch.equal(found[0]["x"], big["x"])
    assert [path.name for path in (tmp_path / TRAINING).iterdir()] == [STATE_FILE], (
        "a killed one's part is removed"
    )


class Named(Keeper):
    """A keeper that says which process it is."""

    def process(self) -> int:
        return os.getpid()
