"""Says when a training ends: solved, out of budget or out of patience; pure rules over what was reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distrecvae.errors import ConfigError
from distrecvae.training.trainer import Trainer


def why_over(
    trainer: Trainer,
    max_passes: int,
    *,
    scores: Sequence[tuple[int, float]] = (),
    patience: int | None = None,
    title: str = "score",
) -> str | None:
    """Return why a training is over, in words, or None where it is not.

    Args:
        trainer: where it stands.
        max_passes: its budget of data passes.
        scores: (passes, score) of each report, in order; none where nothing is scored.
        patience: passes to wait for a better score; None waits for ever.
        title: what the scores are called.
    """
    if trainer.solved:
        return "solved, there is nothing to train further"
    if out_of_patience(scores, patience):
        return f"no better {title} for {patience} passes"
    if not room_for_a_cycle(trainer.passes, trainer.passes_per_cycle, max_passes):
        return f"{trainer.passes} of {max_passes} passes are done"
    return None


def room_for_a_cycle(passes: int, passes_per_cycle: int, max_passes: int) -> bool:
    """Return whether another cycle fits in the budget of data passes; the first one always does."""
    return passes == 0 or passes + passes_per_cycle <= max_passes


def cycle_passes(config: Any) -> int:
    """Return how many data passes a cycle of a model with these settings takes."""
    return int(getattr(config, "cycle_passes", 1))


def require_a_cycle(model: str, config: Any, max_passes: int) -> None:
    """Refuse a budget that does not reach for one cycle.

    Args:
        model: its name.
        config: its settings.
        max_passes: the budget.

    Raises:
        ConfigError: it does not.
    """
    needed = cycle_passes(config)
    if max_passes < needed:
        raise ConfigError(
            f"--max-passes is {max_passes} and a cycle of {model} takes {needed}: {config.encoder_passes} encoder"
            f" and {config.decoder_passes} decoder passes; give {needed} or more"
        )


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
