"""The process that keeps states: its answers, its leases, its death; a real one on a real Ray, and its class alone."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from distrecvae.layout import STATE_FILE
from distrecvae.search.on_ray import keeping as module
from distrecvae.search.on_ray.keeping import Answer, Keeper, SeedKeeper, Wakefulness, keeping
from distrecvae.search.planning.resources import Cluster
from tests import HANGS_AFTER_S

ONE = "trials/00001"


def piece(text: bytes) -> list[Any]:
    return [np.frombuffer(text, np.uint8)]


def test_a_state_comes_in_pieces_and_is_lent_in_pieces(tmp_path: Path) -> None:
    keeper = Keeper(str(tmp_path))
    lease, n_bytes = keeper.lend(ONE)
    assert n_bytes == 0
    assert keeper.take(ONE, lease, 0, 8, piece(b"abcd")) == Answer(4)
    assert not (tmp_path / ONE / STATE_FILE).exists()
    assert keeper.take(ONE, lease, 4, 8, piece(b"efgh")) == Answer(8)
    assert (tmp_path / ONE / STATE_FILE).read_bytes() == b"abcdefgh"
    assert keeper.lend(ONE)[1] == 8
    assert [keeper.read(ONE, at, 3).tobytes() for at in (0, 3, 6, 9)] == [b"abc", b"def", b"gh", b""]


def test_a_worker_that_was_given_up_is_not_taken_from(tmp_path: Path) -> None:
    # Cut off from the network, its trial went on elsewhere; then the network came back, and with it an older state.
    keeper = Keeper(str(tmp_path))
    before, _ = keeper.lend(ONE)
    assert keeper.take(ONE, before, 0, 8, piece(b"old!")) == Answer(4)
    now, _ = keeper.lend(ONE)
    assert list((tmp_path / ONE).iterdir()) == [], "what had come of its state is removed"
    assert keeper.take(ONE, now, 0, 4, piece(b"new!")) == Answer(4)
    for begins in (0, 4):
        assert keeper.take(ONE, before, begins, 8, piece(b"old!")) == Answer(0, wanted=False)
    assert (tmp_path / ONE / STATE_FILE).read_bytes() == b"new!"


def test_a_lease_outlives_the_process_that_gave_it(tmp_path: Path) -> None:
    first = Keeper(str(tmp_path))
    before, _ = first.lend(ONE)
    now, _ = first.lend(ONE)
    again = Keeper(str(tmp_path))
    assert again.take(ONE, now, 4, 8, piece(b"efgh")) == Answer(0), (
        "it has nothing of it: all of it once more"
    )
    assert again.take(ONE, now, 0, 8, piece(b"abcd")) == Answer(4)
    assert again.take(ONE, now, 0, 8, piece(b"ABCD")) == Answer(4), "restarted, it starts over"
    assert again.take(ONE, now, 4, 8, piece(b"efgh")) == Answer(8)
    assert again.take(ONE, before, 0, 4, piece(b"old!")) == Answer(0, wanted=False)
    assert (tmp_path / ONE / STATE_FILE).read_bytes() == b"ABCDefgh"


def test_storage_that_refuses_is_told_with_its_path(tmp_path: Path) -> None:
    keeper = Keeper(str(tmp_path))
    lease, _ = keeper.lend(ONE)
    (tmp_path / "trials").write_text("a file where a folder should be", encoding="utf-8")
    answer = keeper.take(ONE, lease, 0, 4, piece(b"abcd"))
    assert answer.refused is not None
    assert answer.refused[0] in (errno.EEXIST, errno.ENOTDIR)
    assert answer.refused[2].startswith(str(tmp_path / "trials"))


def test_after_its_end_it_takes_nothing(tmp_path: Path) -> None:
    keeper = Keeper(str(tmp_path))
    lease, _ = keeper.lend(ONE)
    assert keeper.take(ONE, lease, 0, 8, piece(b"abcd")) == Answer(4)
    keeper.close()
    assert keeper.take(ONE, lease, 4, 8, piece(b"efgh")) == Answer(0, wanted=False)
    assert list((tmp_path / ONE).iterdir()) == []


def test_runs_of_seeds_are_told_to_stop_and_tell_their_reports(tmp_path: Path) -> None:
    keeper = SeedKeeper(str(tmp_path))
    assert not keeper.stopping()
    keeper.stop()
    assert keeper.stopping()
    (tmp_path / "seed-1").mkdir()
    keeper.record("seed-1", [{"cycle": 1}])
    assert (tmp_path / "seed-1/history.csv").read_text(encoding="utf-8") == "cycle\n1\n"
    (tmp_path / "seed-2").touch()
    keeper.record("seed-2", [{"cycle": 1}])  # refused: the reports are in the run's state


@pytest.mark.ray
@pytest.mark.slow
def test_a_keeper_that_hangs_is_begun_anew(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Stopped, it hung every trial: they fell silent, were stopped and run again, and failed in the end.
    assert cluster.nodes
    monkeypatch.setattr(module, "HANGS_AFTER_S", 3.0)
    monkeypatch.setattr(module, "ASKED_EVERY_S", 0.5)
    with keeping(tmp_path, Known) as keeper:
        process, _ = ray.get(keeper.process.remote())
        wakefulness = Wakefulness(keeper)
        os.kill(process, signal.SIGSTOP)
        waiting = keeper.lend.remote(ONE)
        deadline = time.monotonic() + HANGS_AFTER_S
        while not ray.wait([waiting], timeout=0.1)[0]:
            wakefulness.look()
            assert time.monotonic() < deadline, "it hangs"
        assert ray.get(keeper.process.remote())[0] != process
        assert not Path(f"/proc/{process}").exists(), "what hangs is not left behind"


class Known(Keeper):
    """A keeper that says which process it is and what it has imported."""

    def process(self) -> tuple[int, bool]:
        return os.getpid(), "torch" in sys.modules


@pytest.mark.ray
def test_a_keeper_that_is_killed_is_begun_again_and_ends_with_its_block(
    cluster: Cluster, tmp_path: Path
) -> None:
    assert cluster.nodes
    with keeping(tmp_path, Known) as keeper:
        lease, _ = ray.get(keeper.lend.remote(ONE))
        assert ray.get(keeper.take.remote(ONE, lease, 0, 8, piece(b"abcd"))) == Answer(4)
        process, has_torch = ray.get(keeper.process.remote())
        assert not has_torch, "170 MB, and a second of the search's start"
        os.kill(process, signal.SIGKILL)
        # Whoever had sent half of it hears that all of it is wanted.
        assert ray.get(keeper.take.remote(ONE, lease, 4, 8, piece(b"efgh"))) == Answer(0)
        assert ray.get(keeper.take.remote(ONE, lease, 0, 8, piece(b"abcdefgh"))) == Answer(8)
        again, _ = ray.get(keeper.process.remote())
        assert again != process
    assert (tmp_path / ONE / STATE_FILE).read_bytes() == b"abcdefgh"
    assert [path.name for path in (tmp_path / ONE).iterdir()] == [STATE_FILE]
    deadline = time.monotonic() + HANGS_AFTER_S
    while Path(f"/proc/{again}").exists():
        assert time.monotonic() < deadline, "the process was left behind"
        time.sleep(0.1)


INTERRUPTED = f"""
import sys, time
from pathlib import Path
import ray
from distrecvae.search.on_ray.keeping import keeping

