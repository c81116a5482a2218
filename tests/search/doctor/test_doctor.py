"""The doctor: each trouble is found on a machine that has it, with a remedy, and on no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from distrecvae.errors import ResourceError
from distrecvae.search.doctor import doctor
from distrecvae.search.doctor.finding import Finding
from distrecvae.search.doctor.machine import Machine
from distrecvae.search.on_ray import session
from distrecvae.search.on_ray.session import on_every_node, ray_session
from distrecvae.search.planning.resources import Cluster, Slots
from distrecvae.training.device import DeviceFacts
from tests.sites import ray_folder

VERSIONS = {"ray": "2.60.0", "torch": "2.13.0+cpu", "optuna": "5.0.0", "distrecvae": "0.1.0"}
GOOD = Machine(
    name="box",
    python="3.11.7",
    versions=VERSIONS,
    cpu="Some CPU",
    bfloat16="AMX",
    cores=8,
    affinity=8,
    quota=None,
    memory_bytes=32 << 30,
    shm_bytes=16 << 30,
    gpus=(),
    cuda=None,
    has_nvidia=False,
    omp_num_threads=None,
    ray_folder="/scratch",
    ray_disk_used=0.5,
)
GPU = DeviceFacts("Some GPU", "bfloat16", 80 << 30)


def ill(findings: Any) -> list[Finding]:
    return [finding for finding in findings if finding.remedy is not None]


def the(findings: Any) -> Finding:
    (finding,) = ill(findings)
    assert "\n" not in finding.text + str(finding.remedy)
    return finding


def test_a_good_machine_has_nothing_to_mend() -> None:
    for machine in (GOOD, replace(GOOD, gpus=(GPU,), cuda="12.6", has_nvidia=True)):
        found = list(doctor.of_machine(machine))
        assert ill(found) == []
        assert {finding.subject for finding in found} == {"cores", "CPU", "memory", "GPUs"}
    assert "Some GPU, 80.0 GiB" in doctor.of_gpus(replace(GOOD, gpus=(GPU,))).text


def test_limits_are_shown() -> None:
    found = next(doctor.of_machine(replace(GOOD, affinity=4, quota=2.5)))
    assert found.text == "2 of 8 usable (affinity 4, cgroup quota 2.5)"


def test_less_than_a_core_is_too_little() -> None:
    assert "0.5 of a core" in the(doctor.of_machine(replace(GOOD, quota=0.5))).text


@pytest.mark.parametrize(
    ("changes", "text", "remedy"),
    [
        ({"has_nvidia": True}, "built without CUDA", "PyTorch's build for your CUDA"),
        ({"has_nvidia": True, "cuda": "12.6"}, r"(CUDA 12.6) finds no GPU", "CUDA_VISIBLE_DEVICES"),
        ({"ray_disk_used": 0.97}, "/scratch is 97 % full", "RAY_TMPDIR"),
    ],
)
def test_trouble_of_the_machine(changes: dict[str, Any], text: str, remedy: str) -> None:
    finding = the(doctor.of_machine(replace(GOOD, **changes)))
    assert text in finding.text
    assert remedy in str(finding.remedy)


def test_a_store_larger_than_shared_memory() -> None:
    assert ill(doctor.of_store(GOOD, GOOD.shm_bytes)) == []
    finding = the(doctor.of_store(replace(GOOD, shm_bytes=64 << 20), 5 * 10**9))
    assert "shm has 0.1 GiB, Ray's object store takes 4.7 GiB" in finding.text
    assert "--shm-size=5g" in str(finding.remedy)


def test_more_cores_counted_than_usable() -> None:
    assert ill(doctor.of_cores(GOOD, 8)) == []
    finding = the(doctor.of_cores(replace(GOOD, affinity=2), 8))
    assert "Ray counts 8, and 2 may be used" in finding.text
    assert "--concurrent 2" in str(finding.remedy)


@pytest.mark.parametrize(
    ("omp", "slots", "bad"),
    [
        (None, Slots(8, 1, 0), False),
        ("1", Slots(8, 1, 0), False),
        ("2", Slots(8, 1, 0), True),
        ("4", Slots(2, 4, 0), False),
        ("8", Slots(1, 1, 0), False),
        ("4,2", Slots(8, 1, 0), True),
        ("many", Slots(1, 1, 0), True),
        ("0", Slots(1, 1, 0), True),
    ],
)
def test_threads_beyond_cores(omp: str | None, slots: Slots, bad: bool) -> None:
    found = list(doctor.of_threads(replace(GOOD, omp_num_threads=omp), slots))
    assert bool(ill(found)) is bad
    assert bool(found) is (omp is not None)


def test_versions_outside_what_is_asked_for() -> None:
    asked = ["ray[tune]<2.61,>=2.60", "torch>=2.8", "optuna<6,>=4.0", "onnx>=1; extra == 'export'"]
    assert ill(doctor.of_versions("3.11.7", "<3.14,>=3.11", asked, VERSIONS)) == []
    finding = the(doctor.of_versions("3.11.7", "<3.14,>=3.11", asked, {**VERSIONS, "ray": "2.50.1"}))
    assert finding.text == "ray 2.50.1, and distrecvae asks for <2.61,>=2.60"
    assert finding.remedy == "pip install -c constraints.txt 'ray[tune]<2.61,>=2.60'"
    missing = {name: version for name, version in VERSIONS.items() if name != "optuna"}
    assert "optuna is missing" in the(doctor.of_versions("3.11.7", ">=3.11", asked, missing)).text
    assert "Python is 3.9.1" in the(doctor.of_versions("3.9.1", ">=3.11", asked, VERSIONS)).text
    assert ill(doctor.of_versions("3.11.7", None, [], {})) == []


def test_nodes_that_differ() -> None:
    cuda = replace(GOOD, versions={**VERSIONS, "torch": "2.13.0+cu126"}, gpus=(GPU,))
    assert ill(doctor.of_nodes(GOOD, {"a": GOOD, "b": cuda})) == []
    other = replace(GOOD, python="3.12.1", versions={**VERSIONS, "torch": "2.9.0"})
    finding = the(doctor.of_nodes(GOOD, {"a": GOOD, "b": other}))
    assert finding.subject == "node b"
    assert finding.text == "has Python 3.12.1 (here 3.11.7), torch 2.9.0 (here 2.13.0)"
    assert "no module" in the(doctor.of_nodes(GOOD, {"a": "no module named distrecvae"})).text


def test_a_ray_that_does_not_start_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(address: str | None) -> Any:
        raise RuntimeError(f"raylet died\nat {address}")

    monkeypatch.setattr(doctor, "ray_session", fail)
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    finding = the(finding for finding in doctor.examine(None) if finding.subject == "Ray")
    assert finding.text == "does not work (raylet died at head:6379)"


def test_an_error_of_ours_has_its_own_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "require_listener", _refuse)
    finding = the(finding for finding in doctor.examine("head:1") if finding.subject == "Ray")
    assert finding == Finding("Ray", "head:1: nothing; listens", "start Ray")


def _refuse(where: str, _: str) -> None:
    raise ResourceError(f"{where}: nothing; listens; start Ray")


def test_what_a_search_would_take() -> None:
    text = doctor.of_search(Slots(4, 2, 0.5), GPU).text
    assert text == "4 trials at once, each on 2 CPU and 0.5 GPU, in bfloat16 on Some GPU"


@pytest.mark.ray
@pytest.mark.slow
def test_every_node_of_a_real_ray_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(ray_folder()))
    with ray_session(None) as cluster:
        assert isinstance(cluster, Cluster)
        (answer,) = on_every_node(_name).values()
        (failure,) = on_every_node(_fail).values()
    assert answer == "here"
    assert "told so" in failure


def _name() -> str:
    return "here"


def _fail() -> str:
    raise ValueError("told so")
