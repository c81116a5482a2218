"""A trial's task is a function of its record and of the search's settings."""

from __future__ import annotations

from distrecvae import rng
from distrecvae.search.core.records import TrialRecord
from distrecvae.search.core.tasks import trial_task
from tests.search.simulated import toy_search_config

CONFIG = {"width": 8, "rate": 0.1, "kind": "a"}


def test_it_has_the_searchs_settings_and_a_seed_of_its_configuration() -> None:
    config = toy_search_config(checkpoint_every_s=5.0)
    task = trial_task(TrialRecord(3, CONFIG), config, device="cpu", precision="float32")
    assert (task.number, task.config, task.max_passes, task.checkpoint_every_s) == (3, CONFIG, 36, 5.0)
    assert task.seed == rng.trial_seed(3, CONFIG)
    assert task.metric == "valid/ndcg_100"


def test_a_trial_with_a_budget_of_its_own_has_that_and_whoever_repeats_it_gives_another() -> None:
    config = toy_search_config()
    record = TrialRecord(3, CONFIG, max_passes=80)
    task = trial_task(record, config, device="cpu", precision="float32")
    assert task.max_passes == 80
    task = trial_task(
        record,
        config,
        device="cpu",
        precision="float32",
        max_passes=8,
        checkpoint_every_s=1e9,
    )
    assert (task.max_passes, task.checkpoint_every_s) == (8, 1e9)
