"""The process on the driver's machine that keeps states: workers send theirs in pieces, and are lent them so.

It writes beside the driver's loop, so a state of any size stops no search, and it outlives the worker that sent one. No
more than a piece of a state is in Ray's object store at a time. PyTorch is not imported there.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import ray
from numpy.typing import NDArray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from distrecvae.layout import STATE_FILE
from distrecvae.pacing import Seldom
from distrecvae.runs.history import write_history
from distrecvae.search.core.states import Incoming

AT_ONCE = 8
"""Calls that are answered side by side: one waits for the disk, another is lent something."""
HANGS_AFTER_S, ASKED_EVERY_S = 60.0, 2.0
"""How long it may not answer at all before it is killed and restarted; how often it is asked."""
CLOSES_WITHIN_S = 10.0
"""How long a state that is just being written may take at the end of a search."""

Piece = Sequence[NDArray[np.uint8]]


class Answer(NamedTuple):
    """What comes of a piece that was sent.

    Attributes:
        received: bytes of the state that are there; the next piece begins where they end.
        wanted: whether more of it is: not where another worker has the trial by now, or the search is over.
        refused: number, text and path of the storage's error; None where it took all.
    """

    received: int
    wanted: bool = True
    refused: tuple[int, str, str] | None = None


class Keeper:
    """What runs in that process. A training is known by its folder's path under `root`, such as `trials/00003`.

    Args:
        root: the results folder.
    """

    def __init__(self, root: str) -> None:
        self._root = Path(root)
        self._leases: dict[str, int] = {}
        self._incoming: dict[str, Incoming] = {}
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._closed = self._pausing = False
        self._doings: dict[str, str] = {}

    def lend(self, training: str) -> tuple[int, int]:
        """Give a training to the caller, taking it from its last holder: return a lease, and its state's bytes, or 0.

        A worker that was cut off may come back when its trial has long continued elsewhere: what it sends is not taken.
        """
        with self._turns[training]:
            lease = max(time.time_ns(), self._leases.get(training, 0) + 1)
            self._leases[training] = lease
            self._doings.pop(training, None)
            self._drop(training)
            try:
                return lease, self._path(training).stat().st_size
            except FileNotFoundError:
                return lease, 0

    def read(self, training: str, begins: int, n_bytes: int) -> NDArray[np.uint8]:
        """Return a piece of a training's state; shorter where the file ends."""
        with self._path(training).open("rb") as file:
            file.seek(begins)
            return np.frombuffer(file.read(n_bytes), np.uint8)

    def take(self, training: str, lease: int, begins: int, n_bytes: int, piece: Piece) -> Answer:
        """Receive a piece of a state; with the last one the state is in its place, durable.

        Args:
            training: whose state.
            lease: the caller's.
            begins: where in the state the piece begins.
            n_bytes: size of the whole state.
            piece: its parts, in order.
        """
        with self._turns[training]:
            if self._closed or lease < self._leases.get(training, 0):
                return Answer(0, wanted=False)
            self._leases[training] = lease
            try:
                if not begins:
                    self._drop(training)
                    self._incoming[training] = Incoming(self._path(training), n_bytes)
                incoming = self._incoming.get(training)
                if incoming is None or incoming.received != begins:
                    # This process was restarted, or the piece has come before.
                    return Answer(0 if incoming is None else incoming.received)
                incoming.take(piece)
                if incoming.whole:
                    self._incoming.pop(training).commit()
                return Answer(incoming.received)
            except OSError as error:
                self._incoming.pop(training, None)
                path = error.filename or self._path(training)
                return Answer(0, refused=(error.errno or 0, error.strerror or str(error), str(path)))

    def close(self) -> None:
        """Receive nothing more; when this returns, what was being written is complete and nothing is half there."""
        self._closed = True
        for training, turn in list(self._turns.items()):
            with turn:
                self._drop(training)

    @ray.method(concurrency_group="awake", max_task_retries=0)  # type: ignore[untyped-decorator]
    def pause(self, pausing: bool) -> None:
        """Let all workers save what they have after the cycle under way, or not any more; each asks now and then."""
        self._pausing = pausing

    @ray.method(concurrency_group="awake", max_task_retries=0)  # type: ignore[untyped-decorator]
    def pausing(self) -> bool:
        """Tell whether workers are to save what they have and be given back."""
        return self._pausing

    @ray.method(concurrency_group="awake", max_task_retries=0)  # type: ignore[untyped-decorator]
    def tell(self, training: str, what: str) -> None:
        """Note what a training's worker is at."""
        self._doings[training] = what

    @ray.method(concurrency_group="awake", max_task_retries=0)  # type: ignore[untyped-decorator]
    def doings(self) -> dict[str, str]:
        """Return what trainings' workers said last that they are at."""
        return dict(self._doings)

    @ray.method(concurrency_group="awake", max_task_retries=0)  # type: ignore[untyped-decorator]
    def awake(self) -> None:
        """Answer at once, as a sign that the process lives."""

    def _drop(self, training: str) -> None:
        incoming = self._incoming.pop(training, None)
        if incoming is not None:
            incoming.drop()

    def _path(self, training: str) -> Path:
        return self._root / training / STATE_FILE


