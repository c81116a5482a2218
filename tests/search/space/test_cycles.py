"""A trial's budget takes the longest cycle that its space has."""

from __future__ import annotations

import pytest

from distrecvae.errors import ConfigError
from distrecvae.models.ease import EASEConfig
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.search.space.changing import with_range, with_value
from distrecvae.search.space.cycles import require_cycles_fit
from distrecvae.search.space.space import SearchSpace

SPACE = SearchSpace.load("recvae")


def test_the_longest_cycle_is_that_of_all_ranges_together() -> None:
    # A trial trains its first cycle whole: with 4 passes, enough for the published 3 and 1, one of 5 and 2 took 7.
    with pytest.raises(
        ConfigError, match=r"is 6 .* up to 7 in its space: 5 encoder and 2 decoder passes; give 7 or"
    ):
        require_cycles_fit(SPACE, RecVAEConfig, 6)
    require_cycles_fit(SPACE, RecVAEConfig, 7)


def test_it_is_that_of_the_space_as_it_is_by_now() -> None:
    wider = with_range(SPACE, "encoder_passes", (None, 8), wider=True)
    with pytest.raises(ConfigError, match="takes up to 10 in its space: 8 encoder and 2 decoder passes"):
        require_cycles_fit(wider, RecVAEConfig, 9)
    # Where it began, 3 and 1, lies outside of a narrower range, and nothing of it is trained any more.
    require_cycles_fit(with_range(SPACE, "encoder_passes", (1, 1), wider=False), RecVAEConfig, 3)
    require_cycles_fit(with_value(SPACE, "encoder_passes", 2), RecVAEConfig, 4)


def test_a_cycle_of_other_models_is_a_pass() -> None:
    require_cycles_fit(SearchSpace.load("ease"), EASEConfig, 1)
