"""Plant faults of the GPU path in copies of the package, one at a time, and see which soft-device test finds each.

    python benchmarks/planted_gpu_faults.py --out benchmarks/results/DATE-planted-gpu-faults

The faults are those that an audit found before any GPU had run this code, or of their kind: `FAULTS` has them, each a
text of a module and what stands in its place. A copy of the package and its tests gets one; the tests that run on the
soft device (tests/soft_cuda) run there until one fails, the module's own first. What is not found shows a test that is
missing. Without a fault all of them pass, which is seen first.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("distrecvae", "tests", "benchmarks", "pyproject.toml")
FIXTURES = {"soft_device", "cuda_device"}
HANGS_S = 1800
WHOLE = "tests/whole/test_gpu.py"
INSIDE = "--inside"
FOUND = "found by "
"""What begins the line that says which test failed."""


class Fault(NamedTuple):
    """A change of the package's text.

    Attributes:
        name: in a few words.
        module: in which file of the package.
        before: the text that is there once.
        after: the text in its place.
        tests: files whose tests are to find it, or beginnings of tests; they run first.
    """

    name: str
    module: str
    before: str
    after: str
    tests: tuple[str, ...]


RECORDED = f"{WHOLE}::test_recorded_steps_give_what_steps_that_are_not_recorded_give_to_the_bit"
OUTWEIGH = f"{WHOLE}::test_memory_stays_within_its_estimate_where_items_outweigh_a_batch"
SCHEMES = "training/schemes"
OF_SCHEMES = f"tests/{SCHEMES}"
FAULTS = (
    Fault(
        "the order of users lies on the device and is given to NumPy", f"{SCHEMES}/noise.py",
        'place.pass_).permutation(n_users))', 'place.pass_).permutation(n_users)).to(self._device)',
        (f"{OF_SCHEMES}/test_alternating.py::TestOnAGPU",),
    ),
    Fault(
        "the KL term's weight is the host's number, frozen in a graph", f"{SCHEMES}/alternating.py",
        "bias.new_full((), self._beta(place))", "self._beta(place)",
        (f"{OF_SCHEMES}/test_graphs.py::TestOnAGPU::test_recorded",),
    ),
    Fault(
        "the first draws are frozen in a graph", f"{SCHEMES}/passes.py",
        "self._held.at(place) if fixed", "self._held if fixed",
        (f"{WHOLE}::test_it_learns_what_the_cpu_learns_and_goes_on_there[multvae]",),
    ),
    Fault(
        "a graph reads its caller's tensors", f"{SCHEMES}/graphs.py",
        "copies = given._replace(**tensors)", "copies = given", (f"{OF_SCHEMES}/test_graphs.py",),
    ),
    Fault(
        "the host looks at the loss of each batch", f"{SCHEMES}/alternating.py",
        "fixed=self._is_fixed(batch))\n",
        "fixed=self._is_fixed(batch))\n" + " " * 16 + "math.isfinite(self._totals.sum())\n",
        (f"{WHOLE}::test_a_pass_waits_for_its_losses_and_for_nothing_else[recvae]",),
    ),
    Fault(
        "a boolean index in a step", "kernels/negative_binomial.py",
        "if not items.is_cuda:", "if items.numel():", ("tests/kernels/test_negative_binomial.py",),
    ),
    Fault(
        "RaCT ranks withheld items on the host", f"{SCHEMES}/withheld.py",
        "if code.is_cuda:", "if not code.numel():", (f"{OF_SCHEMES}/test_withheld.py",),
    ),
    Fault(
        "a buffer is made on the CPU: two devices in a call", f"{SCHEMES}/update.py",
        "dtype=like.dtype, device=like.device)", "dtype=like.dtype)",
        (f"{OF_SCHEMES}/test_alternating.py::TestOnAGPU",),
    ),
    Fault(
        "a thread walks a padded row's padding", "kernels/sparse.py",
        "    if weight.is_cuda:\n", "    if weight.is_cuda and not rows.padded:\n", ("tests/kernels/test_sparse.py",),
    ),
    Fault(
        "rows of nobody are looked up", "kernels/sparse.py",
        "if self.items.numel():", "if n_places:", ("tests/kernels/test_sparse.py",),
    ),
    Fault(
        "offsets are int32 whatever their number", "kernels/sparse.py",
        "torch.int32 if n_places <= INT32_PLACES else torch.int64", "torch.int32",
        ("tests/kernels/test_sparse.py::test_more_interactions",),
    ),
    Fault(
        "fewer users than a batch are never recorded", f"{SCHEMES}/batches.py",
        "return min(self._size, self.n_users)", "return self._size",
        (f"{WHOLE}::test_fewer_users_than_a_batch_are_recorded_too[recvae]",),
    ),
    Fault(
        "a launch more a step", f"{SCHEMES}/update.py",
        "kl.detach().sum()]).double()", "kl.detach().sum()]).double().clone()", (f"{RECORDED}[recvae-",),
    ),
    Fault(
        "Adam is not capturable", f"{SCHEMES}/state.py",
        ", capturable=parameters[0].is_cuda\n", "\n", (f"{OF_SCHEMES}/test_state.py",),
    ),
    Fault(
        "RecVAE's estimate leaves out what making the items' gradient takes", f"{SCHEMES}/recvae.py",
        "            + 2 * item_gradient_bytes(train, config.batch_size, config.hidden_dim)\n", "",
        (f"{OUTWEIGH}[recvae]",),
    ),
    Fault(
        "EASE's estimate counts one matrix in float64", "models/ease.py",
        "2 * 8 * size", "8 * size", (f"{OUTWEIGH}[ease]",),
    ),
    Fault(
        "a worker that has lost its GPU lives on", "search/on_ray/trainable.py",
        "            tune.report({BROKEN: True, **why})\n            os._exit(DEVICE_LOST)\n", "            pass\n",
        ("tests/search/on_ray/test_trainable.py::test_a_process_that_has_lost_its_gpu",),
    ),
    Fault(
        "graphs do not share a pool", f"{SCHEMES}/graphs.py",
        "pool=pool, stream", "stream", (f"{OF_SCHEMES}/test_graphs.py",),
    ),
    Fault(
        "recording that failed is tried again", f"{SCHEMES}/graphs.py",
        "_as_they_are.get() or _failed or", "_as_they_are.get() or", (f"{OF_SCHEMES}/test_graphs.py",),
    ),
    Fault(
        "a share leaves out the CUDA context", "training/device.py",
        "max(gpus - CUDA_CONTEXT_BYTES / total, 0.0)", "gpus", ("tests/training/test_device.py",),
    ),
    Fault(
        "a device is anything that PyTorch knows", "training/device.py",
        'if chosen.type not in ("cpu", "cuda"):', "if not chosen.type:",
        ("tests/training/test_device.py::test_a_device_that_nothing",),
    ),
    Fault(
        "a GPU is waited for after 200 users", "evaluation.py",
        "return GPU_BATCH_USERS if scores.is_cuda else BATCH_USERS", "return BATCH_USERS",
        (f"{WHOLE}::test_an_evaluation",),
    ),
    Fault(
        "a state is copied from the device a tensor at a time, each waited for", "kernels/transfer.py",
        "if not value.is_cuda or", "if value.numel() or", ("tests/kernels/test_transfer.py",),
    ),
    Fault(
        "small copies to the device are waited for", "kernels/transfer.py",
        "tensor.pin_memory().to(place, non_blocking=True)", "tensor.to(place)", ("tests/kernels/test_transfer.py",),
    ),
)  # fmt: skip


class OnSoftDevice:
    """A pytest plugin: keeps the tests that run on the soft device, or are named, and says which failed."""

    def __init__(self, named: list[str]) -> None:
        self._named = tuple(named)
        self._parted = {test.partition("::")[0] for test in named}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave the other tests out, and what starts Ray or takes long."""
        items[:] = [item for item in items if self._is_asked_for(item)]

    def _is_asked_for(self, item: pytest.Item) -> bool:
        if item.nodeid.partition("::")[0] in self._parted:
            return item.nodeid.startswith(self._named)
        return _is_soft(item)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell of a failure."""
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            why = str(getattr(crash, "message", report.longrepr)).splitlines()
            print(f"\n{FOUND}{report.nodeid}: {next(filter(None, why), '')}"[:300], flush=True)


def _is_soft(item: pytest.Item) -> bool:
    if item.get_closest_marker("slow") or item.get_closest_marker("ray"):
        return False
    named = set(getattr(item, "fixturenames", ()))
    module = vars(getattr(item, "module", None) or object)
    return bool(item.get_closest_marker("cuda") or "soft_device" in named or "soft_cuda" in module)


def soft_files() -> list[str]:
    """Return the test files that name the soft device, or a test of a GPU."""
    named = ("soft_cuda", "soft_device", "mark.cuda")
    found = [path for path in (ROOT / "tests").rglob("test_*.py") if "soft_cuda" not in path.parts]
    texts = {path: path.read_text(encoding="utf-8") for path in found}
    return sorted(
        str(path.relative_to(ROOT)) for path, text in texts.items() if any(n in text for n in named)
    )


def plant(fault: Fault, folder: Path) -> None:
    """Change the copy of the package in `folder`.

    Raises:
        ValueError: the text that is to be changed is not there once.
    """
    path = folder / "distrecvae" / fault.module
    text = path.read_text(encoding="utf-8")
    if (times := text.count(fault.before)) != 1:
        raise ValueError(f"{fault.module} has {fault.before!r} {times} times: plant {fault.name!r} anew")
    path.write_text(text.replace(fault.before, fault.after), encoding="utf-8")


def found_in(folder: Path, tests: Sequence[str]) -> str:
    """Return which test failed in the copy in `folder`, and why; empty where all pass.

    Raises:
        RuntimeError: the tests did not run.
    """
    command = [sys.executable, __file__, INSIDE, *tests]
    told = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True,
        check=False, timeout=HANGS_S,
    )  # fmt: skip
    if told.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"the tests did not run in {folder}: {told.stdout[-2000:]}{told.stderr[-2000:]}")
    lines = [line for line in told.stdout.splitlines() if line.startswith(FOUND)]
    return lines[0].removeprefix(FOUND) if lines else ""


def examined(fault: Fault | None, *, only_own: bool = False) -> str:
    """Return how a fault is found, in a line; empty where no test fails. None plants nothing."""
    with tempfile.TemporaryDirectory(prefix="planted-") as name:
        folder = Path(name)
        for part in COPIED:
            if (ROOT / part).is_dir():
                leave = shutil.ignore_patterns("__pycache__", "results")
                shutil.copytree(ROOT / part, folder / part, ignore=leave)
            else:
                shutil.copy(ROOT / part, folder / part)
        if fault is None:
            return found_in(folder, soft_files())
        plant(fault, folder)
        found = found_in(folder, fault.tests)
        return found if found or only_own else found_in(folder, soft_files())


def inside(tests: list[str]) -> int:
    """Run tests where the copy is the package; those of files that run on the soft device, and beginnings of others."""
    import distrecvae

    assert Path(str(distrecvae.__file__)).is_relative_to(Path.cwd()), "another package is tested"
    plugin = OnSoftDevice([test for test in tests if "::" in test])
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    return int(pytest.main(["-x", "-q", "-n", "0", "-p", "no:cacheprovider", *files], plugins=[plugin]))


def main() -> int:
    """Plant faults, write which were found and by what."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", type=int, help="numbers of the faults, from 1")
    parser.add_argument(
        "--no-baseline", action="store_true", help="do not see first that all pass without a fault"
    )
    parser.add_argument(
        "--own", action="store_true", help="run the tests named beside a fault alone, which is quick"
    )
    parser.add_argument("--out", type=Path, help="folder of the result; what is there is added to")
    asked = parser.parse_args()
    if not asked.no_baseline and (broken := examined(None)):
        print(f"fails without a fault: {broken}")
        return 1
    numbers = asked.only or range(1, len(FAULTS) + 1)
    missed = 0
    for number in numbers:
        fault = FAULTS[number - 1]
        found = examined(fault, only_own=asked.own)
        missed += not found
        print(f"{number:2d} {fault.name}: {found or 'NOT FOUND'}", flush=True)
        if asked.out is not None:
            _add(asked.out, [str(number), fault.name, fault.module, fault.before, fault.after, found])
    print(f"{len(numbers) - missed} of {len(numbers)} found")
    return 1 if missed else 0


def _add(out: Path, row: list[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    path = out / "faults.csv"
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        heads = [["number", "fault", "module", "before", "after", "found by"]] if new else []
        csv.writer(file).writerows([*heads, row])


if __name__ == "__main__":
    sys.exit(inside(sys.argv[2:]) if sys.argv[1:2] == [INSIDE] else main())
