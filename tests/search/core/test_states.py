"""Trials' states on the driver's disk: put whole or not at all, found again, forgotten; in one go or in pieces."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from distrecvae.layout import STATE_FILE, trial_folder
from distrecvae.saved.tensors import load_state, state_pieces
from distrecvae.search.core.states import Incoming, TrialStates


def state(cycle: int, width: int = 3) -> list[bytes]:
    history = [{"cycle": number, "passes": 4 * number} for number in range(1, cycle + 1)]
    return [piece.tobytes() for piece in state_pieces({"x": torch.ones(width)}, {"history": history})]


@contextmanager
def files_of_at_most(n_bytes: int) -> Iterator[None]:
    """Let the system refuse longer files in the block."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_last_state_that_was_put_is_what_a_trial_goes_on_from(tmp_path: Path) -> None:
    states = TrialStates(tmp_path)
    assert states.latest(7) is None
    for cycle in (1, 3):
        states.put(7, state(cycle))
    kept = states.latest(7)
    assert kept is not None
    assert (kept.cycle, kept.passes) == (3, 12)
    assert kept.path == states.path(7) == trial_folder(tmp_path, 7) / STATE_FILE
    assert kept.n_bytes == sum(map(len, state(3)))
    assert len(load_state(kept.path)[1]["history"]) == 3
    assert TrialStates(tmp_path).latest(7) == kept, "another process finds the same"
    states.forget(7)
    states.forget(7)
    assert states.latest(7) is None


@pytest.mark.parametrize("content", [b"", b"half", b"".join(state(2))[:-3]])
def test_a_damaged_state_is_none(content: bytes, tmp_path: Path) -> None:
    states = TrialStates(tmp_path)
    states.put(0, [content])
    assert states.latest(0) is None


def test_a_state_of_no_report_is_none(tmp_path: Path) -> None:
    states = TrialStates(tmp_path)
    states.put(0, state(0))
    assert states.latest(0) is None


def test_a_state_that_the_storage_refuses_leaves_the_one_before(tmp_path: Path) -> None:
    states = TrialStates(tmp_path)
    states.put(0, state(1))
    with files_of_at_most(4096), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        states.put(0, state(2, width=10_000))
    kept = states.latest(0)
    assert kept is not None
    assert kept.cycle == 1
    assert [path.name for path in kept.path.parent.iterdir()] == [STATE_FILE]


def test_what_killed_writers_left_is_cleaned(tmp_path: Path) -> None:
    states = TrialStates(tmp_path)
    states.put(0, state(1))
    (states.path(0).parent / f".{STATE_FILE}.x.part").touch()
    states.clean(0)
    assert [path.name for path in states.path(0).parent.iterdir()] == [STATE_FILE]


def test_a_state_in_pieces_is_in_its_place_when_it_is_whole_and_not_before(tmp_path: Path) -> None:
    path, content = tmp_path / "trials/00000" / STATE_FILE, b"".join(state(2))
    incoming = Incoming(path, len(content))
    for at in range(0, len(content), 100):
        assert not incoming.whole
        assert not path.exists()
        incoming.take([content[at : at + 40], content[at + 40 : at + 100]])
    assert incoming.whole
    assert not path.exists()
    incoming.commit()
    assert path.read_bytes() == content
    assert [each.name for each in path.parent.iterdir()] == [STATE_FILE]


def test_what_has_come_of_a_state_can_be_dropped(tmp_path: Path) -> None:
    incoming = Incoming(tmp_path / STATE_FILE, 100)
    incoming.take([b"x" * 60])
    incoming.drop()
    assert list(tmp_path.iterdir()) == []


def test_a_piece_that_the_storage_refuses_names_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / STATE_FILE
    path.write_bytes(b"before")
    incoming = Incoming(path, 100_000)
    with files_of_at_most(4096), pytest.raises(OSError, match=os.strerror(errno.EFBIG)) as caught:
        incoming.take([b"x" * 50_000])
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
