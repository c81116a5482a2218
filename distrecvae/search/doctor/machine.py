"""What this machine offers: cores, memory, GPUs, instructions, shared memory, versions; asked, never changed."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import torch

from distrecvae.search.on_ray.joining import ray_folder
from distrecvae.training.device import DeviceFacts, device_facts

PACKAGES = ("distrecvae", "ray", "torch", "optuna", "numpy", "scipy", "pandas", "pyarrow", "safetensors")
"""Whose versions a search depends on."""

_BFLOAT16 = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16"}
_NVIDIA = ("dev/nvidia0", "proc/driver/nvidia/version")


@dataclass(frozen=True)
class Machine:
    """One machine, as a process on it sees it.

    Attributes:
        name: its host name.
        python: version of Python.
        versions: of `PACKAGES`; those that are not installed are not there.
        cpu: what the processor calls itself.
        bfloat16: instructions by which it multiplies bfloat16: "AMX", "AVX512-BF16", or nothing.
        cores: logical cores.
        affinity: cores that this process may run on (`taskset`, Slurm).
        quota: cores' worth of time that its cgroup may use (docker --cpus, Kubernetes); None for no limit.
        memory_bytes: memory, or what the cgroup may use of it.
        shm_bytes: size of /dev/shm, where Ray shares data; 0 where there is none.
        gpus: what PyTorch can use.
        cuda: version of CUDA that PyTorch was built for; None for none.
        has_nvidia: whether NVIDIA's driver is there.
        omp_num_threads: the environment's OMP_NUM_THREADS; None where it is not set.
        ray_folder: where Ray keeps its files.
        ray_disk_used: share of that folder's disk that is in use, 0 to 1.
    """

    name: str
    python: str
    versions: Mapping[str, str]
    cpu: str
    bfloat16: str
    cores: int
    affinity: int
    quota: float | None
    memory_bytes: int
    shm_bytes: int
    gpus: tuple[DeviceFacts, ...]
    cuda: str | None
    has_nvidia: bool
    omp_num_threads: str | None
    ray_folder: str
    ray_disk_used: float

    @property
    def usable_cores(self) -> int:
        """Cores that a search can keep busy; a part of one is one."""
        return max(1, int(min(self.affinity, self.affinity if self.quota is None else self.quota)))


def this_machine(root: Path = Path("/")) -> Machine:
    """Return this machine's facts; `root` has its /proc, /sys and /dev."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    folder = ray_folder()
    made = next(place for place in (Path(folder), *Path(folder).absolute().parents) if place.exists())
    disk = shutil.disk_usage(made)
    shm = root / "dev/shm"
    cores = os.cpu_count() or 1
    limit = min(_limits(root, "memory"), default=None)
    memory = int(psutil.virtual_memory().total)
    return Machine(
        name=platform.node(),
        python=platform.python_version(),
        versions=installed(PACKAGES),
        cpu=str(capabilities.get("cpu_name") or platform.processor() or platform.machine()),
        bfloat16=next((title for name, title in _BFLOAT16.items() if capabilities.get(name)), ""),
        cores=cores,
        affinity=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores,
        quota=min(_limits(root, "cpu"), default=None),
        memory_bytes=memory if limit is None else min(memory, int(limit)),
        shm_bytes=shutil.disk_usage(shm).total if shm.is_dir() else 0,
        gpus=tuple(device_facts(f"cuda:{number}") for number in range(torch.cuda.device_count())),
        cuda=torch.version.cuda,
        has_nvidia=any((root / name).exists() for name in _NVIDIA),
        omp_num_threads=os.environ.get("OMP_NUM_THREADS"),
        ray_folder=folder,
        ray_disk_used=disk.used / disk.total,
    )


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Return the installed versions of those packages that are installed."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _limits(root: Path, what: str) -> Iterator[float]:
    """Yield what this process's cgroups, from its own up to the root's, allow of "cpu" (cores) or "memory" (bytes)."""
    for folder in _cgroups(root, what):
        texts = [_read(folder / name).split() for name in _CGROUP_FILES[what]]
        if what == "cpu":
            old_quota, old_period, new = texts
            quota, period = [*new, "", ""][:2] if new else ("".join(old_quota), "".join(old_period))
            if quota.isdigit() and period.isdigit():
                yield int(quota) / int(period)
        else:
            yield from (float(text) for words in texts for text in words if text.isdigit())


_CGROUP_FILES = {
    "cpu": ("cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.max"),
    "memory": ("memory.limit_in_bytes", "memory.max"),
}


def _cgroups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's cgroups, version 2 and 1; inside a container only the last may be there."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controllers and controller)
        own = top / path.strip("/")
        yield from (folder for folder in (own, *own.parents) if folder == top or top in folder.parents)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
