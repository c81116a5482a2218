"""Settings: one home for defaults, one rule each."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.errors import ConfigError
from distrecvae.search.core.config import SearchConfig, read_settings


@pytest.mark.parametrize(("max_passes", "first"), [(200, 40), (60, 12), (4, 1), (1, 1)])
def test_the_first_rung_follows_the_budget_unless_given(max_passes: int, first: int) -> None:
    assert SearchConfig(max_passes=max_passes).first_rung == first
    assert SearchConfig(max_passes=max_passes, min_passes=1).first_rung == 1


def test_a_file_may_write_dashes_and_the_command_line_wins(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("max-passes: 30\ntrials: 5\n", encoding="utf-8")
    config = SearchConfig.from_mapping({**read_settings(str(file)), "trials": 7})
    assert (config.max_passes, config.trials) == (30, 7)


@pytest.mark.parametrize("text", ["", "- 1\n", "trials: [1\n", "trials: 1\ntrials: 2\n: :"])
def test_a_file_that_is_no_settings_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"settings\.yaml: "):
        read_settings(str(file))


def test_what_a_resumed_search_must_repeat_leaves_out_budget_and_resources() -> None:
    fixed = SearchConfig().fixed_part()
    assert {"model", "space", "seed", "metric", "sampler", "scheduler", "max_passes"} <= fixed.keys()
    assert not {"trials", "concurrent", "gpus_per_trial", "time_budget_s"} & fixed.keys()
