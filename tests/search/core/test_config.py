"""Settings: one home for defaults, one rule each."""

from __future__ import annotations

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
