"""What `best/metrics.json` says of a search's chosen model: its scores, and those of the first trial beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from distrecvae.layout import BEST_FOLDER, METRICS_FILE
from distrecvae.search.core.chain import Mark
from distrecvae.selection import ExpectedScore
from distrecvae.typed import MisfitError, read_as, read_typed


@dataclass(frozen=True, kw_only=True)
class GroupScores:
    """A model's scores over a group of users, as `Evaluation.summary` gives them.

    Attributes:
        mean: by metric; None over no users.
        standard_error: of the means; None over no users, and for what is one value of all lists.
        n_evaluated: users that count in the means.
        n_skipped: users left out because nothing was held out or nothing was left to fold in.
    """

    mean: Mapping[str, float | None]
    standard_error: Mapping[str, float | None]
    n_evaluated: int
    n_skipped: int


@dataclass(frozen=True, kw_only=True)
class MeanGain:
    """What a model gains over another in the mean over the same users; None over no users."""

    mean: float | None
    standard_error: float | None


@dataclass(frozen=True, kw_only=True)
class FirstScores:
    """The scores of the first trial, where the space starts, at its best.

    Attributes:
        trial: its number.
        valid: on the validation users.
        test: on the test users.
        gain_valid: by metric, what the chosen model gains over it, paired over the validation users.
        gain_test: the same over the test users.
    """

    trial: int
    valid: GroupScores
    test: GroupScores
    gain_valid: Mapping[str, MeanGain]
    gain_test: Mapping[str, MeanGain]


@dataclass(frozen=True, kw_only=True)
class BestScores:
    """The scores of a search's chosen model.

    Attributes:
        trial: the number of the trial that it comes from.
        selected_by: the key of the reports that chose it, such as `valid/ndcg_100`.
        cycle: the trial's cycles by then.
        passes: the trial's data passes by then.
        valid: on the validation users.
        test: on the test users.
        ledger: how long the search's ledger was when this was written.
        first: the first trial beside it; None where that is the chosen one, or has no model. It was called `published`
            once, which the first trial need not be and the chosen model is.
        expected: what its score by `selected_by` could be expected to be over users who did not choose it; None where
            too few trials told.
    """

    trial: int
    selected_by: str
    cycle: int
    passes: int
    valid: GroupScores
    test: GroupScores
    ledger: Mark
    first: Annotated[FirstScores | None, read_as("first", "published")] = None
    expected: ExpectedScore | None = None


def read_best_scores(folder: Path) -> BestScores | None:
    """Return what `best/metrics.json` of a search's folder says; None where it is missing, damaged or of no search."""
    try:
        return read_typed(folder / BEST_FOLDER / METRICS_FILE, BestScores)
    except (OSError, MisfitError):
        return None
