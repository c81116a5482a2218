"""A training in its folder, whoever asked for it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from distrecvae.api.train.folder import Order, train_in
from distrecvae.data.io import load_dataset
from distrecvae.data.prepared import prepare_data
from distrecvae.errors import ConfigError, ResultsError
from distrecvae.runs.configuration import read_config
from distrecvae.runs.training_run import read_settings

DATA = prepare_data(None, users=120, items=60)
EASE = partial(read_config, "ease", None, ())


def test_data_in_memory_lies_beside_its_results_and_is_what_they_go_on_with(tmp_path: Path) -> None:
    out = tmp_path / "out"
    trained = train_in(out, Order(given={}, configuration=EASE, threads=1), goes_on="again", data=DATA)
    assert trained.complete
    assert trained.seeds == ()
    assert "solved" in trained.ended
    assert read_settings(out).data == str(out / "data")
    assert load_dataset(out / "data").fingerprint == DATA.fingerprint
    again = train_in(out, Order(given={}, resume=True, threads=1), goes_on="again")
    assert again.scores["test"].means() == trained.scores["test"].means()


def test_data_in_a_folder_stays_there(tmp_path: Path) -> None:
    data = DATA.save(tmp_path / "mine")
    train_in(tmp_path / "out", Order(given={}, configuration=EASE, threads=1), goes_on="again", data=data)
    assert read_settings(tmp_path / "out").data == str(tmp_path / "mine")
    assert not (tmp_path / "out" / "data").exists()


def test_other_data_is_refused(tmp_path: Path) -> None:
    train_in(tmp_path, Order(given={}, configuration=EASE, threads=1), goes_on="again", data=DATA)
    other = prepare_data(None, users=120, items=60, seed=1)
    with pytest.raises(ResultsError, match="fingerprint"):
        train_in(tmp_path, Order(given={}, resume=True), goes_on="again", data=other)


def test_what_was_refused_left_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--address"):
        train_in(tmp_path / "out", Order(given={}, address="auto"), goes_on="", data=DATA)
    with pytest.raises(ConfigError, match="--data is missing"):
        train_in(tmp_path / "out", Order(given={}), goes_on="")
    assert not (tmp_path / "out").exists()
