"""The doctor: what a search would find on this machine or cluster, what is wrong with it, and the remedy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from distrecvae.errors import DistrecvaeError
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.doctor.finding import Finding
from distrecvae.search.doctor.machine import Machine, installed, this_machine
from distrecvae.search.on_ray.session import on_every_node, ray_session, survey
from distrecvae.search.planning.resources import Cluster, Slots, slots_for
from distrecvae.training.device import DeviceFacts
from distrecvae.words import gib

FULL_DISK = 0.95
"""Share of a disk in use above which Ray refuses to put objects there."""

SHM = "/dev/shm"  # noqa: S108  (named, not written to)

_MANY = 10**6


def examine(address: str | None) -> Iterator[Finding]:
    """Yield findings as they are made: this machine first, then Ray, which is started here or joined at `address`."""
    machine = this_machine()
    address = address or os.environ.get("RAY_ADDRESS") or None
    yield from of_versions(machine.python, *_asked_for())
    yield from of_machine(machine)
    try:
        with ray_session(address) as cluster:
            yield from _of_ray(machine, cluster, address)
    except DistrecvaeError as error:
        text, _, remedy = str(error).rpartition("; ")
        yield Finding("Ray", text, remedy)
    except (RuntimeError, OSError, ValueError) as error:
        yield Finding(
            "Ray",
            f"does not work ({' '.join(str(error).split())[:200]})",
            f"look into {machine.ray_folder}/ray/session_latest/logs; on a cluster compare Ray's and Python's versions",
        )


def _of_ray(machine: Machine, cluster: Cluster, address: str | None) -> Iterator[Finding]:
    if address is None:
        yield from of_store(machine, cluster.object_store_bytes)
        yield from of_cores(machine, cluster.cpus)
    else:
        nodes = on_every_node(this_machine)
        yield Finding("cluster", f"{len(nodes)} nodes, {cluster.cpus:g} CPUs, {cluster.gpus:g} GPUs")
        yield from of_nodes(machine, nodes)
    config = SearchConfig(address=address, trials=_MANY)
    slots = slots_for(config, cluster)
    if address is None:
        yield from of_threads(machine, slots)
    yield of_search(slots, survey(slots, cluster))


def of_machine(machine: Machine) -> Iterator[Finding]:
    """Yield what the machine has."""
    limits = [f"affinity {machine.affinity}"] if machine.affinity < machine.cores else []
    limits += [f"cgroup quota {machine.quota:g}"] if machine.quota is not None else []
    bounds = f" ({', '.join(limits)})" if limits else ""
    yield Finding("cores", f"{machine.usable_cores} of {machine.cores} usable{bounds}")
    if machine.quota is not None and machine.quota < 1:
        yield Finding(
            "cores",
            f"the cgroup gives {machine.quota:g} of a core",
            "give the container at least one (--cpus)",
        )
    yield Finding("CPU", f"{machine.cpu}; bfloat16 by {machine.bfloat16 or 'no instruction of its own'}")
    yield Finding("memory", gib(machine.memory_bytes))
    yield of_gpus(machine)
    if machine.ray_disk_used > FULL_DISK:
        yield Finding(
            "disk",
            f"{machine.ray_folder} is {100 * machine.ray_disk_used:.0f} % full; Ray stops working at 95 %",
            "free some space, or let RAY_TMPDIR name a folder on another disk",
        )


def of_gpus(machine: Machine) -> Finding:
    """Return what GPUs there are, and whether PyTorch can use them."""
    if machine.gpus:
        return Finding("GPUs", "; ".join(f"{gpu.name}, {gib(gpu.memory_bytes)}" for gpu in machine.gpus))
    if not machine.has_nvidia:
        return Finding("GPUs", "none")
    torch = machine.versions.get("torch", "")
    if machine.cuda is None:
        return Finding(
            "GPUs",
            f"there is NVIDIA's driver, and PyTorch {torch} is built without CUDA",
            "install PyTorch's build for your CUDA, of the same version",
        )
    return Finding(
        "GPUs",
        f"there is NVIDIA's driver, and PyTorch (CUDA {machine.cuda}) finds no GPU",
        "look at nvidia-smi and CUDA_VISIBLE_DEVICES; an older driver needs PyTorch built for an older CUDA",
    )


def of_store(machine: Machine, store_bytes: int) -> Iterator[Finding]:
    """Yield whether Ray's object store fits into shared memory; where it does not, Ray keeps it on a disk."""
    found = f"{SHM} has {gib(machine.shm_bytes)}, Ray's object store takes {gib(store_bytes)}"
    if store_bytes <= machine.shm_bytes:
        yield Finding("shared memory", found)
        return
    yield Finding(
        "shared memory",
        f"{found}: it lies on a disk, which is slow",
        f"docker run --shm-size={-(-store_bytes // 2**30)}g (Kubernetes: an emptyDir of medium Memory at {SHM})",
    )


