"""The words say what the numbers say: gain or luck, what stopping early saved. All is text, never markup."""

from __future__ import annotations

import math
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from distrecvae.search.core.records import Status
from distrecvae.search.folder.search_json import Status as SearchStatus
from distrecvae.search.report import prose
from distrecvae.search.report.data import SearchResults, read_results
from distrecvae.search.report.importance import Importance
from distrecvae.search.report.tables import Table
from tests.search.report.made import (
    RECVAE,
    best_scores,
    first_scores,
    group_scores,
    made_results,
    made_trial,
)
from tests.search.reported import make_search, publish


def compared(valid: tuple[float, float], test: tuple[float, float]) -> list[str]:
    """Return the verdict on a best trial with these gains over the first one: (mean, standard error)."""
    first = first_scores(group_scores(0.3), group_scores(0.2), valid, test)
    scores = best_scores(1, group_scores(0.4), group_scores(0.3), first)
    return prose.verdict(made_results(made_trial(0, 0.3), made_trial(1, 0.4), scores=scores))


def test_a_gain_over_a_start_that_was_stopped_early_is_said_to_be_that() -> None:
    first = first_scores(group_scores(0.3), group_scores(0.2), (0.05, 0.01), (0.04, 0.01))
    scores = best_scores(1, group_scores(0.4), group_scores(0.3), first)
    stopped = made_trial(0, 0.3, status=Status.STOPPED)
    said = f"was stopped after {stopped.passes} of "
    assert said in prose.verdict(made_results(stopped, made_trial(1, 0.4), scores=scores))[0]
    assert said not in prose.verdict(made_results(made_trial(0, 0.3), made_trial(1, 0.4), scores=scores))[0]


def cells(table: Table | None) -> list[list[str]]:
    """Return a table's rows, the head first where there is one."""
    assert table is not None
    return [list(row) for row in ([table.head] if table.head else []) + list(table.rows)]


def test_the_verdict_gives_the_gain_with_its_error_and_what_remains_of_it_on_test(
    results: SearchResults,
) -> None:
    first, second = prose.verdict(results)
    assert "Trial 3 is the best of 20: NDCG@100 0.3000 ± 0.0100 on 59 test users" in first
    assert "+0.0400 ± 0.0100 against the starting configuration" in first
    assert "That is a gain beyond chance, between +0.0200 and +0.0600" in first
    assert "+0.0500 ± 0.0100; on the test users it is the same within two standard errors" in second


@pytest.mark.parametrize(
    ("gain_valid", "gain_test", "expected"),
    [
        (
            0.06,
            0.015,
            "These 59 test users cannot tell the two apart: the gain is between -0.0050 and +0.0350 (95% interval).",
        ),
        (0.06, 0.015, "clearly less: part of the gain on validation was luck of the choice"),
        (0.03, 0.03, "the same within two standard errors"),
        (0.03, 0.08, "clearly more"),
    ],
)
def test_the_verdict_tells_luck_from_gain(
    tmp_path: Path, gain_valid: float, gain_test: float, expected: str
) -> None:
    make_search(tmp_path, space=RECVAE, trials=4, max_passes=12)
    publish(tmp_path, 3, gain_valid, gain_test, error=0.01)
    assert expected in " ".join(prose.verdict(read_results(tmp_path)))


@pytest.mark.parametrize(("valid_error", "test_error"), [(0.03, 0.04), (0.0, 0.05), (0.05, 0.0)])
def test_luck_is_more_than_two_standard_errors_of_the_difference_of_both_gains(
    valid_error: float, test_error: float
) -> None:
    # The users are other ones, so the variances add up: the error of the difference is 0.05 for all three.
    assert math.sqrt(valid_error**2 + test_error**2) == pytest.approx(0.05)
    for difference, words in (
        (0.101, "it is clearly less: part of the gain on validation was luck of the choice."),
        (0.099, "it is the same within two standard errors."),
        (0.051, "it is the same within two standard errors."),
        (-0.099, "it is the same within two standard errors."),
        (-0.101, "it is clearly more."),
    ):
        _, said = compared((0.5 + difference, valid_error), (0.5, test_error))
        assert said.endswith(words), difference


def test_gains_that_are_equal_and_without_an_error_are_the_same() -> None:
    _, said = compared((0.5, 0.0), (0.5, 0.0))
    assert said.endswith("it is the same within two standard errors.")


def test_users_that_cannot_tell_are_not_taken_for_equality() -> None:
    # It said "The published configuration is as good a choice" where validation had shown three standard errors.
    told, _ = compared((0.0217, 0.0074), (0.0068, 0.0071))
    assert "These 59 test users cannot tell the two apart" in told
    assert told.endswith("To show one as large as measured takes about 510 users.")
    assert "as good" not in told
    loss, _ = compared((0.1, 0.01), (-0.03, 0.01))
    assert loss.endswith("That is a loss beyond chance, between -0.0500 and -0.0100 (95% interval).")


