"""Owns when one training run ends: budget and patience, pure rules over what was reported."""

from __future__ import annotations

from collections.abc import Sequence


def room_for_a_cycle(passes: int, passes_per_cycle: int, max_passes: int) -> bool:
    """Return whether another cycle fits in the budget of data passes; the first one always does."""
    return passes == 0 or passes + passes_per_cycle <= max_passes


def out_of_patience(scores: Sequence[tuple[int, float]], patience: int | None) -> bool:
    """Return whether the best score is `patience` passes old, or older.

    Args:
        scores: (passes, score) of each report, in order; equal scores are no improvement.
        patience: passes to wait for a better score; None waits for ever.
    """
    if patience is None or not scores:
        return False
    best_passes, best = scores[0]
    for passes, score in scores:
        if score > best:
            best_passes, best = passes, score
    return scores[-1][0] - best_passes >= patience
