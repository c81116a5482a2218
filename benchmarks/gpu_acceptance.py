"""Is the GPU path right and fast on this GPU? One command; meant to take less than 8 minutes.

    python benchmarks/gpu_acceptance.py --data data/ml-1m --out benchmarks/results/DATE-gpu-acceptance

Each step runs in its own process, under its own time limit, and notes what it finds as it goes. What cannot
be run (no Ray, no pytest, no data) is left out and named; with --require-all that is a failure, too. The exit status
is 1 where a step failed. --soft runs everything at a small shape on the soft device of tests/soft_cuda, Ray's workers
included, and times nothing: so this script is tested where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from acceptance import machine, searching, speed, trainings
from acceptance.given import ROOT, Given, pack
from acceptance.outcome import LEFT_OUT, PASSED, Criterion, LeftOutError, Outcome, is_over, note, read, table

from distrecvae.errors import ResourceError
from distrecvae.search.doctor.gpu import require_gpu

SPARE_MIB = 64
"""What others may take of the GPU meanwhile; a process that is left has a context of several hundred."""


class Step(NamedTuple):
    """A step, and the seconds that it may take."""

    run: Callable[[Given], Iterator[Criterion]]
    limit_s: float


STEPS = {
    "versions": Step(machine.versions, 40),
    "doctor": Step(machine.doctor, 60),
    "cuda-tests": Step(machine.cuda_tests, 150),
    "waits": Step(trainings.waits, 60),
    "states": Step(trainings.states, 90),
    "speed": Step(speed.speed, 90),
    "memory": Step(trainings.memory, 90),
    "quality": Step(trainings.quality, 120),
    "evaluation": Step(trainings.evaluation, 60),
    "search": Step(searching.search, 120),
    "faults": Step(searching.faults, 120),
    "triton-tests": Step(machine.triton_tests, 90),
}


def carry_out(name: str, given: Given, notes: Path) -> None:
    """Run a step in this process and note what it finds."""
    try:
        with given.device():
            if not given.soft:
                require_gpu()
            for criterion in STEPS[name].run(given):
                note(notes, criterion)
                print(f"{criterion.what}: {criterion.found}", flush=True)
        end, why = PASSED, ""
    except LeftOutError as left_out:
        end, why = LEFT_OUT, str(left_out)
    except Exception as error:
        traceback.print_exc()
        end, why = "failed", f"{type(error).__name__}: {error}"
    note(notes, {"end": end, "why": why})


def run_step(name: str, options: argparse.Namespace, work: Path, log: Path) -> Outcome:
    """Run a step in a process of its own; at its time limit it is killed with all that it started."""
    notes, folder = work / f"{name}.jsonl", work / name
    folder.mkdir()
    command = [sys.executable, __file__, "--step", name, "--notes", str(notes), "--work", str(folder)]
    command += ["--soft"] if options.soft else []
    command += ["--data", str(options.data)] if options.data is not None else []
    paths = [str(ROOT), str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    limit_s = STEPS[name].limit_s * options.patience
    started, ended = time.monotonic(), "its process ended before the step did; see the log"
    before = machine.memory_mib("used")
    with log.open("a", encoding="utf-8") as file:
        file.write(f"\n== {name}\n")
        file.flush()
        process = subprocess.Popen(
            command, env=environment, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(limit_s)
            duration_s = time.monotonic() - started
            if before is not None:
                note(notes, left_on_the_gpu(before))
        except subprocess.TimeoutExpired:
            ended, duration_s = f"not over after {limit_s:g} s", limit_s
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return read(notes, name, duration_s, ended)


def left_on_the_gpu(before_mib: int) -> Criterion:
    """Return what a step whose process has ended left of its memory on the GPU."""
    until = time.monotonic() + searching.CLEAR_S
    while (now := machine.memory_mib("used") or 0) > before_mib + SPARE_MIB and time.monotonic() < until:
        time.sleep(0.5)
    holds = now <= before_mib + SPARE_MIB
    return Criterion(
        "memory after it", f"{now:,} MiB in use, {before_mib:,} before", "what was before", holds
    )


def write(folder: Path, outcomes: list[Outcome], command: str, accepted: bool) -> None:
    """Write acceptance.json and README.md."""
    about = {"command": command, "accepted": accepted, "machine": machine.facts()}
    document = {**about, "steps": [asdict(outcome) for outcome in outcomes]}
    (folder / "acceptance.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    lines = [
        f"# Is the GPU path right and fast on this GPU? {time.strftime('%Y-%m-%d')}",
        "",
        f"    {command}",
        "",
    ]
    lines += [f"{name}: {text}  " for name, text in machine.facts().items()]
    verdict = "No step that ran failed" if accepted else "Not accepted"
    left_out = [outcome.step for outcome in outcomes if outcome.status == LEFT_OUT]
    lines += ["", verdict + (f"; left out: {', '.join(left_out)}." if left_out else "."), "", table(outcomes)]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, help="folder for README.md, acceptance.json and log.txt; it must be new"
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="MovieLens-1M as `distrecvae prepare --held-out-users 600` wrote it, or packed",
    )
    parser.add_argument(
        "--pack", type=Path, metavar="FILE.npz", help="write --data as what a bare GPU box can read, and end"
    )
    parser.add_argument("--soft", action="store_true", help="on the soft device, small, nothing timed")
    parser.add_argument("--only", nargs="+", choices=STEPS, metavar="STEP", help=f"of {', '.join(STEPS)}")
    parser.add_argument("--require-all", action="store_true", help="what is left out has failed")
    parser.add_argument(
        "--patience", type=float, default=1.0, help="times the steps' limits, on a busy machine"
    )
    for internal in ("--step", "--notes", "--work"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step is not None:
        carry_out(options.step, Given(options.soft, options.data, Path(options.work)), Path(options.notes))
        return 0
    if options.pack is not None:
        pack(Given(False, options.data, Path()).split(), options.pack)
        return 0
    try:
        if not options.soft:
            require_gpu()
    except ResourceError as error:
        parser.error(f"{error}; --soft tries the script alone")
    out = options.out or Path(tempfile.mkdtemp(prefix="gpu-acceptance-"))
    if out.exists() and any(out.iterdir()):
        parser.error(f"{out} is not empty; a result is never edited: name a new folder")
    out.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="accept"))
    outcomes: list[Outcome] = []
    try:
        for name in options.only or STEPS:
            outcomes.append(run_step(name, options, work, out / "log.txt"))
            print(
                f"{outcomes[-1].status:8}  {name:12} {outcomes[-1].duration_s:4.0f} s  {outcomes[-1].why}",
                flush=True,
            )
    finally:
        shutil.rmtree(work, ignore_errors=True)
    accepted = is_over(outcomes, require_all=options.require_all)
    write(out, outcomes, f"python {shlex.join(sys.argv)}", accepted)
    print(f"{'accepted' if accepted else 'not accepted'}; see {out / 'README.md'}")
    return 0 if accepted else 1


if __name__ == "__main__":
    sys.exit(main())
