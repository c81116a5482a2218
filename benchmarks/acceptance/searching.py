"""Steps that search on Ray, several trials on one GPU: a worker is killed; three trials fail as GPUs make them."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acceptance import worker
from acceptance.given import SOFT_BYTES, Given
from acceptance.machine import memory_mib
from acceptance.outcome import Criterion, LeftOutError

if TYPE_CHECKING:
    import psutil

TRIALS, SHARE = 12, 0.25
FAULTY_TRIALS, FAULTY_SHARE = 7, 0.05
RETRIES = 1
"""How often a trial whose process ends is run again here: once shows as much as three times."""
CLEAR_S = 10.0
"""How long Ray's processes may take to be gone."""
SPACE = {"parameters": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-3, "log": True}}}


def search(given: Given) -> Iterator[Criterion]:
    """Search with four trials on the GPU at once; the worker of one is killed."""
    with _ray(given, cpus=2 if given.soft else 4) as processes:
        memory, killed = Memory(), Kill(given.work / "search", processes)
        with memory, killed:
            result = _search(given, given.work / "search", TRIALS, SHARE, concurrent=None)
        seen = processes()
    statuses = [str(status) for status in result.trials["status"]]
    ended = f"{statuses.count('finished')} of {len(statuses)} finished"
    yield Criterion("trials", ended, f"{TRIALS} finished", statuses == ["finished"] * TRIALS)
    yield Criterion("killed", f"{len(killed.pids)} worker", "1 worker", len(killed.pids) == 1)
    yield from memory.criteria()
    yield from _left(seen)


def faults(given: Given) -> Iterator[Criterion]:
    """Search one trial at a time; three of them fail: beyond the share, out of memory, an assertion on the device."""
    os.environ[worker.FAULTS] = str(given.work)
    try:
        with _ray(given, cpus=1):
            from distrecvae.search.core import conductor
            from distrecvae.search.on_ray import callbacks, tuning

            for module in (conductor, callbacks, tuning):
                vars(module)["RETRIES"] = RETRIES
            share = SHARE if given.soft else FAULTY_SHARE
            result = _search(given, given.work / "search", FAULTY_TRIALS, share, concurrent=1)
    finally:
        del os.environ[worker.FAULTS]
    rows = {int(row["trial"]): row for _, row in result.trials.iterrows()}
    failed = sorted(number for number, row in rows.items() if str(row["status"]) != "finished")
    planted = [worker.BEYOND_SHARE, worker.OUT_OF_MEMORY, worker.ASSERTS]
    yield Criterion("failed", f"trials {failed} of {len(rows)}", f"trials {planted} of {FAULTY_TRIALS}",
                    failed == planted and len(rows) == FAULTY_TRIALS)  # fmt: skip
    for number, sign in (
        (worker.BEYOND_SHARE, "its share of"),
        (worker.OUT_OF_MEMORY, "out of memory"),
        (worker.ASSERTS, "device-side assert"),
    ):
        reason = str(rows[number]["reason"])
        yield Criterion(f"trial {number}", reason, f"... {sign} ...", sign in reason)
    ran = _processes(given.work / "processes.jsonl")
    full, asserting = worker.OUT_OF_MEMORY, worker.ASSERTS
    same = ran[full + 1] == ran[full]
    text = f"trial {full} in {sorted(ran[full])}, trial {full + 1} in {sorted(ran[full + 1])}"
    yield Criterion("after it ran out of memory", text, "the same process goes on", same)
    apart = len(ran[asserting]) == RETRIES + 1 and not ran[asserting] & ran[asserting + 1]
    text = f"trial {asserting} in {sorted(ran[asserting])}, trial {asserting + 1} in {sorted(ran[asserting + 1])}"
    yield Criterion("after the assertion", text, "a process a try, and another one goes on", apart)
    yield Criterion(
        "refused", f"ran in {sorted(ran[worker.BEYOND_SHARE])}", "nowhere", not ran[worker.BEYOND_SHARE]
    )


def _processes(path: Path) -> dict[int, set[int]]:
    ran: dict[int, set[int]] = {number: set() for number in range(FAULTY_TRIALS)}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        ran[entry["trial"]].add(entry["process"])
    return ran