def of_cores(machine: Machine, ray_cpus: float) -> Iterator[Finding]:
    """Yield whether Ray counts more cores than this process may use: it would start as many trials."""
    if ray_cpus > machine.usable_cores:
        yield Finding(
            "cores",
            f"Ray counts {ray_cpus:g}, and {machine.usable_cores} may be used: trials would wait for each other",
            f"search with --concurrent {machine.usable_cores}, or ask the scheduler for more cores",
        )


def of_threads(machine: Machine, slots: Slots) -> Iterator[Finding]:
    """Yield whether OMP_NUM_THREADS would set more threads to work than there are cores."""
    if machine.omp_num_threads is None:
        return
    text = machine.omp_num_threads.split(",")[0].strip()
    if not text.isdigit() or int(text) < 1:
        yield Finding(
            "threads", f"OMP_NUM_THREADS is {machine.omp_num_threads!r}; it must be a number", "unset it"
        )
        return
    threads = int(text) * slots.concurrent
    found = f"OMP_NUM_THREADS={text}, {slots.concurrent} trials at once: {threads} threads"
    if threads > machine.usable_cores and int(text) > slots.cpus:
        yield Finding(
            "threads",
            f"{found} on {machine.usable_cores} cores",
            "unset it, or set it to --cpus-per-trial: a trial's own threads do not depend on it",
        )
    else:
        yield Finding("threads", found)


def of_search(slots: Slots, facts: DeviceFacts) -> Finding:
    """Return what a search with default settings would take."""
    gpus = f" and {slots.gpus:g} GPU" if slots.gpus else ""
    return Finding(
        "a search",
        f"{slots.concurrent} trials at once, each on {slots.cpus} CPU{gpus}, in {facts.precision} on {facts.name}",
    )


def of_nodes(here: Machine, nodes: Mapping[str, Machine | str]) -> Iterator[Finding]:
    """Yield a finding a node: its versions are this machine's, or which are not; `nodes` has errors as text."""
    for name, node in nodes.items():
        if isinstance(node, str):
            yield Finding(
                f"node {name}",
                f"cannot be asked ({node})",
                "install distrecvae there, the same version as here",
            )
            continue
        ours, theirs = _comparable(here), _comparable(node)
        differing = [
            f"{package} {theirs.get(package, 'missing')} (here {ours.get(package, 'missing')})"
            for package in ours.keys() | theirs.keys()
            if ours.get(package) != theirs.get(package)
        ]
        if differing:
            yield Finding(
                f"node {name}",
                f"has {', '.join(sorted(differing))}",
                "install the same versions on every node: pip install -c constraints.txt",
            )
        else:
            yield Finding(f"node {name}", f"{node.usable_cores} cores, the same versions")


def _comparable(machine: Machine) -> dict[str, str]:
    """Return versions without what names a build: PyTorch may be built for CUDA on one node and not on another."""
    versions = {name: found.partition("+")[0] for name, found in machine.versions.items()}
    return {"Python": machine.python, **versions}


def of_versions(
    python: str, python_range: str | None, requirements: Sequence[str], found: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield whether Python and the packages are what distrecvae asks for.

    Args:
        python: the version that runs.
        python_range: the versions asked for; None where distrecvae is not installed as a package.
        requirements: as in pyproject.toml, extras included.
        found: installed versions by the requirements' names.
    """
    if python_range is None:
        yield Finding(
            "versions", f"Python {python}; distrecvae is not installed as a package, so none is checked"
        )
        return
    if not SpecifierSet(python_range).contains(python, prereleases=True):
        yield Finding(
            "versions", f"Python is {python}, and distrecvae asks for {python_range}", "use such a Python"
        )
    wrong = False
    for requirement in map(Requirement, requirements):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        has = found.get(requirement.name)
        if has is None or not requirement.specifier.contains(has, prereleases=True):
            wrong = True
            yield Finding(
                "versions",
                f"{requirement.name} {has or 'is missing'}, and distrecvae asks for {requirement.specifier}",
                f"pip install -c constraints.txt '{requirement}'",
            )
    if not wrong:
        shown = ", ".join(f"{name} {found[name]}" for name in ("ray", "torch", "optuna") if name in found)
        yield Finding("versions", f"Python {python}, {shown}")


def _asked_for() -> tuple[str | None, list[str], dict[str, str]]:
    """Return what the installed distrecvae asks of Python, its requirements, and what is installed of them."""
    try:
        asked = requires("distrecvae") or []
        python = metadata("distrecvae")["Requires-Python"]
    except PackageNotFoundError:
        return None, [], {}
    return str(python), asked, installed(Requirement(text).name for text in asked)
