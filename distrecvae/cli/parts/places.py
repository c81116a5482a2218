"""The options that name a place: a folder on this machine, or a URI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from distrecvae.storage.uri import as_place

Command = TypeVar("Command", bound=Callable[..., Any])


class _Place(click.Path):
    """A path, or a URI, which stays text."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        """Return the `Path`, or the URI."""
        return as_place(str(super().convert(value, param, ctx)))


PLACE = _Place()
"""The type of such an option."""


def out_option(**settings: Any) -> Callable[[Command], Command]:
    """Return a decorator that gives a command its `--out`."""
    return click.option("--out", type=PLACE, **settings)


def working_copy_option(command: Command) -> Command:
    """Give a command the option that says where the working copy of a URI lies."""
    return click.option(
        "--working-copy",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Where results at a URI are written first.  [default: ~/.cache/distrecvae/results/NAME-...]",
    )(command)
