"""The trial of this machine's GPU: small trainings whose results, waits and memory are held to what is promised.

No Ray in here: a bare GPU box can be tried, too. benchmarks/gpu_acceptance.py calls the same checks at larger shapes.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ResourceError
from distrecvae.evaluation import GPU_BATCH_USERS, Recommender, evaluate
from distrecvae.metrics import RANKS
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.precisions import Precision
from distrecvae.ranking import rank
from distrecvae.search.doctor.watching import (
    graphs_made,
    median_s,
    outside_bytes,
    recording_failures,
    waits,
)
from distrecvae.training import registry
from distrecvae.training.device import (
    CUDA_CONTEXT_BYTES,
    OUT_OF_MEMORY,
    device_facts,
    give_back_memory,
    is_ruinous,
)
from distrecvae.training.schemes import graphs
from distrecvae.training.trainer import Trainer
from distrecvae.words import gib, mib, one_line

DEVICE = "cuda"
SLOW_CYCLE_S = 1.0
"""A cycle at the doctor's shape is some 50 steps, a few hundredths of a second where a GPU is free and cool."""
SLOW_EVALUATION_S = 0.3
"""For 10,000 users of 20,000 items, and so for the doctor's few."""
BFLOAT16_FROM = (8, 0)
"""Compute capability (Ampere) from which bfloat16 is multiplied in hardware."""

_OURS = (
    "report it with this line and what `python -m torch.utils.collect_env` says; until then train on the CPU"
)
_BUSY = "end what else runs on this GPU (nvidia-smi)"


class Checked(NamedTuple):
    """One thing that was tried.

    Attributes:
        subject: what, in a word or two.
        text: what came of it.
        remedy: what to do; None where all is well.
        figures: what was measured, by name with its unit.
    """

    subject: str
    text: str
    remedy: str | None = None
    figures: Mapping[str, float] = {}


def examine_gpu(split: Split | None = None, config: RecVAEConfig | None = None) -> Iterator[Checked]:
    """Yield what was tried as it is: at most two minutes with the published settings on 6,000 users.

    Args:
        split: the data; None makes some.
        config: RecVAE's settings; None for the published ones.

    Raises:
        ResourceError: PyTorch finds no GPU.
    """
    require_gpu()
    precision = device_facts(DEVICE).precision
    data = split or synthetic_split(n_users=6000, n_items=3600, seed=0, held_out_users=600)
    train, config = data.train, config or RecVAEConfig()
    checks: tuple[tuple[str, Callable[[], Iterator[Checked]]], ...] = (
        ("device", _each(of_device)),
        ("states", partial(of_states, config, train, precision)),
        ("waits", _each(of_waits, config, train, precision)),
        ("memory", _each(of_memory, "recvae", config, train, precision)),
        ("evaluation", _each(_of_trained, config, data, precision)),
        ("speed", _each(of_speed, config, train, precision, SLOW_CYCLE_S)),
    )
    for subject, check in checks:
        try:
            yield from check()
        except OUT_OF_MEMORY as error:
            yield Checked(subject, f"out of memory ({one_line(error)})", _BUSY)
        except RuntimeError as error:
            yield Checked(subject, f"fails: {type(error).__name__}: {one_line(error)}", _OURS)
            if is_ruinous(error):
                return  # every further call would fail, whatever it is


def require_gpu() -> None:
    """Refuse where PyTorch finds no GPU.

    Raises:
        ResourceError: it finds none.
    """
    if not torch.cuda.is_available():
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        raise ResourceError(
            f"PyTorch {torch.__version__}, {built}, finds no GPU here; look at nvidia-smi and CUDA_VISIBLE_DEVICES, or"
            " install PyTorch's build for your CUDA"
        )


