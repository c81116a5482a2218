"""The step that times and profiles MovieLens-20M's shape: seconds a cycle, launches a step, how busy the GPU is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch

from acceptance.given import Given, Shape, users_of
from acceptance.outcome import Criterion
from distrecvae.search.doctor import gpu
from distrecvae.training.schemes import graphs

CYCLE_S, GOAL_S = 1.0, 0.2
KERNEL_MS = 0.3
SLOWEST = 10
PROFILED_USERS = 10_000


class Launch(NamedTuple):
    """One kernel, copy or fill on the GPU, in microseconds."""

    name: str
    start_us: float
    end_us: float


class Profile(NamedTuple):
    """What a profile says.

    Attributes:
        launches: kernels, copies and fills.
        busy: share of the time from the first to the last in which one of them ran.
        slowest: name, launches, milliseconds in all and of the longest; the most in all first.
        longest_ms: of all launches.
    """

    launches: int
    busy: float
    slowest: tuple[tuple[str, int, float, float], ...]
    longest_ms: float


def speed(given: Given) -> Iterator[Criterion]:
    """Time and profile training at MovieLens-20M's shape in bfloat16."""
    train, config = users_of(given.ml20m), given.config
    yield Criterion("data", f"{train.n_users:,} users x {train.n_items:,} items, {train.n_interactions:,}")
    if given.soft:
        yield from _recorded_calls(given)
        yield Criterion("seconds, kernels", "left out: the soft device's time is this machine's")
        return
    checked = gpu.of_speed(config, train, "bfloat16", CYCLE_S)
    wanted = f"at most {CYCLE_S:g} s a cycle (the goal is {GOAL_S:g})"
    yield Criterion("a cycle", checked.text, wanted, checked.remedy is None, checked.figures)
    shape = given.ml20m
    fewer = users_of(Shape(PROFILED_USERS, shape.n_items, shape.per_user))
    trainer = gpu.trained(config, fewer, "bfloat16", graphs.WARM_UP + 1)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        trainer.step()
        torch.cuda.synchronize()
    found = profile(launches_in(profiler.events() or []))
    steps = trainer.passes_per_cycle * -(-PROFILED_USERS // config.batch_size)
    yield Criterion(
        "launches a step", f"{found.launches / steps:.0f}", figures={"launches": found.launches / steps}
    )
    yield Criterion("GPU busy", f"{found.busy:.2f} of the time", figures={"busy": found.busy})
    wanted = f"at most {KERNEL_MS} ms"
    yield Criterion("longest kernel", f"{found.longest_ms:.3f} ms", wanted, found.longest_ms <= KERNEL_MS)
    for name, count, all_ms, longest_ms in found.slowest:
        text = f"{count} launches, {all_ms:.2f} ms in all, the longest {longest_ms:.3f} ms"
        yield Criterion(
            name[:80], text, figures={"launches": count, "all_ms": all_ms, "longest_ms": longest_ms}
        )


def _recorded_calls(given: Given) -> Iterator[Criterion]:
    from tests.soft_cuda.tensors import device

    soft = device()
    soft.reset_counts()
    gpu.trained(given.config, users_of(given.ml20m), "bfloat16", graphs.WARM_UP + 1)
    calls = [len(capture.names) for capture in soft.captures]
    yield Criterion("recorded", f"{len(calls)} kinds of steps, {calls} calls", "three kinds", len(calls) == 3)


def launches_in(events: Iterable[Any]) -> list[Launch]:
    """Return what ran on the GPU of a profiler's events; what only frames it (annotations) is no launch."""
    return [
        Launch(event.name, event.time_range.start, event.time_range.end)
        for event in events
        if "CUDA" in str(event.device_type)
        and not getattr(event, "is_user_annotation", False)
        and not event.name.startswith(("ProfilerStep", "Optimizer."))
    ]


def profile(launches: list[Launch]) -> Profile:
    """Return what the launches say.

    Raises:
        RuntimeError: there is none: the profiler saw nothing.
    """
    if not launches:
        raise RuntimeError("the profiler saw nothing run on the GPU")
    busy_us, reached = 0.0, min(launch.start_us for launch in launches)
    first = reached
    by_name: defaultdict[str, list[float]] = defaultdict(list)
    for launch in sorted(launches, key=lambda launch: launch.start_us):
        by_name[launch.name].append((launch.end_us - launch.start_us) / 1000)
        busy_us += max(0.0, launch.end_us - max(reached, launch.start_us))
        reached = max(reached, launch.end_us)
    rows = [(name, len(times), sum(times), max(times)) for name, times in by_name.items()]
    rows.sort(key=lambda row: -row[2])
    return Profile(
        len(launches),
        busy_us / max(reached - first, 1e-9),
        tuple(rows[:SLOWEST]),
        max(row[3] for row in rows),
    )
