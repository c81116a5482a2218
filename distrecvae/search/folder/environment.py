"""Names what a search's numbers depend on beside its settings, and says what of that has changed when it is resumed."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version

from distrecvae import __version__
from distrecvae.search.planning.plan import Plan
from distrecvae.training.device import processor_name

_PACKAGES = ("torch", "numpy", "scipy", "ray", "optuna")
_OF_NUMBERS = ("torch", "numpy", "scipy", "device", "precision", "processor", "threads")
_OF_PROPOSALS = ("optuna",)


def environment_of(plan: Plan) -> dict[str, str]:
    """Return versions, the trials' device, precision and threads, and this machine's processor, by name."""
    return {
        **versions(),
        "device": plan.facts.name,
        "precision": plan.precision,
        "processor": processor_name(),
        "threads": str(plan.slots.cpus),
    }


def versions() -> dict[str, str]:
    """Return the versions that are installed here of what numbers and proposals depend on, by name."""
    return {
        "distrecvae": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }


def touching_numbers(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return what differs of all that a trial's numbers depend on: `torch 2.9 (was 2.8)`, each."""
    names = ("distrecvae", *_OF_NUMBERS)
    return [
        f"{name} {now[name]} (was {before[name]})"
        for name in names
        if name in now and before.get(name, now[name]) != now[name]
    ]


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return what has changed and what that means for the results, in a line; empty where nothing has."""
    changed = [name for name in now if before.get(name, now[name]) != now[name]]
    if not changed:
        return ""
    text = f"Resumed with {', '.join(f'{name} {now[name]} (was {before[name]})' for name in changed)}:"
    lost = []
    if "distrecvae" in changed or any(name in changed for name in _OF_NUMBERS):
        lost.append("a trial's scores")
    if "distrecvae" in changed or any(name in changed for name in _OF_PROPOSALS):
        lost.append("proposals")
    if not lost:
        return f"{text} results are not affected."
    return f"{text} {' and '.join(lost)} may differ from what the search would have had without a break."