def of_device() -> Checked:
    """Return what the GPU is, and whether its bfloat16 products are as exact as they should be."""
    facts, capability = device_facts(DEVICE), torch.cuda.get_device_capability()
    text = (
        f"{facts.name}, {gib(facts.memory_bytes)}, compute capability {capability[0]}.{capability[1]},"
        f" PyTorch {torch.__version__} (CUDA {torch.version.cuda})"
    )
    figures = {"memory_bytes": float(facts.memory_bytes)}
    if facts.precision == "bfloat16":
        return Checked("device", f"{text}; bfloat16 products agree with float64", figures=figures)
    if capability < BFLOAT16_FROM:
        return Checked("device", f"{text}; float32, it has no bfloat16", figures=figures)
    return Checked(
        "device",
        f"{text}; its bfloat16 products are further from float64 than rounding explains",
        "search with --precision float32, and update the driver and PyTorch",
        figures,
    )


def of_states(
    config: RecVAEConfig, train: InteractionMatrix, precision: Precision, *, cycles: int = 4
) -> Iterator[Checked]:
    """Yield whether trainings that should end in one state do, to the bit: again, unrecorded, stopped and resumed."""
    with graphs_made() as made, recording_failures() as failures:
        wanted = trained(config, train, precision, cycles).state_dict()
    if failures or not made:
        why = failures[0] if failures else "no batch is whole"
        yield Checked("graphs", f"no step was recorded ({why})", "update the driver; training is slower so")
    else:
        yield Checked(
            "graphs", f"{len(made)} kinds of steps are recorded", figures={"graphs": float(len(made))}
        )
    yield _same("the same again", wanted, trained(config, train, precision, cycles).state_dict())
    with graphs.not_recorded():
        yield _same("not recorded", wanted, trained(config, train, precision, cycles).state_dict())
    half = trained(config, train, precision, cycles // 2).state_dict()
    resumed = _trainer(config, train, precision)
    resumed.load_state_dict(half)
    yield _same("resumed", wanted, _stepped(resumed, cycles - cycles // 2).state_dict())


def _same(subject: str, wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]) -> Checked:
    for name, value in wanted.items():
        if not torch.equal(value, found[name]):
            furthest = float((value.double() - found[name].double()).abs().max())
            return Checked(
                subject, f"another state: {name} differs by {furthest:.3g}", _OURS, {"furthest": furthest}
            )
    return Checked(subject, "the same state, to the bit", figures={"furthest": 0.0})


def of_waits(config: RecVAEConfig, train: InteractionMatrix, precision: Precision) -> Checked:
    """Return whether the host waits for the GPU but once a pass, for its losses."""
    trainer = trained(config, train, precision, graphs.WARM_UP + 1)
    with waits() as places:
        trainer.step()
    wanted = trainer.passes_per_cycle
    text = f"{len(places)} in {wanted} passes"
    figures = {"waits": float(len(places)), "passes": float(wanted)}
    if len(places) > wanted:
        return Checked("waits", f"{text}, among them {', '.join(sorted(set(places)))}", _OURS, figures)
    return Checked("waits", f"{text}, for their losses", figures=figures)


def of_memory(
    model: str, config: Any, train: InteractionMatrix, precision: Precision, *, passes: int = 8
) -> Checked:
    """Return what training and evaluating a model takes, against the estimate by which a search admits it."""
    give_back_memory()
    torch.cuda.synchronize()
    held, outside = torch.cuda.memory_allocated(), outside_bytes()
    torch.cuda.reset_peak_memory_stats()
    trainer = registry.make_trainer(model, config, train, seed=1, device=DEVICE, precision=precision)
    while trainer.passes < passes and not trainer.solved:
        trainer.step()
    evaluate(trainer.model, HeldOutUsers(*[train.slice(0, min(train.n_users, GPU_BATCH_USERS))] * 2))
    allocated = torch.cuda.max_memory_allocated() - held
    reserved = torch.cuda.max_memory_reserved()
    context = max(outside, outside_bytes())
    estimate, _ = registry.memory_bytes(model, config, train, device=DEVICE, precision=precision)
    subject = "memory" if model == "recvae" else f"memory, {model}"
    text = f"{mib(allocated)} of {mib(estimate)} estimated; {mib(reserved)} reserved and {mib(context)} beside it"
    figures = {
        "allocated_bytes": allocated, "reserved_bytes": reserved, "context_bytes": context, "estimate_bytes": estimate,
    }  # fmt: skip
    remedy = None
    if allocated > estimate:
        remedy = (
            f"give a trial more of a GPU (--gpus-per-trial) than it asks for, and {_OURS.partition(';')[0]}"
        )
    elif reserved + context > estimate + CUDA_CONTEXT_BYTES:
        remedy = (
            f"give a trial {mib(reserved + context)} of a GPU at least (--gpus-per-trial), or end what else holds"
            " memory of it (nvidia-smi)"
        )
    return Checked(subject, text, remedy, {name: float(value) for name, value in figures.items()})


def of_evaluation(model: Recommender, users: HeldOutUsers, *, limit_s: float | None) -> Checked:
    """Return whether users are ranked on the GPU as on the CPU from the same scores, and how long evaluating takes.

    Args:
        model: on the GPU.
        users: whom to rank for.
        limit_s: seconds for them all that are too many; None where time is no matter.
    """
    differing = 0
    for start in range(0, users.n_users, GPU_BATCH_USERS):
        shown = users.fold_in.slice(start, min(start + GPU_BATCH_USERS, users.n_users))
        scores = model.score(shown)
        here = rank(scores.cpu(), shown, RANKS)
        differing += int(np.any(rank(scores, shown, RANKS) != here, axis=1).sum())
    taken = median_s(lambda: evaluate(model, users))
    figures = {"differing_users": float(differing), "evaluation_s": taken, "users": float(users.n_users)}
    text = f"{users.n_users:,} users in {taken:.3f} s"
    if differing:
        return Checked("evaluation", f"{text}; {differing} ranked as the CPU does not", _OURS, figures)
    text = f"{text}, ranked as the CPU ranks them"
    slow = limit_s is not None and taken > limit_s
    return Checked("evaluation", text, _BUSY if slow else None, figures)


def _of_trained(config: RecVAEConfig, split: Split, precision: Precision) -> Checked:
    return of_evaluation(
        trained(config, split.train, precision, 1).model, split.valid, limit_s=SLOW_EVALUATION_S
    )


def of_speed(
    config: RecVAEConfig, train: InteractionMatrix, precision: Precision, limit_s: float | None
) -> Checked:
    """Return how long a cycle takes once its steps are recorded; above `limit_s` is too long, if it is not None."""
    trainer = trained(config, train, precision, graphs.WARM_UP + 1)
    taken = median_s(trainer.step)
    steps = trainer.passes_per_cycle * -(-train.n_users // config.batch_size)
    slow = limit_s is not None and taken > limit_s
    return Checked(
        "speed",
        f"{taken:.3f} s a cycle, {1000 * taken / steps:.2f} ms a step",
        f"{_BUSY}; is it throttled (nvidia-smi -q -d PERFORMANCE)?" if slow else None,
        {"cycle_s": taken, "step_s": taken / steps},
    )


def trained(config: RecVAEConfig, train: InteractionMatrix, precision: Precision, cycles: int) -> Trainer:
    """Return a trainer of RecVAE on the GPU after that many cycles."""
    return _stepped(_trainer(config, train, precision), cycles)


def _trainer(config: RecVAEConfig, train: InteractionMatrix, precision: Precision) -> Trainer:
    return registry.make_trainer("recvae", config, train, seed=1, device=DEVICE, precision=precision)


def _stepped(trainer: Trainer, cycles: int) -> Trainer:
    for _ in range(cycles):
        trainer.step()
    return trainer


def _each(check: Callable[..., Checked], *given: Any) -> Callable[[], Iterator[Checked]]:
    def run() -> Iterator[Checked]:
        yield check(*given)
        gc.collect()  # a trainer is no part of what is measured next

    return run
