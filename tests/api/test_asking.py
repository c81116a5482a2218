"""What a search is asked to do, from options or arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.api.asking import DEMO_SETTINGS, UNCOUNTED, asked_comparison, asked_search, data_name
from distrecvae.errors import ConfigError, ResultsError
from distrecvae.search.core.config import SearchConfig


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_data_it_is_the_demo() -> None:
    asked = asked_search({})
    assert (asked.config.trials, asked.config.max_passes) == tuple(DEMO_SETTINGS.values())
    assert asked.folder == Path("runs/recvae-synthetic")
    assert not asked.resume
    assert asked_search({"trials": 24}).config.trials == 24
    assert asked_search({"data": "data/mine"}).config == SearchConfig(data="data/mine")


def test_a_file_is_under_what_is_given() -> None:
    Path("mine.yaml").write_text("trials: 7\nmax-passes: 9\ndata: data/a\n", encoding="utf-8")
    config = asked_search({"trials": 5}, config_file="mine.yaml").config
    assert (config.trials, config.max_passes, config.data) == (5, 9, "data/a")


def test_resume_or_start_resumes_what_was_begun() -> None:
    assert not asked_search({"data": "a"}, out=Path("x"), resume_or_start=True).resume
    Path("x").mkdir()
    Path("x/search.json").touch()
    assert asked_search({"data": "a"}, out=Path("x"), resume_or_start=True).resume
    assert not asked_search({"data": "a"}, out=Path("x")).resume


def test_contradictions_are_refused() -> None:
    with pytest.raises(ConfigError, match="--resume and --resume-or-start"):
        asked_search({}, resume=True, resume_or_start=True)
    with pytest.raises(ConfigError, match="leave --out out"):
        asked_search({}, extend=Path("x"), out=Path("y"))
    with pytest.raises(ResultsError, match="--extend"):
        asked_search({}, extend=Path("x"))


def test_a_comparison_by_time_counts_no_trials() -> None:
    assert asked_comparison({"time_budget_s": 5.0}).trials == UNCOUNTED
    assert asked_comparison({"time_budget_s": 5.0, "trials": 3}).trials == 3
    assert asked_comparison({}).trials == SearchConfig.trials


def test_results_are_called_by_their_data() -> None:
    assert data_name(SearchConfig()) == "synthetic"
    assert data_name(SearchConfig(data="data/mine/")) == "mine"
