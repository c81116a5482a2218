"""The options that say how a file of interactions is read: the same for `prepare` and for `recommend`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from distrecvae.data.sources import FORMATS

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--user-column", metavar="NAME", help="Column of user ids, or its position.  [default: found by name]"
    ),
    click.option(
        "--item-column", metavar="NAME", help="Column of item ids, or its position.  [default: found by name]"
    ),
    click.option(
        "--rating-column",
        metavar="NAME",
        help="Column of ratings or counts; none: there is none.  [default: found by name]",
    ),
    click.option(
        "--header/--no-header",
        default=None,
        help="Whether a text's first line names its columns; without a header columns are told by position, "
        "--user-column 1.  [default: told by that line]",
    ),
    click.option(
        "--missing",
        multiple=True,
        metavar="TEXT",
        help="Leave out rows whose user or item id is TEXT, such as NA; '' for empty ones; may be repeated.  "
        "[default: an empty id is refused, others are ids]",
    ),
    click.option(
        "--encoding",
        metavar="NAME",
        help="Of a text, such as latin-1.  [default: its byte order mark's, or UTF-8]",
    ),
    click.option(
        "--max-rows",
        type=click.IntRange(1),
        metavar="N",
        help="Refuse a file with more rows.  [default: what the memory has room for]",
    ),
    click.option(
        "--format", "source_format", type=click.Choice(FORMATS), help="[default: told by name and content]"
    ),
    click.option(
        "--member", metavar="NAME", help="Which file of a zip or folder to read.  [default: the known one]"
    ),
)


def reading_options(command: Command) -> Command:
    """Give a command the options that say how its file is read."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
