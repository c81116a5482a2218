"""The tables say what the ledger says, a row a trial, a row a report; the costlier they are, the rarer written."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status
from distrecvae.search.folder.tables import (
    TABLES_EVERY_S,
    Tables,
    history_table,
    read_history,
    read_rows,
    read_trials,
    trials_table,
)
from distrecvae.search.space.space import SearchSpace
from tests.results import reports_of
from tests.search.reported import make_search, rising

SPACE = SearchSpace.load("recvae-demo")
METRIC = "valid/ndcg_100"
SCORES = ("valid/ndcg_100", "valid/recall_20", "valid/recall_50")


def mixed(config: dict[str, Any], passes: int) -> float:
    """Some trials fail or diverge, one after its first reports; the others fall after their best."""
    if config["learning_rate"] > 2.2e-3:
        return math.nan
    if config["dropout"] > 0.6:
        raise RuntimeError("no memory, no luck")
    return rising(config, passes) - (0.3 if passes > 12 else 0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables") / "search"
    make_search(folder, space=SPACE, curve=mixed, trials=12, max_passes=20, sampler="random", stop_after=17)
    return folder


@pytest.fixture(scope="module")
def ledger(folder: Path) -> Ledger:
    ledger = Ledger(folder, METRIC)
    statuses = {record.status for record in ledger.records.values()}
    assert statuses >= {Status.FAILED, Status.DIVERGED, Status.RUNNING}, "else little is tested here"
    return ledger


def reported(folder: Path) -> dict[int, list[dict[str, Any]]]:
    """Return each trial's reports, as the ledger's lines have them."""
    found: dict[int, list[dict[str, Any]]] = {}
    for line in reports_of(folder):
        found.setdefault(line["trial"], []).append(line["metrics"])
    return found


def test_a_trials_row_has_the_scores_of_its_best_report_and_the_cost_of_all(
    folder: Path, ledger: Ledger
) -> None:
    history = reported(folder)
    rows = trials_table(ledger, SPACE, METRIC).to_dict("records")
    assert [row["trial"] for row in rows] == list(ledger.records)
    for row, reports in ((row, history.get(row["trial"], [])) for row in rows):
        best = max(
            reports, key=lambda report: report[METRIC], default=dict.fromkeys((*SCORES, "passes"), math.nan)
        )
        assert [row[name] for name in SCORES] == pytest.approx([best[name] for name in SCORES], nan_ok=True)
        assert row["best_passes"] == pytest.approx(best["passes"], nan_ok=True)
        assert row["passes"] == (reports[-1]["passes"] if reports else 0)
        assert row["cycles"] == len(reports)
        assert row["duration_s"] == pytest.approx(1.5 * len(reports))
    early = [row for row in rows if row["best_passes"] < row["passes"]]
    assert early, "the best report is not the last one everywhere"


def test_a_trials_row_has_its_outcome_and_its_parameters(ledger: Ledger) -> None:
    for row in trials_table(ledger, SPACE, METRIC).to_dict("records"):
        record = ledger.records[row["trial"]]
        assert (row["status"], row["reason"]) == (str(record.status), record.reason)
        assert row["score"] == pytest.approx(math.nan if record.score is None else record.score, nan_ok=True)
        for name, value in SPACE.flatten(record.config).items():
            assert row[name] == value or (value is None and pd.isna(row[name])), name


def test_the_scores_shown_are_those_of_the_report_that_the_searchs_metric_chose(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "valid/recall_20")
    ledger.ask(lambda _: _sampler(), SPACE.suggest, lambda _: SPACE.default_point())
    for passes, ndcg, recall in ((4, 0.4, 0.1), (8, 0.3, 0.2), (12, 0.2, 0.2)):
        scores = {"valid/ndcg_100": ndcg, "valid/recall_20": recall, "valid/recall_50": 0.5}
        ledger.report(0, {"passes": passes, "cycle": passes // 4, **scores})
    row = trials_table(ledger, SPACE, "valid/recall_20").to_dict("records")[0]
    assert (row["score"], row["valid/recall_20"], row["valid/ndcg_100"], row["best_passes"]) == (
        0.2,
        0.2,
        0.3,
        8,
    )


def _sampler() -> Any:
    import optuna

    return optuna.samplers.RandomSampler(seed=0)


def test_the_history_has_a_row_a_report_with_the_running_best(folder: Path, ledger: Ledger) -> None:
    table = history_table(ledger)
    expected = [
        {"trial": number, **report, "best": max(each[METRIC] for each in reports[: position + 1])}
        for number, reports in sorted(reported(folder).items())
        for position, report in enumerate(reports)
    ]
    assert table.to_dict("records") == expected


def test_the_files_hold_the_tables(folder: Path, ledger: Ledger) -> None:
    trials, history = trials_table(ledger, SPACE, METRIC), history_table(ledger)
    pd.testing.assert_frame_equal(read_trials(folder), trials)
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "history.parquet"), history)
    typed = pd.read_csv(folder / "trials.csv")
    assert list(typed) == list(trials)
    assert typed["trial"].tolist() == trials["trial"].tolist()
    assert typed["score"].tolist() == pytest.approx(trials["score"].tolist(), nan_ok=True)
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


def test_rows_come_back_plain_with_none_for_no_value(folder: Path, ledger: Ledger) -> None:
    rows = read_rows(folder)
    for row, record in zip(rows, ledger.records.values(), strict=True):
        assert row["score"] == record.score
        assert {name: row[name] for name in SPACE.names()} == SPACE.flatten(record.config)
        assert (row["best_passes"] is None) == (not record.reports)
    assert any(row["score"] is None for row in rows)


def test_the_history_comes_back_by_trial_and_a_trial_without_reports_is_missing(
    folder: Path, ledger: Ledger
) -> None:
    history = read_history(folder)
    assert set(history) == {number for number, record in ledger.records.items() if record.reports}
    assert len(history) < len(ledger.records)
    for number, reports in history.items():
        best = ledger.records[number].best
        assert reports == [
            {**report, "best": best[position]}
            for position, report in enumerate(ledger.records[number].reports)
        ]


def test_a_search_without_a_trial_and_one_without_a_report_have_tables(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, METRIC)
    tables = Tables(tmp_path, ledger, SPACE, METRIC)
    tables.write()
    assert (len(read_trials(tmp_path)), read_rows(tmp_path), read_history(tmp_path)) == (0, [], {})
    ledger.ask(lambda _: _sampler(), SPACE.suggest, lambda _: SPACE.default_point())
    tables.write()
    (row,) = read_rows(tmp_path)
    assert (row["trial"], row["status"], row["score"], row["passes"], row["cycles"]) == (
        0,
        "running",
        None,
        0,
        0,
    )
    assert read_history(tmp_path) == {}


class Clock:
    """A clock that a test sets; each look at it while the tables are written costs `cost_s`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.cost_s = 1000.0, 0.0
        monkeypatch.setattr("distrecvae.search.folder.tables.time", SimpleNamespace(monotonic=self))

    def __call__(self) -> float:
        self.now += self.cost_s
        return self.now


