"""A training in its folder, from its order to its scores: one run, or one per seed; for command line and Python."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from distrecvae.api.train.loop import say, train_seeds_to_end, train_to_end
from distrecvae.api.train.settings import (
    Configuration,
    implied_by_refit,
    new_settings,
    old_settings,
    refuse_used,
)
from distrecvae.data.dataset import Split
from distrecvae.data.prepared import Data
from distrecvae.errors import ConfigError
from distrecvae.evaluation import Evaluation
from distrecvae.files import exclusive, storage_error
from distrecvae.layout import DATA_FOLDER
from distrecvae.runs import training_run as runs
from distrecvae.runs.refit import RefitRun, with_validation_users
from distrecvae.runs.seeds import read_seeds, seed_folder, write_seeds
from distrecvae.training.device import usable_device, use_threads


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a training is asked to do; settings of `RunSettings` that were not given are not in it.

    Attributes:
        given: settings of the run that were given.
        configuration: reads the model's; None where nothing of it was given.
        config_source: the file that it comes from, where it is one.
        seeds: how many seeds to train.
        address: the Ray cluster that seeds join.
        refit: train on the validation users, too.
        device: where to train; None for a GPU where there is one.
        precision: of the matrix products.
        threads: CPU threads; None for all cores.
        checkpoint_every_s: seconds between checkpoints, at least.
        resume: resume what lies there.
    """

    given: Mapping[str, Any]
    configuration: Configuration | None = None
    config_source: str | None = None
    seeds: int | None = None
    address: str | None = None
    refit: bool = False
    device: str | None = None
    precision: str | None = None
    threads: int | None = None
    checkpoint_every_s: float = 30.0
    resume: bool = False


@dataclass(frozen=True)
class Trained:
    """How a training ended.

    Attributes:
        complete: it was not stopped early by a signal.
        settings: of the run, or of the first seed's.
        seeds: of a training with several.
        scores: of one run that is complete, by group of users.
        ended: why it is over, or how far it came.
    """

    complete: bool
    settings: runs.RunSettings
    seeds: tuple[int, ...] = ()
    scores: Mapping[str, Evaluation] = field(default_factory=dict)
    ended: str = ""


def train_in(out: Path, order: Order, *, goes_on: str, data: Data | None = None) -> Trained:
    """Train in a folder as ordered, printing progress, and score the model.

    Args:
        out: the results folder.
        order: what to do.
        goes_on: what to type to resume, shown if a signal stops it.
        data: the data set, where the caller has it; one that lies nowhere is written into `out`.

    Raises:
        DistrecvaeError: what was asked for, the data or the folder does not fit.
    """
    seeds, resume, split = order.seeds, order.resume, None if data is None else data.split
    given = dict(order.given)
    if data is not None:
        given["data"] = str(out / DATA_FOLDER) if data.folder is None else data.folder
    if order.refit:
        given |= implied_by_refit(given, order.config_source, seeds, resume=resume)
    use_threads(order.threads)
    device = usable_device(order.device)
    many = seeds is not None
    if order.address is not None and not many and not (resume and read_seeds(out)):
        raise ConfigError(
            f"--address {order.address} without --seeds: one run needs no cluster; leave it out"
        )
    if not resume:
        split, settings = new_settings(given, order.configuration, order.precision, device, split)
        numbers = tuple(range(settings.seed, settings.seed + (seeds or 1)))
        refuse_used(out)
    else:
        begun = read_seeds(out)
        if many and (begun is None or len(begun) > (seeds or 0)):
            raise ConfigError(
                f"{out} was started with {len(begun or [0])} seed(s), --seeds is {seeds}; runs of several seeds may"
                " only grow: start over in another folder"
            )
        many = begun is not None
        place = seed_folder(out, begun[0]) if begun else out
        split, settings = old_settings(place, given, order.configuration, order.precision, split)
        numbers = tuple(range(settings.seed, settings.seed + (seeds or len(begun or [0]))))
    with exclusive(out):
        if not resume:
            refuse_used(out)
        if data is not None and data.folder is None and not (out / DATA_FOLDER).exists():
            data.save(out / DATA_FOLDER)
        if not many:
            return _run(out, settings, split, device, order.checkpoint_every_s, goes_on)
        write_seeds(out, numbers)
        own = {seed_folder(out, number): replace(settings, seed=number) for number in numbers}
        if _run_seeds(out, own, split, device, order.threads, order.checkpoint_every_s, order.address):
            say(f"stopped; continue with:\n  {goes_on}")
            return Trained(False, settings, numbers, ended=f"stopped; continue with: {goes_on}")
        return Trained(True, settings, numbers, ended=f"{len(numbers)} seeds are trained")


def _run_seeds(
    out: Path,
    own: Mapping[Path, runs.RunSettings],
    split: Split,
    device: str,
    threads: int | None,
    checkpoint_every_s: float,
    address: str | None,
) -> bool:
    """Train and score each seed's run; return whether a signal stopped them early."""
    for place, settings in own.items():
        runs.write_settings(place, settings)
    if train_seeds_to_end(
        out,
        own,
        split,
        device=device,
        threads=threads,
        checkpoint_every_s=checkpoint_every_s,
        address=address,
    ):
        return True
    say("")
    for place, settings in own.items():
        run = runs.TrainingRun(place, settings, split, device=device, checkpoint_every_s=checkpoint_every_s)
        run.finish()
        say(f"seed {settings.seed}: {run.ended}")
    say("")
    return False


def _run(
    out: Path, settings: runs.RunSettings, split: Split, device: str, checkpoint_every_s: float, goes_on: str
) -> Trained:
    """Train in `out` and score the model, unless a signal stops it early."""
    kind = RefitRun if settings.refit else runs.TrainingRun
    run = kind(out, settings, split, device=device, checkpoint_every_s=checkpoint_every_s)
    runs.write_settings(out, settings)
    users, interactions = split.train.n_users, split.train.n_interactions
    if settings.refit:
        trained = with_validation_users(split)
        users, interactions = trained.n_users, trained.n_interactions
    say(
        f"{settings.model} on {users:,} training{' and validation' if settings.refit else ''} users x"
        f" {split.n_items:,} items ({interactions:,} interactions), at most {settings.max_passes} passes,"
        f" {settings.precision}"
    )
    if run.passes:
        say(f"continuing after {run.passes} passes")
    try:
        if train_to_end(run, settings):
            say(f"stopped after {run.passes} passes; continue with:\n  {goes_on}")
            return Trained(
                False, settings, ended=f"stopped after {run.passes} passes; continue with: {goes_on}"
            )
        scores = run.finish()
    except KeyboardInterrupt:
        say(f"\nto resume after the last checkpoint:\n  {goes_on}", file=sys.stderr)
        raise
    except OSError as error:
        raise storage_error(error, out, goes_on) from error
    best = run.best
    assert best is not None  # noqa: S101  (a finished run has a cycle)
    chosen = "" if settings.refit else f"; best after {best['passes']} passes (cycle {best['cycle']})"
    say(f"\n{run.ended}{chosen}")
    return Trained(True, settings, scores=scores, ended=f"{run.ended}{chosen}")
