"""Settings: one home for defaults, one rule each."""

from __future__ import annotations

from typing import Any

import pytest

from distrecvae.errors import ConfigError
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.records import KEPT_TRIALS


@pytest.mark.parametrize(("max_passes", "first"), [(200, 40), (60, 12), (4, 1), (1, 1)])
def test_the_first_rung_follows_the_budget_unless_given(max_passes: int, first: int) -> None:
    assert SearchConfig(max_passes=max_passes).first_rung == first
    assert SearchConfig(max_passes=max_passes, min_passes=1).first_rung == 1
    # A trial that a guided search stops too early may continue, so that it is judged earlier.
    guided = SearchConfig(max_passes=max_passes, sampler="guided")
    assert guided.first_rung == max(1, max_passes // 15)
    assert guided.revives
    assert not SearchConfig(sampler="guided", scheduler="none").revives


def test_what_a_resumed_search_must_repeat_leaves_out_budget_and_resources() -> None:
    fixed = SearchConfig().fixed_part()
    assert {"model", "space", "seed", "metric", "sampler", "scheduler", "max_passes"} <= fixed.keys()
    assert not {"trials", "concurrent", "gpus_per_trial", "time_budget_s"} & fixed.keys()


def test_checkpoints_are_kept_of_a_number_of_trials_or_of_all() -> None:
    assert SearchConfig().n_kept == KEPT_TRIALS
    assert SearchConfig(keep_checkpoints=7).n_kept == 7
    assert SearchConfig(keep_checkpoints="all").n_kept is None
    for wrong in ("none", 0, -1, 2.0, True):
        with pytest.raises(ConfigError, match="must be a whole number, at least 1, or all"):
            SearchConfig(keep_checkpoints=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"trials": 0}, "trials=0 must be a whole number, at least 1"),
        ({"cpus_per_trial": 1.5}, "cpus_per_trial=1.5 must be a whole number, at least 1"),
        ({"reduction_factor": 1}, "reduction_factor=1 must be a whole number, at least 2"),
        ({"seed": -1}, "seed=-1 must be a whole number, at least 0"),
        ({"concurrent": 0}, "concurrent=0 must be a whole number, at least 1"),
        ({"model": ""}, "model='' must be a name or a path, as text"),
        ({"model": None}, "model=None must be a name or a path, as text"),
        ({"data": ""}, "data='' must be a name or a path, as text"),
        ({"min_passes": 61, "max_passes": 60}, "min_passes=61 is above max_passes=60"),
        ({"time_budget_s": 0}, "time_budget_s=0 must be a positive number of seconds"),
        ({"checkpoint_every_s": 0.0}, "checkpoint_every_s=0.0 must be a positive number of seconds"),
        ({"price_per_hour": -0.01}, "price_per_hour=-0.01 must be a number, at least 0"),
        ({"gpus_per_trial": 1.5}, "gpus_per_trial=1.5 must be 0, a fraction below 1"),
        ({"notify": "ftp://host/told"}, "notify='ftp://host/told' must be a command"),
        ({"notify": "say 'it"}, "must be a command"),
    ],
)
def test_what_lies_beyond_a_bound_is_refused_with_the_value_and_the_rule(
    settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        SearchConfig(**settings)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"trials": 1, "cpus_per_trial": 1, "concurrent": 1, "max_passes": 1, "min_passes": 1},
        {"reduction_factor": 2, "seed": 0},
        {"time_budget_s": 0.5, "checkpoint_every_s": 0.5},
        {"price_per_hour": 0},
        {"gpus_per_trial": 0},
        {"gpus_per_trial": 1},
        {"notify": "notify-send --urgency low"},
        {"notify": "https://host/told"},
        {"notify": "env:TOLD"},
    ],
    ids=str,
)
def test_what_lies_at_a_bound_or_just_within_is_taken_as_it_is(settings: dict[str, Any]) -> None:
    taken = SearchConfig(**settings)
    assert {name: getattr(taken, name) for name in settings} == settings


def test_settings_of_a_file_are_taken_over_the_defaults_and_what_is_misspelt_is_named() -> None:
    assert SearchConfig.from_mapping({"trials": 5, "seed": 7}) == SearchConfig(trials=5, seed=7)
    with pytest.raises(ConfigError, match=r"it\.yaml: unknown setting 'trails'; .*did you mean 'trials'"):
        SearchConfig.from_mapping({"trails": 5}, source="it.yaml")
