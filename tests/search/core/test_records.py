"""What a record says of its trial: score, passes, time and best report, at every stage and end."""

from __future__ import annotations

import pytest

from distrecvae.search.core.records import Status, TrialRecord

METRIC = "valid/ndcg_100"


def record(*values: float, status: Status = Status.RUNNING) -> TrialRecord:
    trial = TrialRecord(3, {"latent_dim": 8}, status)
    for cycle, value in enumerate(values, 1):
        report = {"cycle": cycle, "passes": 4 * cycle, METRIC: value, "train_s": 2.0, "evaluate_s": 0.5}
        trial.take(report, METRIC)
    return trial


def test_the_score_is_the_best_so_far_and_not_the_last() -> None:
    trial = record(0.1, 0.3, 0.2)
    assert trial.best == [0.1, 0.3, 0.3]
    assert trial.score == 0.3
    assert trial.passes == 12
    assert trial.duration_s == 7.5
    best = trial.best_report(METRIC)
    assert best is not None
    assert best["cycle"] == 2


def test_of_equal_reports_the_first_is_the_best() -> None:
    best = record(0.1, 0.3, 0.3).best_report(METRIC)
    assert best is not None
    assert best["cycle"] == 2


def test_before_the_first_report_there_is_nothing() -> None:
    trial = record()
    assert (trial.score, trial.passes, trial.duration_s, trial.best_report(METRIC)) == (None, 0, 0.0, None)


@pytest.mark.parametrize(
    ("status", "score"),
    [(Status.FINISHED, 0.3), (Status.STOPPED, 0.3), (Status.DIVERGED, 0.0), (Status.FAILED, None)],
)
def test_how_a_trial_ended_decides_what_its_reports_are_worth(status: Status, score: float | None) -> None:
    assert record(0.1, 0.3, status=status).score == score


def test_a_trial_that_diverged_before_it_reported_has_the_score_zero() -> None:
    assert record(status=Status.DIVERGED).score == 0.0


def test_reports_without_times_count_none() -> None:
    trial = TrialRecord(0, {})
    trial.take({"passes": 1, METRIC: 0.5}, METRIC)
    assert trial.duration_s == 0.0
