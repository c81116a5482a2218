"""A space for samplers. For tests."""

from __future__ import annotations

from typing import Any

import optuna


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    """A space with every kind of Optuna parameter."""
    return {
        "x": trial.suggest_float("x", 0, 1),
        "rate": trial.suggest_float("rate", 1e-4, 1e-1, log=True),
        "size": trial.suggest_int("size", 16, 128, step=16),
        "branch": trial.suggest_categorical("branch", ("gamma", "beta")),
    }
