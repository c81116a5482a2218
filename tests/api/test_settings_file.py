"""A YAML file of settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.api.settings_file import read_settings
from distrecvae.errors import ConfigError
from distrecvae.search.core.config import SearchConfig


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
