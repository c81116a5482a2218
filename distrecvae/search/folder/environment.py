"""Names what a search's numbers depend on beside its settings, and says what of that has changed when it goes on."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version

from distrecvae import __version__
from distrecvae.search.planning.plan import Plan

_PACKAGES = ("torch", "ray", "optuna")
_OF_NUMBERS = ("torch", "device", "precision")
_OF_PROPOSALS = ("optuna",)


def environment_of(plan: Plan) -> dict[str, str]:
    """Return versions, the trials' device and their precision, by name."""
    return {
        "distrecvae": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
        "device": plan.facts.name,
        "precision": plan.precision,
    }


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return what has changed and what that means for the results, in a line; empty where nothing has."""
    changed = [name for name in now if before.get(name, now[name]) != now[name]]
    if not changed:
        return ""
    text = f"Goes on with {', '.join(f'{name} {now[name]} (was {before[name]})' for name in changed)}:"
    lost = []
    if "distrecvae" in changed or any(name in changed for name in _OF_NUMBERS):
        lost.append("a trial's scores")
    if "distrecvae" in changed or any(name in changed for name in _OF_PROPOSALS):
        lost.append("proposals")
    if not lost:
        return f"{text} results are not touched by that."
    return f"{text} {' and '.join(lost)} may differ from what the search would have had without a break."
