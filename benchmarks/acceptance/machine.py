"""Steps that look at the machine, and those that run tests of the repository."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from xml.etree import ElementTree

from acceptance.given import ROOT, Given
from acceptance.outcome import Criterion, LeftOutError, judged
from distrecvae.search.doctor import gpu

PACKAGES = ("distrecvae", "torch", "triton", "numpy", "scipy", "ray", "optuna", "pytest")
TRITON_TESTS = ROOT / "tests" / "kernels" / "triton"
SOFT_TESTS = ("tests/training/test_device.py",)
"""What of the tests marked `cuda` is run on the soft device here: the default suite runs them all there."""


def nvidia_smi(*query: str) -> list[str]:
    """Return nvidia-smi's answer on the GPU in use, a line a row; nothing where it is not installed."""
    number = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0] or "0"
    command = ["nvidia-smi", "-i", number, *query, "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if not done.returncode else []


def memory_mib(what: str) -> int | None:
    """Return the GPU's memory that is "used", or the "total", in MiB; None where that is not known."""
    rows = nvidia_smi(f"--query-gpu=memory.{what}")
    return int(rows[0]) if rows and rows[0].isdigit() else None


def facts() -> dict[str, str]:
    """Return what the machine is and what is installed, for the results' page."""
    found = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
    }
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    rows = nvidia_smi("--query-gpu=name,driver_version,memory.total,power.limit,clocks.max.sm")
    found["GPU (name, driver, MiB, W, MHz)"] = rows[0] if rows else "nvidia-smi does not answer"
    found["Python"] = platform.python_version()
    return found


def versions(_: Given) -> Iterator[Criterion]:
    """Say what there is; hold the GPU to bfloat16 that is right."""
    for name, text in facts().items():
        yield Criterion(name, text)
    yield judged(gpu.of_device(), "a GPU whose bfloat16 is as exact as its rounding")


def doctor(given: Given) -> Iterator[Criterion]:
    """Hold the machine to what `distrecvae doctor` asks of it."""
    if importlib.util.find_spec("ray") is None:
        raise LeftOutError("Ray is not installed")
    from distrecvae.search.doctor.doctor import examine

    for finding in examine(None):
        text = finding.text if finding.remedy is None else f"{finding.text}; {finding.remedy}"
        # On the soft device the rest of this machine is not what is tried.
        if given.soft and finding.subject not in ("GPUs", "Ray"):
            yield Criterion(finding.subject, text)
        else:
            yield Criterion(finding.subject, text, "nothing to mend", finding.remedy is None)


def cuda_tests(given: Given) -> Iterator[Criterion]:
    """Run the repository's tests that are marked `cuda`: none fails and none is skipped."""
    marked = sorted(
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("test_*.py")
        if "mark.cuda" in path.read_text(encoding="utf-8")
    )
    files = SOFT_TESTS if given.soft else tuple(marked)
    yield from _pytest(files, given.work / "cuda.xml", "-m", "cuda", may_skip=False)


def triton_tests(given: Given) -> Iterator[Criterion]:
    """Run the tests of the Triton kernels: none fails."""
    if not TRITON_TESTS.is_dir():
        raise LeftOutError("there are no Triton kernels here")
    if given.soft:
        raise LeftOutError("needs a GPU; the default suite interprets the kernels without one")
    if importlib.util.find_spec("triton") is None:
        raise LeftOutError("Triton is not installed")
    yield from _pytest((str(TRITON_TESTS.relative_to(ROOT)),), given.work / "triton.xml", may_skip=True)


def _pytest(files: tuple[str, ...], report: Path, *options: str, may_skip: bool) -> Iterator[Criterion]:
    for name in ("pytest", "hypothesis"):
        if importlib.util.find_spec(name) is None:
            raise LeftOutError(f"{name} is not installed")
    command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=--import-mode=importlib -ra", *options]
    command += ["-p", "no:cacheprovider", f"--junitxml={report}", *files]
    status = subprocess.run(command, cwd=ROOT, check=False, stdin=subprocess.DEVNULL).returncode
    if not report.exists():
        raise RuntimeError(f"pytest ended with status {status} and no report; see the log")
    counts = counted(report)
    text = ", ".join(f"{number} {name}" for name, number in counts.items())
    bad = counts["failed"] + (0 if may_skip else counts["skipped"])
    wanted = "none failed, some run" if may_skip else "none failed, none skipped, some run"
    yield Criterion("tests", text, wanted, not bad and counts["run"] > 0 and status == 0, counts)


def counted(report: Path) -> dict[str, int]:
    """Return how many tests a JUnit report has: run, failed (or broken), skipped."""
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))  # noqa: S314  (pytest wrote it)

    def total(*names: str) -> int:
        return sum(int(suite.get(name, 0)) for suite in suites for name in names)

    return {
        "run": total("tests") - total("skipped"),
        "failed": total("failures", "errors"),
        "skipped": total("skipped"),
    }
