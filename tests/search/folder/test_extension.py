"""`--extend` takes from the folder all that is not given, and tells a search that is over from one that is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distrecvae.errors import ConfigError, ResultsError
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.folder.extension import begun_search, nothing_left, spent
from distrecvae.search.folder.search_json import read_description, write_description
from distrecvae.search.space.space import SearchSpace
from tests.search.reported import make_search

SPACE = SearchSpace.load("recvae-demo")
ELAPSED_S = 75.0  # what `make_search` writes


def make(folder: Path, **settings: Any) -> Path:
    make_search(folder, space=SPACE, **{"trials": 2, "max_passes": 8, "scheduler": "none", **settings})
    has_model(folder)
    return folder


def has_model(folder: Path) -> None:
    (folder / "best").mkdir()
    (folder / "best/config.json").touch()


def change(folder: Path, **settings: Any) -> None:
    """Rewrite settings in the folder's `search.json`."""
    described = read_description(folder)
    write_description(folder, replace(described, settings=replace(described.settings, **settings)))


def left_nothing(folder: Path, **changes: Any) -> bool:
    config, _ = begun_search(folder, changes)
    return nothing_left(read_description(folder), config, folder)


def test_it_goes_on_by_what_the_folder_says(tmp_path: Path) -> None:
    config, space = begun_search(make(tmp_path, seed=7, metric="recall_20"), {})
    assert (config.trials, config.max_passes, config.seed) == (2, 8, 7)
    assert (config.scheduler, config.metric, config.data) == ("none", "recall_20", "data/toy")
    assert space is not None
    assert space.to_dict() == SPACE.to_dict()


def test_what_is_given_goes_over_what_was_begun(tmp_path: Path) -> None:
    config, space = begun_search(make(tmp_path), {"trials": 9, "concurrent": 2})
    assert (config.trials, config.concurrent, config.scheduler) == (9, 2, "none")
    assert space is not None


def test_a_space_that_is_given_is_for_the_caller_to_read(tmp_path: Path) -> None:
    config, space = begun_search(make(tmp_path), {"space": "recvae"})
    assert (config.space, space) == ("recvae", None)


def test_the_space_is_the_one_that_was_searched_wherever_its_file_went(tmp_path: Path) -> None:
    change(make(tmp_path), space="./gone.yaml")
    config, space = begun_search(tmp_path, {})
    assert config.space == "./gone.yaml"
    assert space == SPACE


def test_a_folder_without_a_search_and_broken_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ResultsError, match=r"holds no search .*; give --extend the results folder of a search$"
    ):
        begun_search(tmp_path, {})
    make(tmp_path)
    with pytest.raises(ConfigError, match="trials=0 must be a whole number, at least 1"):
        begun_search(tmp_path, {"trials": 0})
    with pytest.raises(ConfigError, match=r"search\.json: unknown setting 'trails'"):
        begun_search(tmp_path, {"trails": 3})


def test_more_trials_need_time_where_the_budget_is_spent(tmp_path: Path) -> None:
    make(tmp_path, time_budget_s=ELAPSED_S)
    with pytest.raises(ResultsError) as refused:
        begun_search(tmp_path, {"trials": 3})
    assert str(refused.value) == (
        f"{tmp_path} has used up its time budget of 75 s; give a longer --time-budget, too"
    )
    for given in (
        {"trials": 3, "time_budget_s": 76.0},
        {"trials": 3, "time_budget_s": None},
        {},
        {"trials": 2},
    ):
        begun_search(tmp_path, given)


def test_a_search_that_was_interrupted_is_not_asked_for_more_time(tmp_path: Path) -> None:
    # It has no model yet: continuing with it publishes one.
    make(tmp_path, time_budget_s=ELAPSED_S, status="interrupted")
    assert begun_search(tmp_path, {"trials": 3})[0].trials == 3


def test_nothing_is_left_of_a_finished_search_with_all_of_its_trials(tmp_path: Path) -> None:
    make(tmp_path)
    assert left_nothing(tmp_path)
    assert not left_nothing(tmp_path, trials=3)


def test_a_finished_search_whose_model_is_gone_has_that_left(tmp_path: Path) -> None:
    # A mirror's of which half was put is left out where it is fetched.
    make(tmp_path, time_budget_s=1.0)
    (tmp_path / "best/config.json").unlink()
    assert not left_nothing(tmp_path)


@pytest.mark.parametrize("status", ["running", "interrupted"])
def test_a_search_without_a_model_is_never_over(tmp_path: Path, status: str) -> None:
    make(tmp_path, status=status, time_budget_s=1.0)
    assert not left_nothing(tmp_path)


def test_trials_that_the_time_budget_cut_off_are_run_once_there_is_time(tmp_path: Path) -> None:
    # `trials=5`, of which the first two had begun when the time was over.
    make_search(tmp_path, space=SPACE, trials=5, max_passes=8, time_budget_s=ELAPSED_S, stop_after=3)
    has_model(tmp_path)
    assert left_nothing(tmp_path)
    assert not left_nothing(tmp_path, time_budget_s=ELAPSED_S + 1)
    assert not left_nothing(tmp_path, time_budget_s=None)


def test_what_its_tables_say_does_not_count(tmp_path: Path) -> None:
    # They are views: the ledger says how many trials there were.
    make_search(tmp_path, space=SPACE, trials=5, max_passes=8, stop_after=3)
    has_model(tmp_path)
    for name in ("trials.parquet", "trials.csv", "history.parquet"):
        (tmp_path / name).unlink()
    assert not left_nothing(tmp_path)


@pytest.mark.parametrize(
    ("budget", "elapsed_s", "expected"),
    [(None, 1e9, False), (10, 9.9, False), (10, 10, True), (10, 11, True)],
)
def test_a_budget_is_spent_when_it_is_reached(budget: float | None, elapsed_s: float, expected: bool) -> None:
    assert spent(SearchConfig(time_budget_s=budget), elapsed_s) is expected
