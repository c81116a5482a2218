"""The options that say how a table is split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

import click

from distrecvae.data.presets import PRESETS
from distrecvae.data.splitting.options import HELD_OUT_BY, SPLITS, SplitOptions

Command = TypeVar("Command", bound=Callable[..., Any])

_DEFAULTS = {field.name: field.default for field in fields(SplitOptions)}


def _held_out(_context: click.Context, _option: click.Parameter, text: str | None) -> int | float | None:
    """Return an int for a count of users (600) and a float for a fraction of them (0.1, 10%)."""
    if text is None:
        return None
    text = text.strip()
    try:
        if text.endswith("%"):
            return float(text[:-1]) / 100
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is neither a count such as 600 nor a fraction such as 0.1 or 10%"
        ) from error


_OPTIONS = (
    click.option(
        "--preset", type=click.Choice(list(PRESETS)), help="A published protocol; other options override it."
    ),
    click.option(
        "--min-rating",
        type=float,
        metavar="R",
        help="Keep rows with rating > R, strictly (3.5 keeps 4 and above, as published).  [default: "
        "keep every row]",
    ),
    click.option(
        "--min-user-interactions",
        type=click.IntRange(0),
        metavar="N",
        help=f"Drop users with fewer.  [default: {_DEFAULTS['min_user_interactions']}]",
    ),
    click.option(
        "--min-item-interactions",
        type=click.IntRange(0),
        metavar="N",
        help=f"Drop items with fewer, before users are dropped.  [default: {_DEFAULTS['min_item_interactions']}]",
    ),
    click.option(
        "--held-out-users",
        callback=_held_out,
        metavar="N|F",
        help="Validation users, and as many test users: a count, or a fraction of all.  "
        f"[default: {_DEFAULTS['held_out_users']}]",
    ),
    click.option(
        "--held-out-fraction",
        type=float,
        metavar="F",
        help="Share of a held-out user's items that must be predicted.  "
        f"[default: {_DEFAULTS['held_out_fraction']}]",
    ),
    click.option(
        "--split",
        type=click.Choice(SPLITS),
        help="What is divided: users into groups; interactions at two moments that hold for all; or each user's last "
        f"items from the others.  [default: {_DEFAULTS['split']}]",
    ),
    click.option(
        "--held-out-by",
        type=click.Choice(HELD_OUT_BY),
        help="Which items of a held-out user must be predicted: any, or the latest.  "
        f"[default: {_DEFAULTS['held_out_by']}]",
    ),
    click.option(
        "--valid-from",
        metavar="WHEN",
        help="With global-time: train on what came before. A date, a number as the times are, or a share of the "
        f"interactions.  [default: {_DEFAULTS['valid_from']}]",
    ),
    click.option(
        "--test-from",
        metavar="WHEN",
        help=f"With global-time: validate before, test from then on.  [default: {_DEFAULTS['test_from']}]",
    ),
    click.option(
        "--leave",
        type=click.IntRange(1),
        metavar="N",
        help="With leave-last: each user's last N items are for the test, the N before them for validation.  "
        f"[default: {_DEFAULTS['leave']}]",
    ),
    click.option(
        "--folds",
        type=click.IntRange(2),
        metavar="K",
        help="Write K data sets, OUT/fold-1 and so on: each user but the validation users is tested in one. "
        "`train --each-fold` takes them all.",
    ),
    click.option(
        "--seed",
        type=int,
        metavar="N",
        help=f"Seed of the split; with --synthetic of the data.  [default: {_DEFAULTS['seed']}; synthetic 0]",
    ),
)


def splitting_options(command: Command) -> Command:
    """Give a command the options that say how a table is split."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