def test_a_best_first_trial_was_not_beaten() -> None:
    scores = best_scores(0, group_scores(0.4), group_scores(0.3, n=1234))
    one = made_results(made_trial(0, 0.4), space=RECVAE, scores=scores)
    assert prose.verdict(one) == [
        "The starting configuration (trial 0) was not beaten in 1 trial: NDCG@100 0.3000 ± 0.0100 on 1,234 test users.",
        "On the validation users that chose it: 0.4000 ± 0.0100.",
    ]
    two = made_results(made_trial(0, 0.4), made_trial(1, 0.3), space=RECVAE, scores=scores)
    assert "was not beaten in 2 trials" in prose.verdict(two)[0]


def test_a_first_trial_without_a_score_is_said_not_to_be_compared() -> None:
    scores = best_scores(1, group_scores(0.4), group_scores(0.3))
    trials = made_trial(0, None, status=Status.FAILED), made_trial(1, 0.4)
    first, _ = prose.verdict(made_results(*trials, space=RECVAE, scores=scores))
    assert first == (
        "Trial 1 is the best of 2: NDCG@100 0.3000 ± 0.0100 on 59 test users; the starting configuration has no score"
        " to compare with."
    )


@pytest.mark.parametrize(
    ("status", "trials", "over"),
    [
        ("running", 9, "The search is running"),
        ("interrupted", 9, "The search was interrupted"),
        # All trials ended, or it says that it is finished: there is nothing to wait for.
        ("interrupted", 2, "The search is over, its chosen model is not published"),
        ("running", 2, "The search is over, its chosen model is not published"),
        ("finished", 9, "The search is over, its chosen model is not published"),
    ],
)
def test_before_the_end_test_users_have_not_been_looked_at(
    status: SearchStatus, trials: int, over: str
) -> None:
    results = made_results(
        made_trial(0, 0.25), made_trial(1, 0.3), space=RECVAE, status=status, trials=trials
    )
    assert prose.verdict(results) == [
        "Best so far is trial 1 with validation NDCG@100 0.3000, the starting configuration has 0.2500.",
        f"{over}: test users have not been looked at.",
    ]


def test_before_the_end_a_first_trial_without_a_score_is_not_named() -> None:
    trials = made_trial(0, None, status=Status.FAILED), made_trial(1, 0.3)
    first, _ = prose.verdict(made_results(*trials, status="running", trials=9))
    assert first == "Best so far is trial 1 with validation NDCG@100 0.3000."


def test_a_search_with_a_running_trial_goes_on_though_all_trials_are_given_out() -> None:
    running = made_trial(1, 0.1, status=Status.RUNNING)
    results = made_results(made_trial(0, 0.25), running, status="running", trials=2)
    assert prose.verdict(results) == [
        "Best so far is trial 0 with validation NDCG@100 0.2500.",
        "The search is running: test users have not been looked at.",
    ]


@pytest.mark.parametrize(
    ("ends", "status", "said"),
    [
        ([Status.FAILED, Status.RUNNING], "running", "No trial has a score yet."),
        ([Status.FAILED], "interrupted", "Every trial failed: there is no model to publish."),
        # A score of 0 is a diverged trial's mark, not what a model of it is worth.
        ([Status.DIVERGED] * 2, "interrupted", "Every trial diverged: there is no model to publish."),
    ],
)
def test_without_a_model_there_is_one_sentence(ends: list[Status], status: SearchStatus, said: str) -> None:
    trials = [
        made_trial(number, 0.0 if end is Status.DIVERGED else None, curve=[(4, 0.3, 1.0)], status=end)
        for number, end in enumerate(ends)
    ]
    assert prose.verdict(made_results(*trials, status=status, trials=len(trials))) == [said]


@pytest.mark.parametrize("beside", [False, True])
def test_without_a_test_user_that_can_be_scored_the_test_score_is_not_there(beside: bool) -> None:
    # A mean over no users is not a number: it was written as 0, and the end of the search died of the gain.
    none = group_scores(None, skipped=60)
    first = first_scores(group_scores(0.3), none, (0.1, 0.01), (None, None)) if beside else None
    scores = best_scores(1, group_scores(0.4), none, first)
    results = made_results(made_trial(0, 0.3), made_trial(1, 0.4), scores=scores)
    assert prose.verdict(results) == [
        "Trial 1 is the best of 2: no test user can be scored, there is no test score (n/a).",
        "On the validation users that chose it: 0.4000 ± 0.0100.",
    ]
    assert cells(prose.scores_table(results))[2] == ["best (trial 1), test", *["n/a"] * 3]


def test_the_headline_counts_what_was_searched_on_what_and_for_how_long() -> None:
    results = made_results(
        made_trial(0, 0.1),
        made_trial(1, 0.1, status=Status.STOPPED),
        made_trial(2, 0.1),
        made_trial(3, None, status=Status.FAILED),
        trials=8,
    )
    assert prose.headline(results) == (
        "recvae on 2,900 training users x 1,200 items (123,456 interactions): 4 of 8 trials (2 finished, 1 stopped,"
        " 1 failed) in 1 min 15 s."
    )


