"""Owns what the commands that search share: options to settings, and where results go."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Collection
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from distrecvae.cli.names import complete_metric, complete_model, complete_space
from distrecvae.errors import ConfigError, ResultsError
from distrecvae.precisions import PRECISION_CHOICES
from distrecvae.search.core.config import SAMPLERS, TRACKERS, SearchConfig
from distrecvae.search.core.rules import RULES

RUNS = Path("runs")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_F = TypeVar("_F", bound=Callable[..., Any])

# Option, setting, type. Help and defaults are SearchConfig's.
_OPTIONS: tuple[tuple[str, str, Any], ...] = (
    ("--data", "data", click.Path()),
    ("--model", "model", str),
    ("--space", "space", str),
    ("--warm-start", "warm_start", click.Path()),
    ("--warm-start-trials", "warm_start_trials", int),
    ("--trials", "trials", int),
    ("--max-passes", "max_passes", int),
    ("--min-passes", "min_passes", int),
    ("--reduction-factor", "reduction_factor", int),
    ("--metric", "metric", str),
    ("--sampler", "sampler", click.Choice(SAMPLERS)),
    ("--scheduler", "scheduler", click.Choice(RULES)),
    ("--precision", "precision", click.Choice(PRECISION_CHOICES)),
    ("--concurrent", "concurrent", int),
    ("--cpus-per-trial", "cpus_per_trial", int),
    ("--gpus-per-trial", "gpus_per_trial", float),
    ("--time-budget", "time_budget_s", float),
    ("--checkpoint-every", "checkpoint_every_s", float),
    ("--address", "address", str),
    ("--elastic", "elastic", bool),
    ("--log-to", "log_to", click.Choice(list(TRACKERS))),
    ("--storage", "storage", str),
    ("--seed", "seed", int),
)

_COMPLETED = {"model": complete_model, "space": complete_space, "metric": complete_metric}


def settings_options(*, without: Collection[str] = ()) -> Callable[[_F], _F]:
    """Return a decorator that gives a command an option for each of SearchConfig's settings but those `without`."""
    by_name = {f.name: f for f in fields(SearchConfig)}

    def decorate(function: _F) -> _F:
        for option, name, kind in reversed(_OPTIONS):
            if name in without:
                continue
            setting = by_name[name]
            default = "" if setting.default in (None, False) else f"  [default: {setting.default}]"
            words = setting.metadata["help"]
            text = f"{words[0].upper()}{words[1:]}.{default}"
            form: dict[str, Any] = {"is_flag": True} if kind is bool else {"type": kind}
            form["shell_complete"] = _COMPLETED.get(name)
            function = click.option(option, name, default=None, help=text, **form)(function)
        return function

    return decorate


def results_folder(
    out: Path | None, name: str | None, default: str, *, resume: bool, must_exist: bool | None = None
) -> Path:
    """Return `out`, or runs/NAME; without either a new run gets the next number, a resumed one is the latest.

    Args:
        out: the folder itself.
        name: of a folder below runs/.
        default: the name where neither is given.
        resume: whether the run goes on with an earlier one.
        must_exist: whether there has to be an earlier one; None for `resume`.

    Raises:
        ConfigError: both are given, or a URI.
        ResultsError: there is nothing to resume.
    """
    if out is not None and name is not None:
        raise ConfigError(
            f"--out {out} and --name {name}: only one of them can say where results go; leave one out"
        )
    if out is not None and _URI.match(str(out)):
        raise ConfigError(
            f"--out {out}: results are added to as the search runs, which object storage cannot do; give a folder on"
            " storage that all nodes mount, and copy it there at the end"
        )
    if out is not None:
        return out
    if name is not None:
        return RUNS / name
    pattern = re.compile(re.escape(default) + r"(?:-(\d+))?")
    taken = {}
    for path in RUNS.glob(f"{glob.escape(default)}*"):
        match = pattern.fullmatch(path.name)
        if match and path.is_dir() and any(path.iterdir()):
            taken[int(match[1] or 1)] = path
    if resume and (taken or must_exist is not False):
        if not taken:
            raise ResultsError(
                f"there is no {RUNS / default} to resume; leave out --resume, or say where with --out"
            )
        return taken[max(taken)]
    number = max(taken, default=0) + 1
    return RUNS / (default if number == 1 else f"{default}-{number}")
