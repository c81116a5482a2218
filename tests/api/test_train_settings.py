"""Settings of a run, new or going on, from what was given."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from distrecvae.api.train_settings import implied_by_refit, new_settings, old_settings, refuse_used
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ConfigError, ResultsError
from distrecvae.runs.configuration import read_config
from distrecvae.runs.training_run import RunSettings, write_settings

SPLIT = synthetic_split(n_users=100, n_items=60)
POPULARITY = partial(read_config, "popularity", None, ())


def test_a_new_run_is_what_was_given_over_the_defaults() -> None:
    split, settings = new_settings({"data": "mine", "patience": 0}, POPULARITY, "float32", "cpu", SPLIT)
    assert split is SPLIT, "it is there, and nothing is read"
    assert settings == RunSettings(
        model="popularity", config={}, data="mine", fingerprint=SPLIT.fingerprint, patience=None
    )
    assert new_settings({"data": "mine"}, None, None, "cpu", SPLIT)[1].model == "recvae"
    with pytest.raises(ConfigError, match="--data is missing"):
        new_settings({}, None, None, "cpu", SPLIT)


def test_a_run_that_goes_on_is_what_it_was(tmp_path: Path) -> None:
    _, begun = new_settings({"data": "mine", "seed": 3}, POPULARITY, "float32", "cpu", SPLIT)
    write_settings(tmp_path, begun)
    assert old_settings(tmp_path, {}, None, None, SPLIT) == (SPLIT, begun)
    assert old_settings(tmp_path, {"max_passes": 7}, POPULARITY, None, SPLIT)[1].max_passes == 7
    for given, configuration, words in (
        ({"seed": 4}, None, "seed 3"),
        ({"refit": True}, None, "without --refit"),
        ({}, partial(read_config, "ease", None, ()), "another configuration"),
    ):
        with pytest.raises(ConfigError, match=words):
            old_settings(tmp_path, given, configuration, None, SPLIT)


def test_a_refit_has_nothing_to_choose_by() -> None:
    assert implied_by_refit({"max_passes": 5}, None, None, resume=False) == {"refit": True}
    with pytest.raises(ConfigError, match="--patience"):
        implied_by_refit({"patience": 5}, None, None, resume=False)
    with pytest.raises(ConfigError, match="--seeds"):
        implied_by_refit({}, None, 3, resume=False)


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    refuse_used(tmp_path)
    (tmp_path / "notes").touch()
    with pytest.raises(ResultsError, match="not empty"):
        refuse_used(tmp_path)
