"""The summary says what was found, what it is worth and what to type next, in lines that a terminal has room for."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from distrecvae.evaluation import Evaluation
from distrecvae.search.commands import python_call
from distrecvae.search.core.ahead.enough import further
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.folder.best import Scored
from distrecvae.search.space.changing import with_range
from distrecvae.search.space.space import SearchSpace
from distrecvae.search.summary import WIDTH, search_summary
from distrecvae.selection import ExpectedScore
from tests.search.described import TYPED, begun

DEMO, PUBLISHED = SearchSpace.load("recvae-demo"), SearchSpace.load("recvae")
FOLDER = Path("runs/my search")


class Records(Ledger):
    """A ledger of given trials that is not on disk."""

    def __init__(self, *records: TrialRecord) -> None:
        self.records = {record.number: record for record in records}
        self.answers = {}


def record(
    number: int, *scores: float, status: Status = Status.FINISHED, reason: str = "", **config: Any
) -> TrialRecord:
    reports = [{"passes": 4 * n, "cycle": n, "valid/ndcg_100": score} for n, score in enumerate(scores, 1)]
    best = [max(scores[:n]) for n in range(1, len(scores) + 1)]
    return TrialRecord(number, {**DEMO.default_config(), **config}, status, reports, best, reason)


def evaluation(values: list[float], *, skipped: int = 0) -> Evaluation:
    """These values of NDCG@100 by user; Recall@20 is their half, Recall@50 their third."""
    ndcg = np.array(values)
    per_user = {"ndcg_100": ndcg, "recall_20": ndcg / 2, "recall_50": ndcg / 3}
    return Evaluation(per_user, np.arange(ndcg.size), skipped)


def scored(trial: TrialRecord, valid: list[float], test: list[float], *, skipped: int = 0) -> Scored:
    return Scored(trial, evaluation(valid), evaluation(test, skipped=skipped))


def summary(
    *records: TrialRecord,
    found: tuple[Scored, Scored | None] | None = None,
    space: SearchSpace = DEMO,
    interrupted: str | None = None,
    command: str = TYPED,
    **settings: Any,
) -> str:
    search = begun(SearchConfig(**{"trials": 9, **settings}), space, FOLDER, command=command)
    return search_summary(search, Records(*records), elapsed_s=185.0, scored=found, interrupted=interrupted)


def flat(text: str) -> str:
    """Return a text without its line breaks."""
    return " ".join(text.split())


def rows(text: str) -> dict[str, str]:
    """Return the last part of a summary: what lies where and what to type."""
    pairs = (line.partition("  ") for line in text.rsplit("\n\n", 1)[1].splitlines())
    return {name: value.strip() for name, _, value in pairs}


VALID, TEST = [0.1, 0.5, 0.3, 0.7], [0.2, 0.4, 0.9]
START_VALID, START_TEST = [0.2, 0.3, 0.2, 0.6], [0.1, 0.4, 0.3]


def compared(test: list[float] | None = None, start: list[float] | None = None, **named: Any) -> str:
    """Return the summary of a search whose trial 1 is the best, with these scores of the test users."""
    first, best = record(0, 0.3), record(1, 0.4)
    skipped = named.pop("skipped", 0)
    found = (
        scored(best, VALID, test or TEST, skipped=skipped),
        scored(first, START_VALID, start or START_TEST),
    )
    return summary(first, best, found=found, **named)


def test_the_first_line_counts_the_trials_by_their_end_and_the_time() -> None:
    stopped, running = record(1, 0.2, status=Status.STOPPED), record(3, status=Status.RUNNING)
    text = summary(record(0, 0.3), stopped, record(2, 0.1), running)
    assert text.splitlines()[0] == (
        "Searched recvae for 3 min 05 s: 3 of 9 trials ended (1 running, 2 finished, 1 stopped)."
    )
    # It said "1 of 9 trials (1 running)" where none had ended.
    assert summary(running).startswith("Searched recvae for 3 min 05 s: 0 of 9 trials ended (1 running).")
    assert summary(record(0, 0.3)).startswith("Searched recvae for 3 min 05 s: 1 of 9 trials (1 finished).")
    assert summary().startswith("Searched recvae for 3 min 05 s: 0 of 9 trials (none was started).")


def test_what_it_cost_is_said_in_hours_and_where_a_price_is_known_in_money() -> None:
    trial = record(0, 0.3, 0.4)
    for report in trial.reports:
        report |= {"train_s": 1700.0, "evaluate_s": 100.0}
    assert summary(trial).splitlines()[1] == "Its trials took 1 core-hours."
    assert (
        summary(trial, price_per_hour=0.05).splitlines()[1]
        == "Its trials took 1 core-hours, 0.05 at 0.05 an hour."
    )
    assert "took" not in summary(record(0, 0.3)), "a ledger of before times were kept"


def test_the_scores_are_means_with_standard_errors_of_both_trials_on_both_groups() -> None:
    lines = compared(trials=2).splitlines()
    assert lines[2].split() == ["NDCG@100", "Recall@20", "Recall@50"]
    expected = {
        "best (trial 1), validation": VALID,
        "best (trial 1), test": TEST,
        "starting (trial 0), validation": START_VALID,
        "starting (trial 0), test": START_TEST,
    }
    for line, (label, values) in zip(lines[3:7], expected.items(), strict=True):
        assert line.startswith(f"{label}  ")
        error = stats.sem(values, ddof=0)  # as published: the deviation over sqrt(n)
        cells = [f"{np.mean(values) / part:.4f} ± {error / part:.4f}" for part in (1, 2, 3)]
        assert [cell.strip() for cell in re.findall(r"[\d.]+ ± [\d.]+", line)] == cells


def test_the_verdict_has_the_paired_gain_on_both_groups() -> None:
    text = flat(compared())
    differences = np.array(TEST) - np.array(START_TEST)
    valid = np.mean(VALID) - np.mean(START_VALID)
    assert f"NDCG@100 {valid:+.4f} on validation, {differences.mean():+.4f} on test" in text
    assert f"(standard error {stats.sem(differences):.4f}, paired over 3 test users)" in text
    assert "Against the starting configuration:" in text
    assert "Trials were chosen on validation users only." in text


def test_a_gain_over_a_start_that_was_stopped_early_is_said_to_be_that() -> None:
    first, best = replace(record(0, 0.3), status=Status.STOPPED, reason="asha at 13 passes"), record(1, 0.4)
    found = scored(best, VALID, TEST), scored(first, START_VALID, START_TEST)
    said = f"configuration was stopped after {first.passes} of 200 passes: trained whole it may do better."
    assert said in flat(summary(first, best, found=found))
    assert "trained whole" not in flat(compared())


def test_the_verdict_is_on_the_metric_of_the_search() -> None:
    valid = (np.mean(VALID) - np.mean(START_VALID)) / 2
    assert f"Recall@20 {valid:+.4f} on validation" in flat(compared(metric="recall_20"))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("times", "words"), [(3.3, "beyond chance"), (3.1, "These 4 test users cannot tell the two apart")]
)
def test_a_gain_counts_where_its_interval_leaves_out_zero_whatever_its_sign(
    sign: int, times: float, words: str
) -> None:
    spread = np.array([-0.1, -0.1, 0.1, 0.1])
    differences = sign * (spread + times * stats.sem(spread))  # three degrees of freedom: t is 3.18
    start = [0.5, 0.4, 0.5, 0.4]
    text = flat(compared((start + differences).tolist(), start))
    assert words in text
    if times > 3.2:
        assert f"a {'gain' if sign > 0 else 'loss'} beyond chance" in text


def test_a_start_that_is_published_is_called_so() -> None:
    assert "Against the published configuration" in flat(compared(space=PUBLISHED))


def test_a_first_trial_that_was_not_beaten_and_one_without_a_score_are_said() -> None:
    first = record(0, 0.3)
    text = flat(summary(first, record(1, 0.2), found=(scored(first, VALID, TEST), None)))
    assert "The first trial, the starting configuration, was not beaten (test scores: 3 users)." in text
    failed, second = record(0, status=Status.FAILED, reason="no memory"), record(1, 0.2)
    text = flat(summary(failed, second, found=(scored(second, VALID, TEST), None)))
    assert "The starting configuration has no score to compare with. Test scores: means of 3 users." in text


def test_users_that_are_left_out_are_counted() -> None:
    assert "Left out of them: 2 with nothing to fold in or nothing to find." in flat(compared(skipped=2))
    assert "Left out" not in compared()


def test_the_best_configuration_stands_beside_the_start() -> None:
    first, best = (
        record(0, 0.3),
        record(1, 0.4, latent_dim=48, learning_rate=0.00123456, gamma=None, beta=0.25),
    )
    text = summary(first, best, found=(scored(best, VALID, TEST), scored(first, START_VALID, START_TEST)))
    cells = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line}
    assert cells["parameter"] == ["best", "starting"]
    assert cells["latent_dim"] == ["48", "32"]
    assert cells["learning_rate"] == ["0.001235", "0.0005"]
    assert (cells["kl_weight"], cells["gamma"], cells["beta"]) == (
        ["beta", "gamma"],
        ["-", "0.005"],
        ["0.25", "-"],
    )
    assert set(DEMO.names()) < set(cells)
    alone = summary(best, found=(scored(best, VALID, TEST), None))
    cells = {line.split()[0]: line.split()[1:] for line in alone.splitlines() if line}
    assert (cells["parameter"], cells["latent_dim"]) == (["best"], ["48"])


def test_limits_that_the_best_trial_met_are_said_after_its_configuration() -> None:
    first, best = record(0, 0.3), record(1, 0.39, 0.4, batch_size=50)
    found = scored(best, VALID, TEST), scored(first, START_VALID, START_TEST)
    text = summary(first, best, found=found)
    said = flat(text)
    assert "batch_size 50 is at the edge of its range (50 | 100 | 200): smaller may be better." in said
    assert "still rising at its last pass" in said
    assert max(map(len, text.split("\nresults ")[0].splitlines())) <= WIDTH
    assert "edge of its range" not in flat(compared())


def test_without_a_published_model_the_best_so_far_is_named() -> None:
    text = summary(record(0, 0.3), record(1, 0.123456, 0.4), record(2, status=Status.RUNNING))
    assert "Best so far: trial 1, validation NDCG@100 0.4000." in text.splitlines()
    assert "the model" not in rows(text)


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([], "No trial has a score."),
        (
            [record(0, 0.3, status=Status.FAILED, reason="no memory")],
            "Every trial failed: there is no model to publish.",
        ),
        (
            [record(n, 0.3, status=Status.DIVERGED, reason="loss is nan") for n in range(2)],
            "Every trial diverged: there is no model to publish.",
        ),
        (
            [record(0, 0.3, status=Status.DIVERGED), record(1, status=Status.FAILED)],
            "Every trial diverged or failed: there is no model to publish.",
        ),
    ],
)
def test_a_search_without_a_model_says_so_and_why(records: list[TrialRecord], said: str) -> None:
    # A diverged trial's score is 0 whatever it reported: it once was the best so far, or even published.
    text = summary(*records)
    assert said in text.splitlines()
    assert "the model" not in rows(text)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (Status.RUNNING, "No trial has a score yet."),
        (Status.DIVERGED, "Every trial diverged so far."),
    ],
)
def test_before_the_end_a_search_without_a_model_may_yet_find_one(status: Status, said: str) -> None:
    assert said in summary(record(0, status=status), interrupted="SIGTERM").splitlines()


@pytest.mark.parametrize("alone", [True, False])
def test_without_a_test_user_that_can_be_scored_there_is_no_test_score(alone: bool) -> None:
    # It was 0.0000, which no model was worth.
    first, best = record(0, 0.3), record(1, 0.4)
    found = scored(best, VALID, [], skipped=7), None if alone else scored(first, START_VALID, [], skipped=7)
    text = summary(first, best, found=found)
    assert re.search(r"^best \(trial 1\), test +n/a +n/a +n/a$", text, re.MULTILINE)
    assert "No test user can be scored: there is no test score (n/a). Left out of them: 7" in flat(text)


def test_what_python_began_goes_on_in_python() -> None:
    # Someone in a notebook was told to type a shell command.
    call = python_call("search", extend=FOLDER)
    trial = record(0, 0.3)
    found = rows(
        summary(trial, found=(scored(trial, VALID, TEST), None), command=call, interrupted="SIGTERM")
    )
    assert found["score it again"] == (
        f"import distrecvae; distrecvae.evaluate(model='{FOLDER}/best', data='my data')"
    )
    assert found["train it again"].startswith("import distrecvae; distrecvae.train(data='my data', config=")
    assert found["resume"] == call


def test_what_can_be_typed_next_is_one_command_each_whatever_the_names() -> None:
    text = compared()
    found = rows(text)
    best = f"{FOLDER}/best"
    assert list(found) == [
        "results", "the report", "compare the trials", "the model", "score it again", "train it again",
        "blend its trials",
    ]  # fmt: skip
    assert shlex.split(found["blend its trials"]) == ["distrecvae", "blend", str(FOLDER), "--data", "my data"]
    assert found["results"] == str(FOLDER)
    assert found["the report"] == f"{FOLDER}/report.html (open it in a browser)"
    assert found["the model"] == best
    assert shlex.split(found["compare the trials"]) == ["tensorboard", "--logdir", str(FOLDER)]
    assert shlex.split(found["score it again"]) == [
        "distrecvae",
        "evaluate",
        "--model",
        best,
        "--data",
        "my data",
    ]
    assert shlex.split(found["train it again"]) == [
        "distrecvae", "train", "--data", "my data", "--config", f"{best}/config.json", "--out", f"{FOLDER}-train",
    ]  # fmt: skip


def test_a_single_model_is_not_to_be_blended() -> None:
    trial = record(0, 0.3)
    text = summary(trial, record(1, status=Status.FAILED), found=(scored(trial, VALID, TEST), None))
    assert "blend its trials" not in rows(text)


def test_an_interrupted_search_says_why_and_how_to_go_on() -> None:
    text = summary(record(0, 0.3), interrupted="SIGTERM")
    assert text.splitlines()[1] == "The search is not over: SIGTERM."
    assert shlex.split(rows(text)["resume"]) == [*shlex.split(TYPED), "--resume", "--out", str(FOLDER)]
    assert "resume" not in rows(summary(record(0, 0.3)))


def test_trouble_is_told_by_reason_the_three_most_frequent() -> None:
    bad = [("a", 1), ("b", 4), ("c", 2), ("d", 3)]
    reasons = [reason for reason, count in bad for _ in range(count)]
    failed = [record(n, status=Status.FAILED, reason=reason) for n, reason in enumerate(reasons)]
    stopped = record(20, 0.1, status=Status.STOPPED, reason="asha at 4 passes")
    lines = summary(*failed, stopped).splitlines()
    assert lines[1:4] == ["  4 failed: b", "  3 failed: d", "  2 failed: c"]
    assert not any("asha" in line or "failed: a" in line for line in lines)


def test_the_same_reason_of_two_ends_is_told_apart() -> None:
    lines = summary(
        record(0, status=Status.FAILED, reason="no luck"),
        record(1, 0.1, status=Status.DIVERGED, reason="no luck"),
    ).splitlines()
    assert {"  1 failed: no luck", "  1 diverged: no luck"} < set(lines)


def test_no_line_of_words_is_longer_than_a_hundred_columns() -> None:
    text = compared(space=PUBLISHED, skipped=123456)
    assert WIDTH == 100
    assert max(len(line) for line in text.rsplit("\n\n", 1)[0].splitlines()) <= 100


def test_what_was_to_be_expected_of_the_chosen_model_stands_beside_what_chose_it() -> None:
    trial = record(0, 0.4)
    expected = ExpectedScore(mean=0.36, standard_error=0.012, luck=0.01, models=3, chosen_from=24)
    found = (replace(scored(trial, VALID, TEST), expected=expected), None)
    assert (
        "The best of 24 scores is partly luck: before any test user was looked at, NDCG@100 0.3600 ± 0.0120 was to be"
        " expected of it, where the validation users that chose it give 0.4000."
    ) in flat(summary(trial, found=found))


def test_it_says_what_further_search_can_be_expected_to_bring_and_why_the_search_ended() -> None:
    trials = [record(n, 0.3, 0.3 + 0.01 * n) for n in range(12)]
    for each in trials:
        each.reports[-1]["train_s"] = 60.0
    found = (scored(trials[-1], VALID, TEST), scored(trials[0], START_VALID, START_TEST))
    text = flat(summary(*trials, found=found))
    expected = further(trials, trials=12, at_once=begun(SearchConfig(), DEMO, FOLDER).plan.slots.concurrent)
    assert expected is not None
    assert f"{expected.sentence('NDCG@100')} To continue: --extend." in text
    assert "can be expected" not in summary(*trials[:5]), "too little is known"
    ledger = Records(*trials)
    ledger.answers = {"enough 0.01": (True, "a further hour brings little: it ends: 0 trials are stopped")}
    search = begun(SearchConfig(enough=0.01), DEMO, FOLDER, command=TYPED)
    said = search_summary(search, ledger, elapsed_s=185.0, scored=found, interrupted=None)
    assert said.splitlines()[1] == "It ended by itself: a further hour brings little."


def test_ranges_that_the_search_widened_are_said_and_its_limits_are_those_it_has_now() -> None:
    first, best = record(0, 0.3), record(1, 0.4, encoder_passes=5)
    found = (scored(best, VALID, TEST), scored(first, START_VALID, START_TEST))
    ledger = Records(first, best)
    why = "4 of the best 4 trials lay at the upper end of encoder_passes: it is 1 to 7 from the next trial on"
    ledger.answers = {"widen before trial 14": (True, why), "00001": (True, "paused")}
    wider = with_range(DEMO, "encoder_passes", (None, 7), wider=True)
    search = begun(SearchConfig(widen=True), DEMO, FOLDER, command=TYPED)
    said, at_first = (
        flat(search_summary(search, ledger, elapsed_s=1.0, scored=found, interrupted=None, searched=space))
        for space in (wider, None)
    )
    assert f"Before trial 14 a range was widened: {why}." in said
    assert "encoder_passes 5 is at the edge" not in said
    assert "encoder_passes 5 is at the edge of its range (1 to 5)" in at_first
