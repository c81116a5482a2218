"""Every touch of what is private to Optuna: each test fails where Optuna has moved what is touched."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest

from distrecvae.search.core.optuna_internals import leaning_of, stored_id
from distrecvae.search.core.samplers import make_sampler
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


def studied(n_trials: int) -> optuna.Study:
    with quiet():
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
        study.optimize(
            lambda t: -((t.suggest_float("x", 0, 1) - 0.8) ** 2) + 0.01 * t.suggest_int("n", 1, 9, log=True)
            + (0.1 if t.suggest_categorical("kind", ["a", "b"]) == "a" else 0.0),
            n_trials=n_trials,
        )  # fmt: skip
    return study


def asked(study: optuna.Study) -> optuna.trial.FrozenTrial:
    number = study.ask().number
    return study.get_trials(deepcopy=False)[number]


def test_marginals_of_what_tpe_leans_on_are_densities_and_agree_with_its_own_choice() -> None:
    study = studied(30)
    sampler = make_sampler("tpe", seed=3, trial_number=30)
    assert isinstance(sampler, optuna.samplers.TPESampler)
    frozen = asked(study)

    def ratio(**params: object) -> dict[str, float]:
        found = leaning_of(sampler, study, frozen, params)
        assert found is not None
        return found.log_ratios

    # The good ones lie near 0.8 and are of kind a; those, and not their opposites, are likelier among them.
    near, far = ratio(x=0.8, n=5, kind="a"), ratio(x=0.05, n=5, kind="b")
    assert near["x"] > 0 > far["x"]
    assert near["kind"] > 0 > far["kind"]
    assert near["n"] == far["n"], "each parameter by itself"
    # Probabilities over probabilities: p, the share of kind a among the others, solves p e^a + (1 - p) e^b = 1.
    a, b = (math.exp(ratio(x=0.5, n=1, kind=kind)["kind"]) for kind in ("a", "b"))
    assert 0 < (1 - b) / (a - b) < 1


def test_what_tpe_holds_to_be_good_are_its_best_tenth_and_before_it_leans_on_any_there_are_none() -> None:
    study = studied(30)
    sampler = make_sampler("tpe", seed=3, trial_number=30)
    assert isinstance(sampler, optuna.samplers.TPESampler)
    frozen = asked(study)
    found = leaning_of(sampler, study, frozen, {"x": 0.5, "n": 3, "kind": "a"})
    assert found is not None
    values = [trial.value for trial in study.get_trials(deepcopy=False)[:30]]
    assert set(found.good) == {int(n) for n in np.argsort([-(value or 0.0) for value in values])[:3]}
    assert set(found.good) | set(found.others) == set(range(30))
    early = studied(5)
    frozen = asked(early)
    assert leaning_of(sampler, early, frozen, {"x": 0.5, "n": 3, "kind": "a"}) is None


def test_a_single_parameter_is_as_likely_as_the_whole() -> None:
    with quiet():
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
        study.optimize(lambda t: -abs(t.suggest_float("x", 0, 1) - 0.3), n_trials=20)
    sampler = make_sampler("tpe", seed=3, trial_number=20)
    assert isinstance(sampler, optuna.samplers.TPESampler)
    trials = study.get_trials(deepcopy=False)
    frozen = asked(study)
    found = leaning_of(sampler, study, frozen, {"x": 0.4})
    assert found is not None
    space = sampler.infer_relative_search_space(study, frozen)
    whole = [
        sampler._build_parzen_estimator(
            study, space, [trials[n] for n in sorted(numbers)], handle_below=below
        ).log_pdf({"x": np.array([0.4])})[0]
        for numbers, below in ((found.good, True), (found.others, False))
    ]
    assert found.log_ratios["x"] == pytest.approx(whole[0] - whole[1])
