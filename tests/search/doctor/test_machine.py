"""The machine's facts: limits of cgroups and affinity are read where the kernel writes them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from distrecvae.search.doctor.machine import installed, this_machine


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def test_this_machine_is_told_as_others_tell_it() -> None:
    machine = this_machine()
    assert machine.cores == os.cpu_count()
    assert machine.affinity == len(os.sched_getaffinity(0))
    assert 1 <= machine.usable_cores <= machine.cores
    assert 0 < machine.memory_bytes <= psutil.virtual_memory().total
    # A package's version may leave out which build it is: 2.13.0 of 2.13.0+cu130.
    assert torch.__version__.startswith(machine.versions["torch"])
    assert len(machine.gpus) == torch.cuda.device_count()
    assert machine.cuda == torch.version.cuda


@pytest.mark.parametrize(
    ("quota", "expected"), [("150000 100000", 1.5), ("max 100000", None), ("", None), ("50000 100000", 0.5)]
)
def test_a_quota_of_version_2_is_read(tmp_path: Path, quota: str, expected: float | None) -> None:
    write(tmp_path, "proc/self/cgroup", "0::/\n")
    write(tmp_path, "sys/fs/cgroup/cpu.max", quota + "\n")
    write(tmp_path, "sys/fs/cgroup/memory.max", "1073741824\n")
    machine = this_machine(tmp_path)
    assert machine.quota == expected
    assert machine.memory_bytes == 2**30
    assert machine.shm_bytes == 0


def test_the_tightest_of_a_groups_ancestors_holds(tmp_path: Path) -> None:
    write(tmp_path, "proc/self/cgroup", "0::/jobs/one\n")
    write(tmp_path, "sys/fs/cgroup/jobs/one/cpu.max", "max 100000\n")
    write(tmp_path, "sys/fs/cgroup/jobs/cpu.max", "300000 100000\n")
    write(tmp_path, "sys/fs/cgroup/cpu.max", "400000 100000\n")
    write(tmp_path, "sys/fs/cgroup/jobs/one/memory.max", "max\n")
    write(tmp_path, "sys/fs/cgroup/jobs/memory.max", "2097152\n")
    machine = this_machine(tmp_path)
    assert machine.quota == 3
    assert machine.memory_bytes == 2 << 20


def test_a_quota_of_version_1_is_read(tmp_path: Path) -> None:
    write(tmp_path, "proc/self/cgroup", "5:cpu,cpuacct:/\n4:memory:/box\n3:cpuset:/x\n0::/\n")
    write(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n")
    write(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    write(tmp_path, "sys/fs/cgroup/memory/memory.limit_in_bytes", "4194304\n")
    machine = this_machine(tmp_path)
    assert machine.quota == 2.5
    assert machine.memory_bytes == 4 << 20
    write(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    assert this_machine(tmp_path).quota is None


def test_no_limit_anywhere_is_no_limit(tmp_path: Path) -> None:
    machine = this_machine(tmp_path)
    assert machine.quota is None
    assert machine.memory_bytes == psutil.virtual_memory().total
    assert not machine.has_nvidia


def test_usable_cores_are_the_least_of_what_is_allowed() -> None:
    machine = replace(this_machine(), cores=64, affinity=8, quota=None)
    assert machine.usable_cores == 8
    assert replace(machine, quota=2.5).usable_cores == 2
    assert replace(machine, quota=0.5).usable_cores == 1
    assert replace(machine, quota=16.0).usable_cores == 8


def test_the_driver_of_nvidia_is_seen(tmp_path: Path) -> None:
    write(tmp_path, "proc/driver/nvidia/version", "NVRM")
    assert this_machine(tmp_path).has_nvidia


def test_shared_memory_has_its_file_systems_size(tmp_path: Path) -> None:
    (tmp_path / "dev/shm").mkdir(parents=True)
    status = os.statvfs(tmp_path)
    assert this_machine(tmp_path).shm_bytes == status.f_blocks * status.f_frsize


def test_what_is_not_installed_has_no_version() -> None:
    assert installed(["numpy", "no-such-package-of-ours"]).keys() == {"numpy"}
