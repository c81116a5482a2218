"""What the commands that search share: an option for each setting."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import fields
from typing import Any, TypeVar

import click

from distrecvae.cli.parts.names import complete_metric, complete_model, complete_space
from distrecvae.precisions import PRECISION_CHOICES
from distrecvae.search.core.config import SAMPLERS, TRACKERS, SearchConfig
from distrecvae.search.core.rules import RULES

_F = TypeVar("_F", bound=Callable[..., Any])


def _n_or_all(text: str) -> int | str:
    """Return a whole number, or what was typed where it is none: the setting's own rule looks at that."""
    return int(text) if text.isdecimal() else text


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
    ("--metrics", "metrics", str),
    ("--sampler", "sampler", click.Choice(SAMPLERS)),
    ("--scheduler", "scheduler", click.Choice(RULES)),
    ("--precision", "precision", click.Choice(PRECISION_CHOICES)),
    ("--concurrent", "concurrent", int),
    ("--cpus-per-trial", "cpus_per_trial", int),
    ("--gpus-per-trial", "gpus_per_trial", float),
    ("--time-budget", "time_budget_s", float),
    ("--checkpoint-every", "checkpoint_every_s", float),
    ("--keep-checkpoints", "keep_checkpoints", click.types.FuncParamType(_n_or_all)),
    ("--address", "address", str),
    ("--elastic", "elastic", bool),
    ("--log-to", "log_to", click.Choice(list(TRACKERS))),
    ("--storage", "storage", str),
    ("--notify", "notify", str),
    ("--price-per-hour", "price_per_hour", float),
    ("--enough", "enough", float),
    ("--widen", "widen", bool),
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
            said = setting.default is not None and setting.default is not False  # a seed of 0 is one
            default = f"  [default: {setting.default}]" if said else ""
            words = setting.metadata["help"]
            text = f"{words[0].upper()}{words[1:]}.{default}"
            form: dict[str, Any] = {"is_flag": True} if kind is bool else {"type": kind}
            form["shell_complete"] = _COMPLETED.get(name)
            function = click.option(option, name, default=None, help=text, **form)(function)
        return function

    return decorate