def due(tables: Tables) -> bool:
    return tables.due  # asked again: mypy takes it for an attribute that nothing changes


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_tables_are_due_when_something_is_new_and_not_at_every_report(
    clock: Clock, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path, METRIC)
    record = ledger.ask(lambda _: _sampler(), SPACE.suggest, lambda _: SPACE.default_point())
    tables = Tables(tmp_path, ledger, SPACE, METRIC)
    assert due(tables), "nothing is on disk yet"
    for hear in (tables.started, tables.reported, tables.ended):
        tables.write()
        clock.now += 2 * TABLES_EVERY_S
        assert not due(tables), "nothing is new"
        hear(record)
        assert due(tables)
        tables.write()
        hear(record)
        clock.now += TABLES_EVERY_S - 0.5
        assert not due(tables), "it is too early"
        clock.now += 0.5
        assert due(tables)


def test_tables_that_are_costly_are_written_as_seldom_as_their_share_of_the_time_allows(
    clock: Clock, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path, METRIC)
    record = ledger.ask(lambda _: _sampler(), SPACE.suggest, lambda _: SPACE.default_point())
    tables = Tables(tmp_path, ledger, SPACE, METRIC)
    clock.cost_s = 2.0  # from the look at the beginning to the one at the end
    tables.write()
    clock.cost_s = 0.0
    tables.started(record)
    clock.now += 199  # of 200 seconds, two are a hundredth
    assert not due(tables)
    clock.now += 1
    assert due(tables)


def test_a_table_that_cannot_be_written_leaves_the_old_one(
    folder: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tables = Tables(tmp_path, ledger, SPACE, METRIC)
    tables.write()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"trials.csv", "trials.parquet", "history.parquet"}

    def full(self: pd.DataFrame, path: Path, **options: Any) -> None:
        path.write_bytes(b"half a tab")
        raise OSError(28, "No space left on device")

    for method in ("to_csv", "to_parquet"):
        with monkeypatch.context() as patched:
            patched.setattr(pd.DataFrame, method, full)
            with pytest.raises(OSError, match="No space left"):
                tables.write()
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