@ray.remote(num_cpus=0)
def tell_all_the_time(keeper):
    while True:
        keeper.tell.remote({ONE!r}, "training")
        keeper.pause.remote(False)
        time.sleep(0.001)

ray.init(address=sys.argv[1])
try:
    with keeping(Path(sys.argv[2])) as keeper:
        worker = tell_all_the_time.remote(keeper)
        ends = time.monotonic() + {HANGS_AFTER_S}
        while not ray.get(keeper.doings.remote()):
            assert time.monotonic() < ends
        raise KeyboardInterrupt
except KeyboardInterrupt:
    print("interrupted")
time.sleep(1.0)  # what Ray says comes over the network
"""


@pytest.mark.ray
def test_an_interruption_while_workers_tell_is_quiet(cluster: Cluster, tmp_path: Path) -> None:
    # Ray printed "Task Keeper.tell failed. There are infinite retries remaining" into a notebook's cell, and the same
    # of what the driver tells, `pause`.
    assert cluster.nodes
    address = ray.get_runtime_context().gcs_address
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, address, str(tmp_path)],
        capture_output=True, text=True, check=True, timeout=HANGS_AFTER_S,
    )  # fmt: skip
    assert "interrupted" in done.stdout
    assert "Keeper" not in done.stdout + done.stderr
