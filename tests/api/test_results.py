"""A result reads its folder: over, interrupted, without a score."""

from __future__ import annotations

import html.parser
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from distrecvae.api.results import MOST_ROWS, Best, SearchResult
from distrecvae.errors import CheckpointError
from distrecvae.files import write_json
from distrecvae.metrics import METRICS
from distrecvae.search.core.ahead.enough import further
from distrecvae.search.core.ledger import Ledger, read_records
from distrecvae.search.core.records import Status
from distrecvae.search.folder.search_json import read_description
from distrecvae.search.folder.tables import Tables
from distrecvae.search.space.space import SearchSpace
from tests.search.reported import make_search
from tests.search.simulated import METRIC, SPACE

SUMMARY = "Searched <toy>"


def results(folder: Path, scores: list[list[float]], *, complete: bool) -> SearchResult:
    """Write a folder as a search does, with these validation scores a trial and report."""
    ledger = Ledger(folder, METRIC)
    for number, curve in enumerate(scores):
        ledger.ask(lambda _number: optuna.samplers.RandomSampler(seed=0), SPACE.suggest, lambda _n: {})
        for cycle, score in enumerate(curve, 1):
            values = {f"valid/{name}": score / place for place, name in enumerate(METRICS, 1)}
            ledger.report(number, {"passes": 4 * cycle, "cycle": cycle, **values, "train_s": 1.0})
        ledger.end(number, Status.FINISHED if curve else Status.FAILED, "" if curve else "a <reason>")
    Tables(folder, ledger, SPACE, METRIC).write()
    return SearchResult(folder, complete, SUMMARY, "ndcg_100")


class Tags(html.parser.HTMLParser):
    """Collects open tags, and fails where they do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        self.open.append(tag)
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_best_is_the_best_report_of_the_best_trial(tmp_path: Path) -> None:
    found = results(tmp_path, [[0.1, 0.3], [0.2, 0.5, 0.4], [], [0.5]], complete=False)
    best = found.best
    assert isinstance(best, Best)
    config, by_group = best
    assert config == Ledger(tmp_path, METRIC).records[1].config, "the earliest of equals"
    assert list(by_group) == ["valid"], "test users are not looked at before the end"
    assert list(by_group["valid"].values()) == pytest.approx([0.5, 0.25, 0.5 / 3])
    assert len(found.trials) == 4
    np.testing.assert_array_equal(found.history["trial"], [0, 0, 1, 1, 1, 3])


def test_the_limits_are_those_that_the_best_trial_met(tmp_path: Path) -> None:
    space = SearchSpace.load("recvae-demo")

    def small_batches(config: dict[str, Any], passes: int) -> float:
        return passes / 1000 - float(config["batch_size"]) / 1e5

    make_search(tmp_path / "it", space=space, curve=small_batches, trials=8, max_passes=8, sampler="random")
    limits = SearchResult(tmp_path / "it", True, SUMMARY, "ndcg_100").limits
    assert limits is not None
    ledger = read_records(tmp_path / "it", METRIC)
    best = max(ledger.values(), key=lambda record: record.score or 0.0)
    assert limits.trial == best.number
    assert limits.edges == space.edges(best.config)
    assert ("batch_size", "smaller") in [(edge.name, edge.direction) for edge in limits.edges]
    assert limits.rising


def test_without_a_model_there_are_no_limits(tmp_path: Path) -> None:
    assert results(tmp_path, [[]], complete=False).limits is None


def test_a_search_that_is_over_has_test_scores(tmp_path: Path) -> None:
    found = results(tmp_path, [[0.1], [0.2]], complete=True)
    means = {
        group: {"mean": dict.fromkeys(METRICS, value)} for group, value in (("valid", 0.2), ("test", 0.125))
    }
    (tmp_path / "best").mkdir()
    write_json(tmp_path / "best" / "metrics.json", {"trial": 1, **means})
    assert found.best is not None
    assert found.best.scores["test"] == dict.fromkeys(METRICS, 0.125)
    assert "NDCG@100 0.2000 on valid users, 0.1250 on test users" in repr(found)
    # One that continues after its end was published does not show the test scores of an older choice.
    going_on = SearchResult(tmp_path, False, SUMMARY, "ndcg_100")
    assert going_on.best is not None
    assert list(going_on.best.scores) == ["valid"]


def test_a_notebook_shows_the_best_trials_first(tmp_path: Path) -> None:
    found = results(tmp_path, [[0.01 * n] for n in range(1, 20)], complete=True)
    page = Tags(found._repr_html_())
    assert page.open == []
    assert page.seen.count("tr") == 2 + 1 + MOST_ROWS
    assert "19 trials" in page.text
    assert page.text.index("0.19") < page.text.index("0.18")


def test_an_interrupted_search_says_so_and_how_to_go_on(tmp_path: Path) -> None:
    found = results(tmp_path, [[], []], complete=False)
    assert found.best is None
    assert "not over: 2 trials, no score yet" in repr(found)
    page = Tags(found._repr_html_())
    assert SUMMARY in page.text, "escaped, so it is text"
    assert str(found) == SUMMARY
    with pytest.raises(CheckpointError, match="no model"):
        _ = found.model


def test_scores_over_no_users_are_not_there_and_are_said_so(tmp_path: Path) -> None:
    # JSON has null for them; they are not numbers here, as in any mean, and never 0.
    found = results(tmp_path, [[0.1], [0.2]], complete=True)
    means = {
        group: {"mean": dict.fromkeys(METRICS, value)} for group, value in (("valid", 0.2), ("test", None))
    }
    (tmp_path / "best").mkdir()
    write_json(tmp_path / "best" / "metrics.json", means)
    assert found.best is not None
    assert all(np.isnan(mean) for mean in found.best.scores["test"].values())
    assert "NDCG@100 0.2000 on valid users, n/a on test users" in repr(found)
    assert Tags(found._repr_html_()).text.count("n/a") == len(METRICS)


def test_a_trial_that_diverged_is_never_the_best(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, METRIC)
    ledger.ask(lambda _number: optuna.samplers.RandomSampler(seed=0), SPACE.suggest, lambda _n: {})
    scores = {f"valid/{name}": 0.5 for name in METRICS}
    ledger.report(0, {"passes": 4, "cycle": 1, **scores, "train_s": 1.0})
    ledger.end(0, Status.DIVERGED, "loss is nan")
    assert SearchResult(tmp_path, True, SUMMARY, "ndcg_100").best is None


def test_what_further_trials_can_be_expected_to_bring(tmp_path: Path) -> None:
    space = SearchSpace.load("recvae")
    ledger = make_search(tmp_path / "it", space=space, trials=14, max_passes=24)
    found = SearchResult(tmp_path / "it", True, SUMMARY, "ndcg_100")
    assert found.further() == further(
        ledger.records.values(), trials=14, at_once=found_at_once(tmp_path / "it")
    )
    few, many = found.further(1), found.further(100)
    assert few is not None
    assert many is not None
    assert 0 < few.gain < many.gain


def found_at_once(folder: Path) -> int:
    return read_description(folder).plan.concurrent
