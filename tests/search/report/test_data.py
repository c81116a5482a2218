"""A search's folder read back says what its ledger says, and when each report was made; nothing in it is touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from distrecvae.errors import ResultsError
from distrecvae.layout import LEDGER_FILE
from distrecvae.search.core.chain import Chain, read_chain
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status
from distrecvae.search.folder.best_scores import read_best_scores
from distrecvae.search.folder.search_json import read_description, write_description
from distrecvae.search.report.data import SearchResults, read_results
from tests.search.report.made import RECVAE, made_results, made_trial
from tests.search.reported import make_search, publish

METRIC = "valid/ndcg_100"
BEGUN = datetime(2026, 11, 25, 10, tzinfo=UTC)


def test_the_trials_are_those_of_the_ledger(folder: Path, results: SearchResults) -> None:
    records = Ledger(folder, METRIC).records
    assert [trial.number for trial in results.trials] == list(records)
    for trial in results.trials:
        record = records[trial.number]
        assert (trial.status, trial.reason, trial.score) == (record.status, record.reason, record.score)
        assert (trial.passes, trial.cycles) == (record.passes, len(record.reports))
        assert trial.duration_s == pytest.approx(record.duration_s)
        assert trial.values == RECVAE.flatten(record.config)
        assert trial.suggested.number == trial.number
        assert [(p.passes, p.value) for p in trial.curve] == [
            (r["passes"], r[METRIC]) for r in record.reports
        ]
        best = max(record.reports, key=lambda report: report[METRIC], default={})
        names = ("ndcg_100", "recall_20", "recall_50")
        assert trial.scores == ({name: best[f"valid/{name}"] for name in names} if best else {})
        assert trial.best_passes == best.get("passes")


def test_what_was_searched_and_published_comes_with_it(folder: Path, results: SearchResults) -> None:
    assert results.space == RECVAE
    assert results.metric == "ndcg_100"
    assert results.folder == folder
    assert (results.settings.trials, results.settings.sampler) == (20, "random")
    assert results.described == read_description(folder)
    assert results.scores is not None
    assert results.scores == read_best_scores(folder)


def test_the_limits_are_those_that_the_best_trial_met(results: SearchResults) -> None:
    best, limits = results.best, results.limits
    assert best is not None
    assert limits is not None
    assert limits.trial == best.number
    assert limits.passes == best.passes


def test_the_curves_are_of_the_metric_that_the_search_is_chosen_by(tmp_path: Path) -> None:
    make_search(tmp_path, space=RECVAE, trials=2, max_passes=12, metric="recall_20")
    trial = read_results(tmp_path).trials[0]
    # `make_search` gives half of NDCG@100 as Recall@20.
    ndcg = [report["valid/ndcg_100"] for report in Ledger(tmp_path, METRIC).records[0].reports]
    assert [point.value for point in trial.curve] == pytest.approx([value / 2 for value in ndcg])


def test_trials_with_a_score_are_listed_the_best_first_the_earliest_of_equals() -> None:
    scores = {0: 0.2, 1: None, 2: 0.3, 3: 0.3, 4: 0.0}
    results = made_results(*(made_trial(number, score) for number, score in scores.items()))
    assert [trial.number for trial in results.scored] == [2, 3, 0, 4]
    assert results.best is not None
    assert results.best.number == 2


def test_a_diverged_trial_is_never_the_best_and_one_that_found_nothing_may_be() -> None:
    # Both have the score 0.
    diverged = made_trial(0, 0.0, curve=[(4, 0.4, 1.0)], status=Status.DIVERGED)
    assert made_results().best is None
    assert made_results(diverged, made_trial(1, None, status=Status.FAILED)).best is None
    found_nothing = made_trial(1, 0.0)
    assert made_results(diverged, found_nothing).best is found_nothing


def rewrite_times(folder: Path, started: Callable[[int], float], took_s: float) -> None:
    """Let trial n begin `started(n)` seconds after BEGUN and end `took_s` later, in the ledger on disk."""
    path = folder / LEDGER_FILE
    lines = read_chain(path).records
    path.unlink()
    chain = Chain(path)
    for line in lines:
        after_s = {"asked": 0.0, "ended": took_s}.get(line["kind"])
        if after_s is not None:
            line["at"] = (BEGUN + timedelta(seconds=started(line["trial"]) + after_s)).isoformat()
        chain.append(line)


def test_reports_of_an_ended_trial_are_reckoned_back_from_its_end(tmp_path: Path) -> None:
    make_search(tmp_path, space=RECVAE, trials=3, max_passes=20, scheduler="none")
    rewrite_times(tmp_path, lambda number: 100.0 * number, took_s=60.0)
    for trial in read_results(tmp_path).trials:
        # A report takes 1.5 s; what is missing at the front is the start of the worker.
        n = len(trial.curve)
        expected = [100.0 * trial.number + 60.0 - 1.5 * (n - 1 - i) for i in range(n)]
        assert [point.at_s for point in trial.curve] == pytest.approx(expected)


def test_no_report_is_before_its_trial_began(tmp_path: Path) -> None:
    # A trial that was resumed worked longer than its last run took.
    make_search(tmp_path, space=RECVAE, trials=3, max_passes=20, scheduler="none")
    rewrite_times(tmp_path, lambda number: 100.0 * number, took_s=1.0)
    for trial in read_results(tmp_path).trials:
        expected = [100.0 * trial.number + 1.5 * (i + 1) for i in range(len(trial.curve))]
        assert [point.at_s for point in trial.curve] == pytest.approx(expected)


def test_reports_of_a_running_trial_are_counted_on_from_its_start(tmp_path: Path) -> None:
    make_search(
        tmp_path, space=RECVAE, trials=3, max_passes=20, scheduler="none", stop_after=7, status="running"
    )
    rewrite_times(tmp_path, lambda number: 100.0 * number, took_s=60.0)
    trial = read_results(tmp_path).trials[-1]
    assert trial.status is Status.RUNNING
    assert trial.curve
    expected = [100.0 * trial.number + 1.5 * (i + 1) for i in range(len(trial.curve))]
    assert [point.at_s for point in trial.curve] == pytest.approx(expected)


def test_the_search_began_with_the_trial_that_began_first(tmp_path: Path) -> None:
    # A trial that was restarted after an interruption may have a later start than the next one.
    make_search(tmp_path, space=RECVAE, trials=3, max_passes=8, scheduler="none")
    rewrite_times(tmp_path, lambda number: 50.0 - 10.0 * number, took_s=20.0)
    ends = [trial.curve[-1].at_s for trial in read_results(tmp_path).trials]
    assert ends == pytest.approx([40.0, 30.0, 20.0])


def test_scores_of_an_earlier_end_are_not_taken_for_a_search_that_goes_on(tmp_path: Path) -> None:
    make_search(tmp_path, space=RECVAE, trials=6, max_passes=12, status="running", stop_after=10)
    publish(tmp_path, 2, 0.1, 0.1, 0.01)
    assert read_results(tmp_path).scores is None


@pytest.mark.parametrize("content", [None, b"{", b"\xff", b"[1]", b'{"trial": 1}'])
def test_without_readable_scores_nothing_is_published(tmp_path: Path, content: bytes | None) -> None:
    make_search(tmp_path, space=RECVAE, trials=2, max_passes=8)
    publish(tmp_path, 1, 0.1, 0.1, 0.01)
    assert read_results(tmp_path).scores is not None
    (tmp_path / "best" / "metrics.json").unlink()
    if content is not None:
        (tmp_path / "best" / "metrics.json").write_bytes(content)
    assert read_results(tmp_path).scores is None


def test_folders_without_a_search_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"holds no search .* give the results folder of a search"):
        read_results(tmp_path)
    make_search(tmp_path, space=RECVAE, trials=2, max_passes=8)
    (tmp_path / "ledger.jsonl").unlink()
    with pytest.raises(ResultsError, match=r"ledger\.jsonl is missing"):
        read_results(tmp_path)
    Ledger(tmp_path, METRIC)
    with pytest.raises(ResultsError, match="has no trial yet"):
        read_results(tmp_path)


def test_a_search_beside_a_comparison_is_a_search(tmp_path: Path) -> None:
    make_search(tmp_path, space=RECVAE, trials=2, max_passes=8)
    (tmp_path / "compare.json").write_text("{}", encoding="utf-8")
    assert len(read_results(tmp_path).trials) == 2


def test_a_report_is_made_from_the_ledger_alone(tmp_path: Path) -> None:
    make_search(tmp_path, space=RECVAE, trials=2, max_passes=8)
    for name in ("trials.parquet", "history.parquet", "trials.csv", "study.journal"):
        (tmp_path / name).unlink(missing_ok=True)
    assert len(read_results(tmp_path).trials) == 2


def test_a_search_whose_trials_failed_before_they_reported_says_why(tmp_path: Path) -> None:
    def failing(config: dict[str, Any], passes: int) -> float:
        raise RuntimeError("out of memory")

    make_search(tmp_path, space=RECVAE, curve=failing, trials=2, max_passes=8)
    trials = read_results(tmp_path).trials
    assert [(trial.status, trial.reason, trial.curve) for trial in trials] == [
        (Status.FAILED, "out of memory", ())
    ] * 2


def test_a_search_that_nothing_was_asked_in_has_no_trial_yet(tmp_path: Path) -> None:
    make_search(tmp_path, space=RECVAE, trials=2, max_passes=8)
    described = read_description(tmp_path)
    (tmp_path / "new").mkdir()
    assert Ledger(tmp_path / "new", METRIC).records == {}
    write_description(tmp_path / "new", replace(described, status="running"))
    with pytest.raises(ResultsError, match="new has no trial yet; wait until a trial has reported"):
        read_results(tmp_path / "new")


def test_what_a_search_asks_of_itself_is_told_from_what_people_ask(tmp_path: Path) -> None:
    make_search(tmp_path, space=RECVAE, trials=12, max_passes=60, min_passes=4, sampler="guided")
    asked = read_results(tmp_path).asked
    assert [each.what.split()[0] for each in asked] == ["revive"] * len(asked)
    assert asked, "it continued what it had stopped too early"
    assert all(each.by_itself for each in asked)
