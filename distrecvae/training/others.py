"""Models of other packages: found by their entry points, or by a dotted name that a person gave.

A package says `[project.entry-points."distrecvae.models"]` and `its-model = "its_package.module:entry"`; whoever
installs it has the model by that name. Without a package there is `--model package.module:entry`. Nothing of it is
imported before it is asked for.
"""

from __future__ import annotations

from dataclasses import is_dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from distrecvae.dotted import is_dotted, named_object
from distrecvae.errors import ConfigError
from distrecvae.training.entry import Entry

GROUP = "distrecvae.models"
"""The group of the entry points."""


@cache
def installed() -> dict[str, Any]:
    """Return the entry points of installed packages by the name of their model; the first of equal names."""
    found: dict[str, Any] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda each: (each.name, each.value)):
        found.setdefault(point.name, point)
    return found


def is_other(model: str) -> bool:
    """Return whether `model` names one that is not ours: an installed entry point's, or a dotted name."""
    return model in installed() or is_dotted(model)


@cache
def other_entry(model: str) -> Entry:
    """Return what another package says of its model.

    Raises:
        ConfigError: it cannot be imported, nobody asked for it here, or it is no `Entry`.
    """
    point = installed().get(model)
    if point is None:
        found = named_object(model, "model")
    else:
        try:
            found = point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"model {model!r} of {point.value} cannot be imported ({error}); reinstall its package, or remove it"
            ) from None
    if not isinstance(found, Entry):
        raise ConfigError(
            f"model {model!r} is a {type(found).__name__}; it must be a distrecvae.training.entry.Entry, as"
            " docs/your-model.md shows"
        )
    if not is_dataclass(found.config_class):
        raise ConfigError(
            f"model {model!r} has {found.config_class.__name__} for its settings; it must be a dataclass, as"
            " docs/your-model.md shows"
        )
    return found
