"""What a search costs, of what its ledger records: hours of what is busy, and their price."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.planning.cost import (
    HEAD_FILE,
    Timing,
    busy_s,
    cost_text,
    estimate_text,
    expected_share,
    price_on_head,
    timing_of,
)
from distrecvae.search.planning.resources import Slots


def trial(passes: int, train_s: float, status: Status = Status.FINISHED) -> TrialRecord:
    """Return a trial of reports of two passes each, whose evaluation takes a quarter of its training."""
    n = passes // 2
    reports = [
        {"passes": 2 * (i + 1), "train_s": train_s / n, "evaluate_s": train_s / n / 4} for i in range(n)
    ]
    return TrialRecord(0, {}, status, reports)


def test_training_and_evaluation_keep_a_gpu_busy() -> None:
    assert busy_s([trial(4, 80.0), trial(2, 40.0), TrialRecord(2, {})]) == pytest.approx(150.0)
    assert busy_s([]) == 0.0


@pytest.mark.parametrize(
    ("slots", "price", "text"),
    [
        (Slots(8, 1, 1.0), None, "2 GPU-hours"),
        (Slots(8, 4, 0.25), None, "0.5 GPU-hours"),  # four trials share one
        (Slots(8, 4, 0.0), None, "8 core-hours"),
        (Slots(8, 1, 1.0), 0.8, "2 GPU-hours, 1.60 at 0.8 an hour"),
        (Slots(8, 1, 1.0), 0.0, "2 GPU-hours, 0.00 at 0 an hour"),
    ],
)
def test_hours_are_of_gpus_or_of_cores(slots: Slots, price: float | None, text: str) -> None:
    assert cost_text(7200.0, slots, price) == text


def test_large_and_small_hours_are_read_at_a_glance() -> None:
    assert cost_text(3600.0 * 12345.6, Slots(1, 1, 1.0), None) == "12,346 GPU-hours"
    assert cost_text(3.6, Slots(1, 1, 0.0), None) == "0.001 core-hours"


def test_an_earlier_search_says_what_a_pass_takes_and_how_many_a_trial_gets() -> None:
    stopped, running = trial(2, 8.0, Status.STOPPED), trial(4, 16.0, Status.RUNNING)
    timing = timing_of(
        [trial(10, 40.0), stopped, running, TrialRecord(3, {}, Status.FAILED)], 10, "as before"
    )
    # 16 passes in 64 s of training and 16 s of evaluation; of those that ended one got all of 10, one got 2.
    assert timing is not None
    assert [timing.pass_s, timing.share] == pytest.approx([5.0, 0.6])
    assert timing.source == "as before"


@pytest.mark.parametrize(
    "records", [[], [TrialRecord(0, {})], [trial(4, 16.0, Status.RUNNING)], [trial(4, 0.0)]]
)
def test_a_search_without_times_says_nothing(records: list[TrialRecord]) -> None:
    assert timing_of(records, 10, "") is None


def test_of_three_trials_at_a_rung_one_goes_on() -> None:
    assert expected_share((), 90, 3) == 1.0
    # All get 10 passes, a third 20 more, a ninth the last 60.
    assert expected_share((10, 30), 90, 3) == pytest.approx((10 + 20 / 3 + 60 / 9) / 90)
    assert expected_share((90,), 90, 3) == 1.0, "a rung at the end decides nothing"


def test_the_estimate_is_of_all_trials_side_by_side() -> None:
    rows = dict(estimate_text(100, 200, Slots(8, 1, 1.0), Timing(0.9, 0.5, "passes as in runs/a"), 2.0))
    # 100 x 200 x 0.5 passes of 0.9 s are 9000 s; eight at once take 1125.
    assert rows["time"] == "about 18 min 45 s, where 8 are always at once (passes as in runs/a)"
    assert rows["cost"] == "about 2.5 GPU-hours, 5.00 at 2 an hour"
    alone = dict(estimate_text(1, 200, Slots(8, 1, 0.0), Timing(0.9, 0.5, "s"), None))
    assert alone["time"].startswith("about 1 min 30 s, where 1 are")


def test_the_head_knows_the_price_in_its_clusters_file(tmp_path: Path) -> None:
    path = tmp_path / HEAD_FILE.name
    path.write_text("cluster_name: a\nmetadata: {price_per_hour: 0.5}\n", encoding="utf-8")
    assert price_on_head(path) == 0.5


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[",
        "metadata: 3",
        "metadata: {}",
        "metadata: {price_per_hour: -1}",
        "metadata: {price_per_hour: a}",
    ],
)
def test_what_says_no_price_is_passed_over(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    assert price_on_head(tmp_path / "a.yaml") is None
