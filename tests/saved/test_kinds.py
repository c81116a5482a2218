"""A folder's model: one of the registry's, or a blend; both by the same four questions."""

from __future__ import annotations

import pytest
import torch

from distrecvae.errors import ConfigError
from distrecvae.models.ease import EASEConfig
from distrecvae.saved.blend import Blend, BlendConfig, MemberConfig
from distrecvae.saved.kinds import parts_of, read_settings, recommender_of, shown_settings
from distrecvae.training.registry import config_to_dict

EASE = {"regularization": 5.0}
BLEND = BlendConfig(
    rule="ranks",
    members=(
        MemberConfig(name="a", model="ease", config=EASE, weight=0.25),
        MemberConfig(name="b", model="popularity", config={}, weight=0.75),
    ),
)
STATE = {"0/weight": torch.zeros(3, 3), "1/counts": torch.ones(3)}


def test_settings_are_read_as_what_they_are() -> None:
    assert read_settings("ease", EASE) == EASEConfig(regularization=5)
    assert read_settings("blend", config_to_dict(BLEND)) == BLEND
    with pytest.raises(ConfigError, match="no model 'eese'"):
        read_settings("eese", {})


def test_models_are_made_as_what_they_are() -> None:
    assert isinstance(recommender_of("blend", BLEND, 3, STATE), Blend)
    ease = recommender_of("ease", EASEConfig(), 3, {"weight": torch.eye(3)})
    assert not isinstance(ease, Blend)
    assert ease.n_items == 3


def test_a_folder_holds_one_model_or_its_members() -> None:
    whole = [*parts_of(EASEConfig(), EASE, {"weight": STATE["0/weight"]})]
    assert [(settings, list(state)) for settings, state in whole] == [(EASE, ["weight"])]
    parts = [*parts_of(BLEND, config_to_dict(BLEND), STATE)]
    assert [(settings, list(state)) for settings, state in parts] == [(EASE, ["weight"]), ({}, ["counts"])]


def test_a_card_shows_a_line_a_member_or_the_settings() -> None:
    assert shown_settings(EASEConfig(), EASE) == EASE
    assert list(shown_settings(BLEND, {})) == ["rule", "member 1", "member 2"]
