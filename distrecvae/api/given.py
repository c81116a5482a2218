"""How calls from Python are handled: which arguments were given, and errors that name arguments, not options.

A public function is declared with its arguments, their types and their defaults. The function that carries it out
    receives only those that were given: the others come from the search that is resumed, a preset or a file of
    settings.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from distrecvae.errors import DistrecvaeError, nearest

FLAGS = frozenset(
    {
        "resume",
        "resume-or-start",
        "refit",
        "elastic",
        "widen",
        "synthetic",
        "header",
        "guard-formulas",
        "blend",
        "each-fold",
    }
)
"""Options that are given without a value."""

_OPTION = re.compile(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)")
_COMMAND = re.compile(r"`distrecvae (prepare|search|compare|train|blend|evaluate)`")
_P = ParamSpec("_P")
_R = TypeVar("_R")


def carried_out_by(work: Callable[[dict[str, Any]], _R]) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Return a decorator that passes calls of a function to `work`, with the arguments that were given.

    An argument that is None counts as not given. The function's own body is never run.
    """

    def decorate(declared: Callable[_P, _R]) -> Callable[_P, _R]:
        signature = inspect.signature(declared)

        @functools.wraps(declared)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError as error:
                unknown = next((name for name in kwargs if name not in signature.parameters), "")
                close = nearest(unknown, signature.parameters) if unknown else ""
                raise TypeError(f"{declared.__name__}() {error}{close}") from None
            with spoken_in_python():
                return work({name: value for name, value in given.items() if value is not None})

        return call

    return decorate


@contextmanager
def spoken_in_python() -> Iterator[None]:
    """Let distrecvae's errors name arguments instead of options: `--min-rating` is `min_rating`."""
    try:
        yield
    except DistrecvaeError as error:
        error.args = (in_python(str(error)),)
        raise


def in_python(text: str) -> str:
    """Return a message with arguments for its options, a flag as `name=True`, and functions for its commands."""

    def argument(match: re.Match[str]) -> str:
        name = match[1].replace("-", "_")
        return f"{name}=True" if match[1] in FLAGS else name

    text = text.replace("--no-header", "header=False").replace("--no-blend", "blend=False")
    return _COMMAND.sub(r"distrecvae.\1(...)", _OPTION.sub(argument, text))
