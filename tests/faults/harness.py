"""A search under faults: injects them at seeded moments, continues where the driver died, compares with no faults."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import psutil
from ray._common.utils import get_system_memory
from ray._private.utils import get_used_memory

from distrecvae.errors import LOST
from distrecvae.search.core.ledger import read_records
from distrecvae.search.core.study import SECONDS_KEY, as_optuna_has_it
from distrecvae.storage.working_copy import AGREED_FILE
from tests import HANGS_AFTER_S
from tests.results import lines_of, n_reports, scores
from tests.s3 import BUCKET, S3
from tests.sites import SEAM, Site, ray_folder

TIMES = ["duration_s", "train_s", "evaluate_s"]
# One worker: only then is the order of reports, and with it the whole course of the search, determined.
SETTINGS = ("--max-passes", "24", "--min-passes", "4", "--concurrent", "1", "--checkpoint-every", "0.05")
MEMORY_ROOM = 0.4
"""Share of the free memory that may be used, once a search has started, before Ray's memory monitor stops workers: what
else runs on the machine takes some, too."""

HOG = """
import time
held = []
while True:
    available = next(line for line in open("/proc/meminfo") if line.startswith("MemAvailable:"))
    if int(available.split()[1]) > 2_000_000:  # kB: with less the kernel ends processes, and not Ray
        held.append(bytearray(b"x") * 100_000_000)
    time.sleep(0.02)
