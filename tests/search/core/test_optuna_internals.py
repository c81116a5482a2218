"""Every touch of what is private to Optuna: each test fails where Optuna has moved what is touched."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from distrecvae.search.core.optuna_internals import creates_a_trial, stored_id
from distrecvae.search.core.study import NoLock, quiet


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    with quiet():
        backend = JournalFileBackend(str(tmp_path / "study.journal"), lock_obj=NoLock())
        storage = JournalStorage(backend)
        optuna.create_study(storage=storage, study_name="another").ask()  # so that ids are not numbers
        return optuna.create_study(storage=storage, study_name="search")


def test_a_trial_is_found_in_its_storage_by_its_id(study: optuna.Study, tmp_path: Path) -> None:
    trial = study.ask()
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "study.journal"), lock_obj=NoLock()))
    (frozen,) = study.get_trials()
    assert stored_id(trial) == stored_id(frozen) != trial.number
    storage.set_trial_user_attr(stored_id(trial), "seen", True)
    assert study.get_trials()[0].user_attrs == {"seen": True}


def test_the_line_by_which_a_trial_comes_into_being_is_known(study: optuna.Study, tmp_path: Path) -> None:
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    trial.set_user_attr("config", {"x": 0.5})
    study.tell(trial, 0.5)
    entries = [json.loads(line) for line in (tmp_path / "study.journal").read_text().splitlines()]
    assert [creates_a_trial(entry) for entry in entries].count(True) == 2, "one in each study"
    assert creates_a_trial(entries[-4]), "then its parameter, its attribute, its end"


def test_what_is_no_line_of_a_journal_is_not_taken_for_one() -> None:
    with pytest.raises(KeyError):
        creates_a_trial({"trial": 3, "passes": 4})