@contextmanager
def _ray(given: Given, cpus: int) -> Iterator[Callable[[], list[psutil.Process]]]:
    """Start Ray with one GPU, each of its workers set up; yield what lists its processes.

    Raises:
        LeftOutError: Ray is not installed.
    """
    for name in ("ray", "psutil", "pandas"):
        if importlib.util.find_spec(name) is None:
            raise LeftOutError(f"{name.replace('ray', 'Ray')} is not installed")
    import psutil
    import ray

    from distrecvae.search.on_ray import session

    if given.soft:
        os.environ[worker.SOFT] = str(SOFT_BYTES)
    for name, value in session.__dict__["_ENVIRONMENT"].items():
        os.environ.setdefault(name, value)
    place = Path(tempfile.mkdtemp(prefix="acc"))  # short: a socket's path has 107 bytes
    os.environ["RAY_TMPDIR"] = str(place)
    try:
        ray.init(
            num_cpus=cpus, num_gpus=1, include_dashboard=False, log_to_driver=False, configure_logging=False,
            runtime_env={"worker_process_setup_hook": "acceptance.worker.set_up"},
        )  # fmt: skip
        yield lambda: psutil.Process().children(recursive=True)
    finally:
        ray.shutdown()
        shutil.rmtree(place, ignore_errors=True)


def _search(given: Given, out: Path, trials: int, share: float, concurrent: int | None) -> Any:
    from distrecvae.api.searching import search as search_
    from distrecvae.data.io import save_dataset
    from distrecvae.data.synthetic import synthetic_split

    users, items, held_out = (150, 80, 25) if given.soft else (6000, 3600, 600)
    split = synthetic_split(n_users=users, n_items=items, seed=1, held_out_users=held_out)
    save_dataset(split, given.work / "data", {"source": "synthetic"})
    sizes = {"hidden_dim": 24, "latent_dim": 8, "batch_size": 50} if given.soft else {"batch_size": 500}
    return search_(
        given.work / "data", space={**SPACE, "fixed": sizes}, trials=trials, gpus_per_trial=share,
        concurrent=concurrent, max_passes=8 if given.soft else 80, scheduler="none", sampler="random", out=out,
        checkpoint_every=0.2,
    )  # fmt: skip


class Repeated:
    """Does something every so often beside what runs inside `with`."""

    every_s = 0.2

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def look(self) -> None:
        """Do it once."""

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self.every_s):
            self.look()


class Memory(Repeated):
    """Samples the GPU's memory in use, as nvidia-smi tells it: MiB."""

    def __init__(self) -> None:
        super().__init__()
        self.peak, self.total = memory_mib("used"), memory_mib("total")

    def look(self) -> None:
        """Take a sample."""
        now = memory_mib("used")
        if now is not None:
            self.peak = max(self.peak or 0, now)

    def criteria(self) -> Iterator[Criterion]:
        """Yield what the samples say."""
        if self.peak is None or self.total is None:
            yield Criterion("memory", "left out: there is no nvidia-smi to ask")
            return
        text = f"{self.peak:,} MiB of {self.total:,} MiB at most"
        yield Criterion("memory", text, "never all of it", self.peak < self.total, {"peak_mib": self.peak})


class Kill(Repeated):
    """Kills the worker of a trial once there are reports."""

    def __init__(self, results: Path, processes: Callable[[], list[psutil.Process]]) -> None:
        super().__init__()
        self._ledger, self._processes = results / "ledger.jsonl", processes
        self.pids: list[int] = []

    def look(self) -> None:
        """Look whether it is time to, and do it once."""
        if self.pids or not self._ledger.exists() or b'"report"' not in self._ledger.read_bytes():
            return
        import psutil

        for process in self._processes():
            with suppress(psutil.Error):
                if "ImplicitFunc" in " ".join(process.cmdline()):
                    os.kill(process.pid, signal.SIGKILL)
                    self.pids.append(process.pid)
                    return


def _left(seen: list[psutil.Process]) -> Iterator[Criterion]:
    """Yield what is left of Ray's processes some seconds after the end; of memory, the script looks after each step."""
    until = time.monotonic() + CLEAR_S
    while time.monotonic() < until and any(process.is_running() for process in seen):
        time.sleep(0.1)
    alive = sum(process.is_running() for process in seen)
    yield Criterion(
        "left after it",
        f"{alive} of {len(seen)} processes after {CLEAR_S:g} s",
        "none",
        not alive and bool(seen),
    )
