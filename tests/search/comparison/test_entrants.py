"""Who takes part in a comparison, by name."""

from __future__ import annotations

import pytest

from distrecvae.errors import ConfigError, SpaceError
from distrecvae.search.comparison.entrants import entrants
from distrecvae.search.core.config import SearchConfig


def test_what_cannot_be_compared_is_refused() -> None:
    config = SearchConfig(data="data")
    for names, error, words in [
        (["ease", "ease"], ConfigError, "twice"),
        (["all", "ease"], ConfigError, "twice"),
        ([], ConfigError, "nothing to compare"),
        (["eese"], ConfigError, "ease"),
        (["./absent.yaml"], SpaceError, "absent.yaml"),
    ]:
        with pytest.raises(error, match=words):
            entrants(names, config)


def test_all_are_all_models_each_with_its_own_budget() -> None:
    listed = entrants(["all"], SearchConfig(data="data", trials=7))
    names = [entrant.name for entrant in listed]
    assert {"recvae", "ease", "popularity"} <= set(names)
    trials = {entrant.name: entrant.config.trials for entrant in listed}
    assert trials["recvae"] == 7
    assert trials["popularity"] == 1


def test_a_named_configuration_is_one_trial_of_it() -> None:
    (entrant,) = entrants(["recvae-mlp"], SearchConfig(data="data", trials=7))
    assert (entrant.name, entrant.config.model, entrant.config.trials) == ("recvae-mlp", "recvae", 1)
    assert entrant.space.default_config()["architecture"] == "mlp"
    assert entrant.space.default_config()["latent_dim"] == 200


def test_no_model_has_a_head_start_by_what_its_space_says_is_likely() -> None:
    listed = entrants(["recvae", "ease"], SearchConfig(data="data"))
    assert any(entrant.space.likely for entrant in listed)
    assert [entrant.config.sampler for entrant in listed] == ["tpe", "tpe"]
    asked = entrants(["recvae", "ease"], SearchConfig(data="data", sampler="guided"))
    assert [entrant.config.sampler for entrant in asked] == ["guided", "guided"]
