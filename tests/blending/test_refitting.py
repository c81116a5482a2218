"""A frozen blend's members, trained again on more users: as they were trained, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from distrecvae.blending.choice import Choice, Wish, choose_blend
from distrecvae.blending.costs import Limits
from distrecvae.blending.mixtures import Told
from distrecvae.blending.refitting import refitted, require_refittable
from distrecvae.errors import ConfigError
from distrecvae.models.ease import EASEConfig, solve_ease
from distrecvae.runs.refit import with_validation_users
from distrecvae.training import registry
from tests.blending.models import SETTINGS, split, trained


def quietly(_what: str) -> Told:
    return lambda _done, _all: None


def chosen(*names: str, limits: Limits | None = None) -> Choice:
    wish = Wish(rule="standardized", limits=limits or Limits())
    return choose_blend([trained(name) for name in names], split().valid, wish)


def test_members_are_what_the_same_training_gives_on_more_users() -> None:
    choice, users = chosen("ease", "recvae"), with_validation_users(split())
    assert {each.name for each in choice.members} == {"ease", "recvae"}
    told: list[tuple[str, int, int]] = []
    found = refitted(choice, users, "cpu", lambda what: lambda done, whole: told.append((what, done, whole)))
    assert (found.rule, found.weights, found.in_sample) == (choice.rule, choice.weights, choice.in_sample)
    assert found.refit_users == users.n_users == split().train.n_users + 200
    assert [each.name for each in found.members] == [each.name for each in choice.members]
    for member in found.members:
        model, settings, cycles = SETTINGS[member.name]
        trainer = registry.make_trainer(model, registry.config_from_dict(model, settings), users, seed=1)
        for _ in range(cycles):
            trainer.step()
        expected = trainer.model_state()
        assert expected.keys() == member.state.keys()
        assert all(torch.equal(value, member.state[name]) for name, value in expected.items())
    assert ("refit of recvae", 32, 32) in told
    assert ("refit of ease", 1, 1) in told


def test_what_the_blend_is_held_against_is_trained_again_too() -> None:
    # Otherwise the gain on test users would be that of more data.
    choice = replace(chosen("ease", "popularity"), single=trained("ease-loose"))
    found = refitted(choice, with_validation_users(split()), "cpu", quietly)
    expected = solve_ease(EASEConfig(regularization=1), with_validation_users(split()))
    assert found.single.name == "ease-loose"
    assert torch.equal(found.single.state["weight"], expected["weight"])


def test_thin_members_stay_as_thin() -> None:
    whole = trained("ease")
    choice = chosen("ease", limits=Limits(max_bytes=whole.size_bytes // 3))
    (thin,) = choice.members
    assert "values" in thin.state
    (found,) = refitted(choice, with_validation_users(split()), "cpu", quietly).members
    assert found.thin_of == thin.thin_of
    assert found.state["values"].shape == thin.state["values"].shape
    assert not torch.equal(found.state["values"], thin.state["values"])


def test_a_model_of_unknown_training_is_refused() -> None:
    known = trained("ease")
    require_refittable([known])
    with pytest.raises(ConfigError, match="--refit: runs/ease does not say how ease was trained"):
        require_refittable([known, replace(known, trained=None)])