def test_the_scores_are_listed_for_both_trials_on_both_groups() -> None:
    first = first_scores(group_scores(0.2), group_scores(0.1))
    scores = best_scores(3, group_scores(0.4, n=60), group_scores(0.3, n=1059, skipped=2), first)
    results = made_results(made_trial(0, 0.2), space=RECVAE, scores=scores)
    assert cells(prose.scores_table(results)) == [
        ["", "NDCG@100", "Recall@20", "Recall@50"],
        ["best (trial 3), validation", *["0.4000 ± 0.0100"] * 3],
        ["best (trial 3), test", *["0.3000 ± 0.0100"] * 3],
        ["starting (trial 0), validation", *["0.2000 ± 0.0100"] * 3],
        ["starting (trial 0), test", *["0.1000 ± 0.0100"] * 3],
    ]
    assert prose.scores_note(results) == (
        "Mean ± standard error over 1,059 test and 60 validation users."
        " Left out: 2 with nothing to fold in or nothing to find."
    )
    alone = made_results(made_trial(0, 0.2), scores=replace(scores, test=group_scores(0.3), first=None))
    assert len(cells(prose.scores_table(alone))) == 3
    assert "Left out" not in prose.scores_note(alone)


def test_without_published_scores_there_is_no_table_of_them() -> None:
    results = made_results(made_trial(0, 0.2))
    assert prose.scores_table(results) is None
    assert prose.scores_note(results) == ""


def test_passes_not_spent_are_those_of_stopped_trials_to_the_end_of_their_budget(
    results: SearchResults,
) -> None:
    unspent = prose.unspent_passes(results)
    stopped = 0
    for trial, saved in zip(results.trials, unspent, strict=True):
        cycle = trial.curve[0].passes if trial.curve else 0
        if trial.status == "stopped":
            whole = max(n for n in range(0, 41) if n % cycle == 0)
            assert saved == whole - trial.curve[-1].passes
            stopped += 1
        else:
            assert saved == 0
    assert stopped >= 5
    share = sum(unspent) / (sum(unspent) + sum(t.passes for t in results.trials))
    assert f"stopped {stopped} of 20 trials" in prose.saving(results)
    assert f"{sum(unspent)}, {100 * share:.0f}% of" in prose.saving(results)


def test_a_trial_ended_by_the_time_budget_is_no_saving_of_the_scheduler(results: SearchResults) -> None:
    trials = tuple(replace(trial, reason="time budget of 60 s") for trial in results.trials)
    assert sum(prose.unspent_passes(replace(results, trials=trials))) == 0
    assert "No trial was stopped by a rule" in prose.saving(replace(results, trials=trials))


def test_importance_is_told_with_what_chance_does_and_who_stands_out() -> None:
    found = [
        Importance("rate", 0.7, 19, 40),
        Importance("width", 0.2, 18, 40),
        Importance("kind", 0.1, 19, 40),
    ]
    said = prose.importance_words(found, 40)
    assert "PED-ANOVA, from 40 trials." in said
    assert "than each of 19 random shuffles of the scores gave, which chance does once in 20 times" in said
    assert said.endswith("Blue here: rate, kind.")
    assert prose.importance_words(found[1:2], 40).endswith("Blue here: none.")
    assert prose.importance_words([], 7) == (
        "Too early to say: it takes 15 trials with a score that differ, and there are 7."
    )


def test_a_saving_is_told_in_passes_and_as_a_share() -> None:
    # 40 passes at most: the stopped trial, of 3 passes a cycle, would have had 39.
    stopped = made_trial(1, 0.1, curve=[(3, 0.1, 1.0)], status=Status.STOPPED, reason="median at 3 passes")
    whole = made_trial(0, 0.2, curve=[(4, 0.1, 1.0), (40, 0.2, 9.0)])
    assert prose.unspent_passes(made_results(whole, stopped, scheduler="median")) == [0, 36]
    assert prose.saving(made_results(whole, stopped, scheduler="median")) == (
        "median stopped 1 of 2 trials: 43 passes were spent; 36, 46% of what training all of them to the end costs,"
        " were not."
    )
    assert prose.saving(made_results(whole)) == "No trial was stopped by a rule: 40 passes were spent."


def test_the_command_that_trains_the_best_again_can_be_typed_as_it_stands() -> None:
    scores = best_scores(0, group_scores(0.4), group_scores(0.3))
    command = prose.train_again(made_results(made_trial(0, 0.1), scores=scores))
    assert shlex.split(command) == [
        "distrecvae", "train", "--data", "my data", "--config", "runs/it's/best/config.json",
        "--out", "runs/it's-train",
    ]  # fmt: skip


def test_without_a_model_there_is_nothing_to_train_again() -> None:
    # The page named best/config.json, which was not there.
    assert prose.train_again(made_results(made_trial(0, 0.1))) == ""
