"""Code that is named, not shipped: `package.module:name` of a metric or a model of one's own.

A name in a file is anybody's: a model folder from elsewhere must not choose what is imported here. So a name counts
only where a person gave it: typed as an option, handed over in Python, or listed in the environment.
"""

from __future__ import annotations

import importlib
import os
import re
from typing import Any

from distrecvae.errors import ConfigError

VARIABLE = "DISTRECVAE_TRUST"
"""The environment's list of names that are trusted, separated by commas."""

_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_trusted: set[str] = set()


def is_dotted(name: str) -> bool:
    """Return whether `name` is written as `package.module:name`."""
    return _DOTTED.fullmatch(name) is not None


def trust(name: str) -> None:
    """Trust `name`, which a person asked for, for the life of this process; what is not dotted needs no trust."""
    if is_dotted(name):
        _trusted.add(name)


def named_object(name: str, what: str) -> Any:
    """Return the object that a trusted dotted name stands for.

    Args:
        name: `package.module:name`.
        what: what it is to be, such as `model`, for the message.

    Raises:
        ConfigError: nobody asked for it here, or it cannot be imported.
    """
    listed = {each.strip() for each in os.environ.get(VARIABLE, "").split(",")}
    if not is_dotted(name) or name not in _trusted | listed:
        raise ConfigError(
            f"{what} {name!r} is code that a file names; if you trust it, name it in the command, or set"
            f" {VARIABLE}={name}"
        )
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"{what} {name!r} cannot be imported ({error}); install its package where the search and its workers run"
        ) from None