"""


@dataclass(frozen=True)
class Fault:
    """What happens once so many reports are written, and a moment later."""

    kind: str
    after_reports: int
    delay_s: float = 0.0


@dataclass
class Storm:
    """One search with faults.

    Attributes:
        site: where it runs.
        name: its results folder, relative to the site.
        options: of its command line.
        s3: where it is mirrored, under its name; None for nowhere.
        injected: the faults that found a search under way.
        recovered_s: for each of them, the time to the next report (or the search's end).
        shared_bytes: the most shared memory that its processes held.
    """

    site: Site
    name: str
    options: tuple[str, ...]
    s3: S3 | None = None
    injected: list[Fault] = field(default_factory=list)
    recovered_s: list[float] = field(default_factory=list)
    shared_bytes: int = 0

    def __post_init__(self) -> None:
        plain = self.name.replace("/", "-")
        self.seam = self.site.folder / f"seam-{plain}"
        self.seam.mkdir()
        self.output = self.site.folder / f"{plain}.out"
        self._said_before = 0
        self._memory_monitored = False
        self._draw = random.Random(self.name)  # noqa: S311
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"s3://{BUCKET}/{self.name}"

    @property
    def folder(self) -> Path:
        return self.site.folder / self.name

    @property
    def driver(self) -> psutil.Process:
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def run(self, faults: list[Fault], around: Callable[[Fault], None] | None = None) -> None:
        """Run the search to its end through all faults; `around` injects the kinds that are not known here."""
        self._memory_monitored = any(fault.kind == "memory" for fault in faults)
        self._start()
        try:
            for fault in sorted(faults, key=lambda fault: fault.after_reports):
                if not self._reached(fault.after_reports):
                    break
                time.sleep(fault.delay_s)
                self._note_memory()
                inject = getattr(self, f"_{fault.kind.replace('-', '_')}", None)
                before, started = n_reports(self.folder), time.monotonic()
                if self._alive():
                    self.injected.append(fault)
                    if inject is not None:
                        inject()
                    elif around is not None:
                        around(fault)
                if not self._alive() and self._code() != 0:
                    self._start()
                self._reached(before + 1)
                self.recovered_s.append(time.monotonic() - started)
            self._finish()
            said = self.output.read_text(errors="replace")
            assert "Traceback" not in said, said
        finally:
            self._kill()

    def _start(self) -> None:
        begun = (self.folder / "search.json").exists() or f"{self.name}/search.json" in (
            self.s3.objects() if self.s3 is not None else ()
        )
        resume = ("--resume",) if begun else ()
        out = ("--out", self.name) if self.s3 is None else ("--out", self.uri, "--working-copy", self.name)
        self._said_before = self.output.stat().st_size if self.output.exists() else 0
        path = os.pathsep.join(filter(None, (str(SEAM), os.environ.get("PYTHONPATH"))))
        monitored = {}
        if self._memory_monitored:
            used = get_used_memory() / get_system_memory()
            monitored["RAY_memory_usage_threshold"] = f"{used + MEMORY_ROOM * (1 - used):.4f}"
        typed = self.site.arguments(*SETTINGS, *self.options, *out, *resume)
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                ["impatient" if word == "distrecvae.search" else word for word in typed],
                cwd=self.site.folder,
                env={
                    **self.site.environment(),
                    **monitored,
                    "FAULT_SEAM": str(self.seam),
                    "PYTHONPATH": path,
                },
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _code(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    def _kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _reached(self, reports: int) -> bool:
        """Wait for so many reports; return False if the search is over before."""
        deadline = time.monotonic() + HANGS_AFTER_S
        while n_reports(self.folder) < reports:
            if not self._alive():
                if self._code() == 0:
                    return False
                # The reaction to the fault before may come late: the driver of a node that died.
                self._expect({LOST, 130})
                self._start()
            assert time.monotonic() < deadline, f"no progress beyond {n_reports(self.folder)} reports"
            time.sleep(0.01)
        return self._alive()

    def _finish(self) -> None:
        deadline = time.monotonic() + HANGS_AFTER_S
        while True:
            while self._alive():
                assert time.monotonic() < deadline, "the search does not end"
                time.sleep(0.05)
            if self._code() == 0:
                return
            self._expect({LOST, 130})
            self._start()

    def _expect(self, codes: set[int], words: str = "--resume") -> None:
        """Wait for the driver's end; it must end so, soon, and say how to continue. It may have reached its own end."""
        assert self._process is not None
        try:
            self._process.wait(HANGS_AFTER_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not over after {HANGS_AFTER_S} s") from None
        said = self.output.read_bytes()[self._said_before :].decode(errors="replace")
        if self._code() == -signal.SIGTERM and not said:
            return  # sent to a Python that had not come to the program yet: there is nobody who could say anything
        if self._code() == -signal.SIGTERM and self._all_ended():
            return  # sent while Ray was left, which takes a handler away, or to a Python at its end: all was written
        assert self._code() in codes | {0}, f"exit status {self._code()}: {said}"
        assert self._code() == 0 or words in said or said.endswith("interrupted\n"), said
        assert "Traceback" not in said, said

    def _ended(self) -> set[int]:
        return {line["trial"] for line in lines_of(self.folder) if line["kind"] == "ended"}

    def _all_ended(self) -> bool:
        return len(self._ended()) >= int(self.options[self.options.index("--trials") + 1])

    def _note_memory(self) -> None:
        with suppress(psutil.Error, OSError):
            family = [self.driver, *self.driver.children(recursive=True)]
            self.shared_bytes = max(self.shared_bytes, sum(shared_bytes(p.pid) for p in family))

    # The faults, each named as in `Fault.kind`.

    def workers(self) -> list[psutil.Process]:
        """Wait for a worker and return all there are; on a cluster, dying ones of a dead driver among them."""
        deadline = time.monotonic() + HANGS_AFTER_S
        while self._alive() and time.monotonic() < deadline:
            with suppress(psutil.Error):
                found = [p for p in descendants_or_cluster(self.driver) if is_worker(p)]
                if found:
                    return found
            time.sleep(0.02)
        return []

    def _worker(self) -> None:
        for victim in self.workers():
            with suppress(psutil.NoSuchProcess):
                victim.kill()

    def _keeper(self) -> None:
        """Kill the process that keeps the trials' states."""
        for victim in self._keepers():
            with suppress(psutil.NoSuchProcess):
                victim.kill()

    def _keepers(self) -> list[psutil.Process]:
        with suppress(psutil.Error):
            return [p for p in descendants_or_cluster(self.driver) if "ray::Keeper" in command_of(p)]
        return []

    def _keeping(self) -> None:
        """Kill it while it writes a state."""
        with self._while_a_state_is_written():
            self._keeper()

    def _hung_keeper(self) -> None:
        """Stop it: it is killed, and restarted."""
        victims = self._keepers()
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.suspend()
        self._until(lambda: not any(victim.is_running() for victim in victims))

    def _two_at_once(self) -> None:
        """Kill the worker and the keeper, at the same moment, while a state is written."""
        with self._while_a_state_is_written():
            self._keeper()
            self._worker()

    def _checkpointing(self) -> None:
        """Kill a worker while its checkpoint is written."""
        with self._while_a_state_is_written():
            self._worker()

    @contextmanager
    def _while_a_state_is_written(self) -> Iterator[None]:
        """Wait for that moment; slow storage makes it long enough to hit."""
        with self.slow(0.3):
            deadline = time.monotonic() + HANGS_AFTER_S
            while self._alive() and time.monotonic() < deadline:
                if any(self.folder.glob("trials/*/.state.safetensors.*.part")):
                    break
                time.sleep(0.002)
            yield

    def _garbled(self) -> None:
        """Damage the running trial's checkpoint, then kill its worker, which would replace it.

        An ended trial's is left alone: nothing would write it again, and what rests on it would be another.
        """
        victims = self.workers()
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.suspend()
        with suppress(FileNotFoundError, ValueError):
            found = self.folder.glob("trials/*/state.safetensors")
            ended = self._ended()
            running = [path for path in found if int(path.parent.name) not in ended]
            path = max(running, key=lambda p: p.stat().st_mtime)
            content = bytearray(path.read_bytes())
            how = self._draw.choice(("cut", "flip", "empty"))
            if how == "cut":
                content = content[: self._draw.randrange(len(content))]
            elif how == "flip":
                content[self._draw.randrange(len(content))] ^= 1 << self._draw.randrange(8)
            path.write_bytes(content if how != "empty" else b"")
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.kill()

    def _hung(self) -> None:
        """Stop a worker: it is named, killed, and its trial run again."""
        victims = self.workers()
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.suspend()
        self._until(lambda: not any(victim.is_running() for victim in victims))

    def _memory(self) -> None:
        """Take memory until Ray's monitor stops a worker; slow storage keeps the search from its end till then.

        Not before there is a worker: CI hung where a search that had just been resumed found no memory to start Ray in.
        """
        if not self.workers():
            return
        before = self.output.read_bytes().count(b"memory ran out")
        with self.slow(0.3), subprocess.Popen([sys.executable, "-c", HOG], stdin=subprocess.PIPE) as hog:
            self._until(lambda: self.output.read_bytes().count(b"memory ran out") > before)
            hog.kill()

    def _stopped_driver(self) -> None:
        """Stop the driver for longer than a worker may be silent; nobody is to be blamed for it."""
        self.driver.suspend()
        time.sleep(45.0)
        self.driver.resume()

    def _stopped_raylet(self) -> None:
        for process in self.driver.children():
            with suppress(psutil.Error):
                if "raylet/raylet" in " ".join(process.cmdline()[:1]):
                    process.suspend()
        self._expect({LOST})

    def wait_for_words(self, words: str, seconds: float) -> None:
        """Wait until the search has said these words once more, or so long."""
        before, deadline = self.output.read_text(errors="replace").count(words), time.monotonic() + seconds
        while self._alive() and time.monotonic() < deadline:
            if self.output.read_text(errors="replace").count(words) > before:
                return
            time.sleep(0.02)

    def wait_for_reports(self, more: int) -> None:
        """Wait until so many more reports are written, or the search is over."""
        reports = n_reports(self.folder) + more
        self._until(lambda: n_reports(self.folder) >= reports)

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + HANGS_AFTER_S
        while self._alive() and not condition():
            assert time.monotonic() < deadline, "what was to follow did not"
            time.sleep(0.05)

    def _driver(self) -> None:
        self._kill()
        # Its workers live a moment longer; the next search begins beside them.

    def _store_gone(self) -> None:
        """Let the object store be gone until the search has said so; it continues, and catches up."""
        assert self.s3 is not None
        with self._said_and_mended():
            self.s3.stop()
            try:
                self._until(self._mirror_failed)
            finally:
                self.s3.start()

    def _store_fails(self) -> None:
        """Let the object store answer each request with an error until the search has said so."""
        assert self.s3 is not None
        with self._said_and_mended():
            self.s3.answer = (503, b"")
            try:
                self._until(self._mirror_failed)
            finally:
                self.s3.answer = None

    @contextmanager
    def _said_and_mended(self) -> Iterator[None]:
        """Wait until the search has said that its mirror works again: a head that goes sooner says nothing more."""
        with self.slow(0.1):  # the search must not be over meanwhile
            yield
            self._until(lambda: not self._mirror_failed())

    def _mirror_failed(self) -> bool:
        said = self.output.read_bytes()
        return said.count(b"Not mirrored for now") > said.count(b"Mirrored again at")

    def _head_gone(self) -> None:
        """Kill the driver and take its disk along: a later one continues from the mirror, on another."""
        assert self.s3 is not None
        self._kill()
        shutil.rmtree(self.folder)

    def _ray(self) -> None:
        kill_parts(self.driver, ("gcs/gcs_server", "raylet/raylet"))
        self._expect({LOST})

    def _head(self) -> None:
        kill_parts(self.driver, ("gcs/gcs_server",))
        self._expect({LOST})

    def _raylet(self) -> None:
        kill_parts(self.driver, ("raylet/raylet",))
        self._expect({LOST})

    def _sigterm_all(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGTERM)
        self._expect({130})

    def _sigterm_each(self) -> None:
        """SIGTERM to every process, as to a control group: Ray may end the driver before it has ended the search."""
        for process in [self.driver, *self.driver.children(recursive=True)]:
            with suppress(psutil.Error):
                process.terminate()
        self._expect({1, 130})

    def _ctrl_c(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGINT)
        self._expect({130})

    def _ctrl_c_twice(self) -> None:
        assert self._process is not None
        for _ in range(2):
            os.killpg(self._process.pid, signal.SIGINT)
            time.sleep(0.05)
        self._expect({130})

    def _slow_storage(self) -> None:
        with self.slow(0.2):
            time.sleep(2.0)

    def _refused(self) -> None:
        """The storage fails once: the driver ends with one line, and a later one continues."""
        (self.seam / "refuse").write_text(self._draw.choice(("EIO", "ENOSPC", "ESTALE", "EROFS")))
        try:
            self._expect({2})
        finally:
            (self.seam / "refuse").unlink()

    def _full(self) -> None:
        """Fill the file system of the results (a small one of its own) to the last byte."""
        filler = self.folder.parent / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
        with suppress(OSError), filler.open("ab", buffering=0) as file:
            while True:
                file.write(b"x")
        try:
            self._expect({2})
        finally:
            filler.unlink()

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Let every file that is to last take so long during the block."""
        (self.seam / "slow").write_text(str(seconds))
        try:
            yield
        finally:
            (self.seam / "slow").unlink()


def is_worker(process: psutil.Process) -> bool:
    return any(name in command_of(process) for name in ("ray::ImplicitFunc", "ray::trainable"))


def command_of(process: psutil.Process) -> str:
    """Return a process's command line; nothing of one that is gone."""
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else " ".join(process.cmdline())
    except psutil.Error:
        return ""


def descendants_or_cluster(driver: psutil.Process) -> list[psutil.Process]:
    """Return a driver's descendants; where it joined a cluster, all processes of that."""
    try:
        own = driver.children(recursive=True)
    except psutil.Error:
        return []
    return own if own else our_processes()


def our_processes() -> list[psutil.Process]:
    """Return the living processes that have our Ray folder in their environment, this one not counted."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            ours = process.environ().get("RAY_TMPDIR") == str(ray_folder())
            if ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def kill_parts(driver: psutil.Process, names: tuple[str, ...]) -> None:
    for process in driver.children(recursive=True):
        with suppress(psutil.Error):
            if any(name in " ".join(process.cmdline()[:1]) for name in names):
                process.kill()


def shared_bytes(pid: int) -> int:
    """Return a process's share of shared memory."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss_Shmem:"):
            return int(line.split()[1]) * 1024
    return 0


def trials(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "trials.parquet").drop(columns=TIMES, errors="ignore")


def history(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "history.parquet").drop(columns=TIMES, errors="ignore")


def sampler_records(folder: Path) -> list[tuple[object, ...]]:
    """Return what the sampler and the stopping rules read, the clock's apart: suggestions, running bests, outcomes."""
    trials = list(map(as_optuna_has_it, read_records(folder, "valid/ndcg_100").values()))
    for trial in trials:
        trial.user_attrs = {key: value for key, value in trial.user_attrs.items() if key != SECONDS_KEY}
    return [
        (t.number, t.state, t.value, t.params, t.intermediate_values, t.user_attrs, t.system_attrs)
        for t in trials
    ]


def assert_nothing_lost(folder: Path, undisturbed: Path) -> None:
    """Hold a search's results against those of one without faults."""
    table, points = trials(folder), history(folder)
    assert table["trial"].tolist() == list(range(len(table))), "a trial is missing or there twice"
    assert not points.duplicated(["trial", "passes"]).any(), "a report is there twice"
    pd.testing.assert_frame_equal(table, trials(undisturbed))
    pd.testing.assert_frame_equal(points, history(undisturbed))
    assert sampler_records(folder) == sampler_records(undisturbed)
    assert scores(folder) == scores(undisturbed)
    config = "best/config.json"
    assert json.loads((folder / config).read_text()) == json.loads((undisturbed / config).read_text())
    assert (folder / "best/model.safetensors").read_bytes() == (
        undisturbed / "best/model.safetensors"
    ).read_bytes()
    here, there = (
        {
            p.relative_to(f).as_posix()
            for p in f.rglob("*")
            if "tfevents" not in p.name and p.name != AGREED_FILE
        }
        for f in (folder, undisturbed)
    )
    assert here == there, f"half-written, superfluous or missing: {sorted(here ^ there)[:5]}"


def assert_no_orphans(*, within_s: float = HANGS_AFTER_S) -> None:
    """Wait for every process of the searches to go; what remains is an orphan."""
    deadline = time.monotonic() + within_s
    while left := our_processes():
        assert time.monotonic() < deadline, [" ".join(p.cmdline())[:120] for p in left]
        time.sleep(0.2)
