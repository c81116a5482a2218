"""Curves for the tests of rules."""

from __future__ import annotations

from collections.abc import Sequence

from distrecvae.search.core.rules import Curve


def curves(*points: Sequence[tuple[int, float]]) -> dict[int, Curve]:
    """Trial n has the n-th list of (passes, running best)."""
    return {number: Curve(number, tuple(p)) for number, p in enumerate(points)}


def at_rung(passes: int, values: Sequence[float]) -> dict[int, Curve]:
    return curves(*([(passes, value)] for value in values))