class SeedKeeper(Keeper):
    """Keeps the states and the histories of runs, and says whether they are to stop."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self._folder, self._stopping = Path(root), False

    def record(self, training: str, history: Sequence[Mapping[str, Any]]) -> None:
        """Write the reports of a run, if the storage takes them: they are in its state, too."""
        with suppress(OSError):
            write_history(self._folder / training, history)

    def stop(self) -> None:
        """Let all runs stop."""
        self._stopping = True

    def stopping(self) -> bool:
        """Tell whether runs are to stop."""
        return self._stopping


class Wakefulness:
    """Makes sure that a keeper answers: one that is stopped would hang every trial.

    Args:
        keeper: its handle.
    """

    def __init__(self, keeper: Any) -> None:
        self._keeper = keeper
        self._asked: Any = None
        self._silent_s = 0.0
        self._looked_s = time.monotonic()
        self._ask = Seldom(self._look, ASKED_EVERY_S)

    def look(self) -> None:
        """Note that time has passed; waits for nothing."""
        self._ask()

    def _look(self) -> None:
        now_s = time.monotonic()
        # In a longer round the driver was stopped itself, or the machine slept.
        passed_s, self._looked_s = min(now_s - self._looked_s, 2 * ASKED_EVERY_S), now_s
        if self._asked is None or ray.wait([self._asked], timeout=0)[0]:
            self._asked, self._silent_s = self._keeper.awake.remote(), 0.0
            return
        self._silent_s += passed_s
        if self._silent_s >= HANGS_AFTER_S:
            ray.kill(self._keeper, no_restart=False)
            self._silent_s = 0.0


@contextmanager
def keeping(
    root: Path, kind: type[Keeper] = Keeper, is_gone: Callable[[], bool] = lambda: False
) -> Iterator[Any]:
    """Yield the handle of a keeper of this folder's states; it is ended after the block, with what it has at hand done.

    It runs on the driver's node. Where its process dies Ray begins it again, and the calls that it left unanswered; but
    not those that are made every second: Ray says of each that was under way at an interruption that it is tried again.

    Args:
        root: the results folder.
        kind: what runs there.
        is_gone: whether Ray is, so that there is nothing to end.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options: dict[str, Any] = {
        "num_cpus": 0,
        "max_restarts": -1,
        "max_task_retries": -1,
        "max_concurrency": AT_ONCE,
        "concurrency_groups": {"awake": 1},
        "scheduling_strategy": here,
    }
    keeper = ray.remote(**options)(kind).remote(str(root.resolve()))
    try:
        yield keeper
    except BaseException:
        if not is_gone():
            ray.kill(keeper)
        raise
    with suppress(ray.exceptions.RayError):
        ray.get(keeper.close.remote(), timeout=CLOSES_WITHIN_S)
    ray.kill(keeper)
