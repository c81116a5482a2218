"""What a record says of its trial: score, passes, time and best report, at every stage and end."""

from __future__ import annotations

import pytest

from distrecvae.search.core.records import Status, TrialRecord, leading, no_score

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
    ("values", "gain"),
    [
        ([], 0.0),
        ([0.4], 0.0),  # a model that is solved at once
        ([0.3, 0.4], 0.25),
        ([0.1] * 8 + [0.3, 0.4], 0.75),  # the last two of ten
        ([0.1] * 7 + [0.4, 0.3, 0.2], 0.0),  # the best before them stays the best
        ([0.0, 0.0], 0.0),
    ],
)
def test_what_came_late_is_counted_by_the_best_so_far(values: list[float], gain: float) -> None:
    assert record(*values).late_gain == pytest.approx(gain)


def test_a_trial_rises_while_its_last_fifth_brings_half_a_percent() -> None:
    assert record(0.1, 0.2, 0.398, 0.3985, 0.4).still_rising is False
    assert record(0.1, 0.2, 0.397, 0.3979, 0.4).still_rising is True
    assert record(0.1, 0.2, status=Status.DIVERGED).still_rising is False


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


def test_the_best_so_far_rises_report_by_report() -> None:
    assert record(0.1, 0.2, 0.3, 0.25).best == [0.1, 0.2, 0.3, 0.3]


def test_of_its_step_nothing_is_done_before_its_model_tells() -> None:
    assert record().share == 0.0


@pytest.mark.parametrize("status", list(Status))
def test_a_trial_has_a_model_once_it_reported_unless_it_went_wrong(status: Status) -> None:
    assert not record(status=status).has_model
    assert record(0.1, status=status).has_model is (status not in (Status.DIVERGED, Status.FAILED))


def test_the_best_trial_leads_and_of_equals_the_earliest() -> None:
    def numbered(number: int, *values: float, status: Status = Status.FINISHED) -> TrialRecord:
        trial = record(*values, status=status)
        trial.number = number
        return trial

    first, second, third = numbered(0, 0.2), numbered(1, 0.4, 0.1), numbered(2, 0.4)
    assert leading([third, first, second]) is second
    # A diverged trial's score is 0 whatever it reported: it does not lead even those that found nothing.
    diverged, failed = (numbered(n, 0.9, status=s) for n, s in ((3, Status.DIVERGED), (4, Status.FAILED)))
    nothing = numbered(5, 0.0)
    assert leading([diverged, failed, nothing]) is nothing
    assert leading([diverged, failed]) is None
    assert leading([]) is None


@pytest.mark.parametrize(
    ("statuses", "over", "said"),
    [
        ([], True, "No trial has a score."),
        ([], False, "No trial has a score yet."),
        ([Status.FAILED, Status.RUNNING], False, "No trial has a score yet."),
        ([Status.FAILED], True, "Every trial failed: there is no model to publish."),
        (
            [Status.FAILED, Status.DIVERGED],
            True,
            "Every trial diverged or failed: there is no model to publish.",
        ),
        ([Status.DIVERGED] * 2, False, "Every trial diverged so far."),
    ],
)
def test_why_there_is_no_model_is_one_line(statuses: list[Status], over: bool, said: str) -> None:
    assert no_score(statuses, over=over) == said


def test_a_cycle_takes_as_many_passes_as_those_before_it() -> None:
    record = TrialRecord(0, {}, reports=[{"cycle": 1, "passes": 6}, {"cycle": 2, "passes": 12}])
    assert record.passes_with_another == 18
