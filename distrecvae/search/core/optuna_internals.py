"""Touches what is private to Optuna, and nothing else does: each touch has a test that fails when Optuna changes.

Seen in Optuna 4 and 5. A touch that is not needed any more is deleted here, with its test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.storages.journal._storage import JournalOperation
from optuna.trial import FrozenTrial, Trial


def stored_id(trial: Trial | FrozenTrial) -> int:
    """Return what a storage knows the trial by; its number counts within its study."""
    return trial._trial_id


def creates_a_trial(entry: Mapping[str, Any]) -> bool:
    """Tell whether this line of a journal is the one by which a trial comes into being.

    Raises:
        KeyError: it is no line of a journal.
    """
    return bool(entry["op_code"] == JournalOperation.CREATE_TRIAL)
