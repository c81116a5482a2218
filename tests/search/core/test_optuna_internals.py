"""Every touch of what is private to Optuna: each test fails where Optuna has moved what is touched."""

from __future__ import annotations

import optuna

from distrecvae.search.core.optuna_internals import stored_id
from distrecvae.search.core.study import quiet


def test_a_trial_is_found_in_its_storage_by_its_id() -> None:
    storage = optuna.storages.InMemoryStorage()
    with quiet():
        optuna.create_study(storage=storage, study_name="another").ask()  # so that ids are not numbers
        study = optuna.create_study(storage=storage, study_name="search")
    trial = study.ask()
    (frozen,) = study.get_trials(deepcopy=False)
    assert stored_id(trial) == stored_id(frozen) != trial.number
    storage.set_trial_intermediate_value(stored_id(trial), 4, 0.25)
    assert study.get_trials()[0].intermediate_values == {4: 0.25}
