"""The acceptance run of a GPU (benchmarks/gpu_acceptance.py) on the soft device, and what it makes of its findings."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from distrecvae.data.synthetic import synthetic_split
from tests import HANGS_AFTER_S, ROOT
from tests.scripts import modules_of

if TYPE_CHECKING:
    from acceptance import given, machine, outcome, speed, worker

SCRIPT = ROOT / "benchmarks" / "gpu_acceptance.py"
ON_RAY = ("doctor", "search")
ALONE = (
    "versions",
    "cuda-tests",
    "waits",
    "states",
    "speed",
    "memory",
    "quality",
    "evaluation",
    "triton-tests",
)


@pytest.fixture(autouse=True, scope="module")
def modules() -> Iterator[None]:
    """The script's modules lie beside it, as a script's do."""
    with modules_of("acceptance", "given", "machine", "outcome", "speed", "worker") as found:
        globals().update(found)
        yield


def run(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--out", str(out), "--patience", "10", *options],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS_AFTER_S,
    )


def steps(out: Path) -> dict[str, dict[str, Any]]:
    document = json.loads((out / "acceptance.json").read_text(encoding="utf-8"))
    return {step["step"]: step for step in document["steps"]}


def all_criteria(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {each["what"]: each["found"] for step in found.values() for each in step["criteria"]}


@pytest.mark.slow
@pytest.mark.nightly(
    "test_a_search_outlives_a_gpus_faults_in_rays_workers: the program from its command line to its page, by other"
    " steps; what these look at is in tests/whole/test_gpu.py::test_a_pass_waits_for_its_losses_and_for_nothing_else"
    " and tests/whole/test_gpu.py::test_recorded_steps_give_what_steps_that_are_not_recorded_give_to_the_bit"
)
def test_it_runs_without_ray_on_the_soft_device(tmp_path: Path) -> None:
    done = run(tmp_path / "out", "--soft", "--only", *ALONE)
    assert done.returncode == 0, done.stdout + (tmp_path / "out" / "log.txt").read_text()
    found = steps(tmp_path / "out")
    assert tuple(found) == ALONE
    passed = [name for name, step in found.items() if step["status"] == "passed"]
    assert passed == [name for name in ALONE if name != "triton-tests"]
    assert (
        "needs a GPU" in found["triton-tests"]["why"] or "no Triton kernels" in found["triton-tests"]["why"]
    )
    told = all_criteria(found)
    assert told["waits, bfloat16"] == "4 in 4 passes, for their losses"
    assert "NDCG@100, float32 by TF32" in told
    assert told["not recorded, bfloat16"] == "the same state, to the bit"
    assert told["seconds, kernels"].startswith("left out")
    page = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "gpu_acceptance.py" in page
    assert "left out: triton-tests." in page
    assert "| **states** | passed |" in page


@pytest.mark.slow
@pytest.mark.ray
def test_a_search_outlives_a_gpus_faults_in_rays_workers(tmp_path: Path) -> None:
    done = run(tmp_path / "out", "--soft", "--only", "faults")
    assert done.returncode == 0, done.stdout + (tmp_path / "out" / "log.txt").read_text()
    found = steps(tmp_path / "out")
    assert {name: step["status"] for name, step in found.items()} == {"faults": "passed"}
    assert all_criteria(found)["failed"] == "trials [1, 3, 5] of 7"
    page = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "gpu_acceptance.py" in page
    assert "| **faults** | passed |" in page


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.nightly(
    "test_a_search_outlives_a_gpus_faults_in_rays_workers: shares of a soft device in Ray's workers; that a trial whose"
    " worker is killed continues is in"
    " tests/whole/test_search.py::test_killed_and_interrupted_again_and_again_it_ends_as_the_undisturbed_one, what the"
    " doctor asks of a GPU and of Ray in tests/search/doctor/test_gpu.py::test_a_sound_gpu_is_well and"
    " tests/search/doctor/test_doctor.py::test_every_node_of_a_real_ray_answers"
)
def test_it_examines_and_searches_on_soft_devices_in_rays_workers(tmp_path: Path) -> None:
    done = run(tmp_path / "out", "--soft", "--only", *ON_RAY)
    assert done.returncode == 0, done.stdout + (tmp_path / "out" / "log.txt").read_text()
    found = steps(tmp_path / "out")
    assert {name: step["status"] for name, step in found.items()} == dict.fromkeys(ON_RAY, "passed")
    told = all_criteria(found)
    assert told["trials"] == "12 of 12 finished"
    assert told["killed"] == "1 worker"
    page = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "gpu_acceptance.py" in page
    assert "| **search** | passed |" in page


@pytest.mark.slow
def test_a_step_beyond_its_limit_is_ended_and_fails_the_run(tmp_path: Path) -> None:
    done = run(tmp_path / "out", "--soft", "--only", "versions", "--patience", "0.001")
    assert done.returncode == 1
    assert steps(tmp_path / "out")["versions"]["why"] == "not over after 0.04 s"
    again = run(tmp_path / "out", "--soft", "--only", "versions")
    assert again.returncode == 2
    assert "a result is never edited" in again.stderr


def test_tf32_is_on_while_it_is_looked_at_and_off_again() -> None:
    trainings, products = importlib.import_module("acceptance.trainings"), torch.backends.cuda.matmul
    name = "fp32_precision" if hasattr(products, "fp32_precision") else "allow_tf32"
    before = getattr(products, name)
    assert before not in ("tf32", True)
    with trainings.products_by_tf32():
        assert getattr(products, name) in ("tf32", True)
    assert getattr(products, name) == before


def notes(path: Path, *lines: Any) -> outcome.Outcome:
    for line in lines:
        outcome.note(path, line)
    return outcome.read(path, "a step", 3.0, "it died")


def test_what_is_not_as_wanted_fails_its_step_whatever_its_end(tmp_path: Path) -> None:
    good, bad = outcome.Criterion("this", "1", "1"), outcome.Criterion("that", "2", "1", holds=False)
    passed = notes(tmp_path / "a", good, {"end": outcome.PASSED, "why": ""})
    failed = notes(tmp_path / "b", good, bad, {"end": outcome.PASSED, "why": ""})
    died = notes(tmp_path / "c", good)
    left_out = notes(tmp_path / "d", {"end": outcome.LEFT_OUT, "why": "no Ray"})
    nothing = notes(tmp_path / "e")
    assert [each.status for each in (passed, failed, died, left_out, nothing)] == [
        "passed", "failed", "failed", "left out", "failed",
    ]  # fmt: skip
    assert (failed.why, died.why) == ("not as wanted: that", "it died")
    assert died.criteria == (good,)
    assert outcome.is_over([passed, left_out], require_all=False)
    assert not outcome.is_over([passed, left_out], require_all=True)
    assert not outcome.is_over([passed, failed], require_all=False)
    assert "| that | **no** | 2 | 1 | |" in outcome.table([failed])


@pytest.mark.parametrize(
    ("step", "missing", "why"),
    [
        ("doctor", "ray", "Ray is not installed"),
        ("cuda_tests", "pytest", "pytest is not installed"),
        ("cuda_tests", "hypothesis", "hypothesis is not installed"),
    ],
)
def test_what_is_not_installed_is_named(
    step: str, missing: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else "there")
    with pytest.raises(outcome.LeftOutError, match=why):
        list(getattr(machine, step)(given.Given(True, None, tmp_path)))


def test_data_that_is_not_given_is_named_and_replaced_where_its_shape_will_do(tmp_path: Path) -> None:
    nothing = given.Given(False, None, tmp_path)
    with pytest.raises(outcome.LeftOutError, match="needs --data"):
        nothing.split()
    users = nothing.ml1m_users()
    assert (users.n_users, users.n_items) == (6039, 3628)
    assert users.n_interactions == pytest.approx(836_478, rel=0.02)


def test_packed_data_is_what_was_packed(tmp_path: Path) -> None:
    split = synthetic_split(n_users=100, n_items=60, seed=1, held_out_users=20)
    given.pack(split, tmp_path / "data.npz")
    found = given.Given(False, tmp_path / "data.npz", tmp_path).split()
    for matrix, same in ((split.train, found.train), (split.test.held_out, found.test.held_out)):
        assert np.array_equal(matrix.indptr, same.indptr)
        assert np.array_equal(matrix.indices, same.indices)
        assert matrix.n_items == same.n_items


@pytest.mark.parametrize(("answers", "holds"), [([900, 700, 560], True), ([900], False)])
def test_what_a_step_leaves_on_the_gpu_is_found(
    answers: list[int], holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = importlib.import_module("gpu_acceptance")
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(machine, "memory_mib", lambda _: answers.pop(0) if len(answers) > 1 else answers[0])
    found = script.left_on_the_gpu(500)
    assert (found.holds, found.found) == (holds, f"{560 if holds else 900} MiB in use, 500 before")


def event(name: str, start: float, end: float, device: str = "DeviceType.CUDA", **more: Any) -> Any:
    return SimpleNamespace(
        name=name, device_type=device, time_range=SimpleNamespace(start=start, end=end), **more
    )


def test_a_profile_counts_what_ran_on_the_gpu() -> None:
    found = speed.launches_in(
        [
            event("gemm", 0, 100),
            event("gemm", 150, 450),
            event("copy", 400, 500),  # beside it, on another stream
            event("cudaLaunchKernel", 0, 5, device="DeviceType.CPU"),
            event("Optimizer.step#Adam.step", 0, 1000),
            event("a pass", 0, 1000, is_user_annotation=True),
        ]
    )
    profile = speed.profile(found)
    assert profile.launches == 3
    assert profile.busy == pytest.approx(450 / 500)
    assert profile.slowest == (("gemm", 2, 0.4, 0.3), ("copy", 1, 0.1, 0.1))
    assert profile.longest_ms == 0.3
    with pytest.raises(RuntimeError, match="saw nothing"):
        speed.profile([])


def test_the_planted_model_outgrows_its_share() -> None:
    share = 3 << 30
    width = worker.outgrowing(share)
    layers, kept = 4, 5  # the hidden layers between; weights, gradients, two moments, q_old's weights
    assert 1.3 * share < layers * kept * 4 * width**2 < 1.4 * share


def test_a_report_of_tests_is_counted(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(
        '<testsuites><testsuite tests="7" failures="1" errors="2" skipped="3"/></testsuites>',
        encoding="utf-8",
    )
    assert machine.counted(tmp_path / "report.xml") == {"run": 4, "failed": 3, "skipped": 3}
