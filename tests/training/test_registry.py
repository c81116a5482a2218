"""The registry: every model is made, trained, saved and loaded the same way."""

from __future__ import annotations

import dataclasses
import json
from itertools import islice
from typing import Any

import pytest
import torch

from distrecvae.errors import CheckpointError, ConfigError, ResourceError
from distrecvae.evaluation import evaluate
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.training import registry
from distrecvae.training.trainer import Trainer, fit
from tests.training.checkerboard import checkerboard

SMALL: dict[str, dict[str, Any]] = {
    "recvae": {"hidden_dim": 8, "latent_dim": 3},
    "multvae": {"hidden_dim": 8, "latent_dim": 3},
    "multdae": {"hidden_dim": 8, "latent_dim": 3},
}


@pytest.mark.parametrize("model", registry.models())
class TestEveryModel:
    """What the commands and the search rely on, for whatever is registered."""

    def trainer(self, model: str, seed: int = 1) -> tuple[Trainer, Any]:
        train, _ = checkerboard()
        config = registry.config_from_dict(model, SMALL.get(model, {}))
        return registry.make_trainer(model, config, train, seed=seed), config

    def test_a_configuration_survives_json(self, model: str) -> None:
        config = registry.config_from_dict(model, SMALL.get(model, {}))
        stored = json.loads(json.dumps(registry.config_to_dict(config)))
        assert registry.config_from_dict(model, stored) == config
        assert stored.keys() == {field.name for field in dataclasses.fields(registry.config_class(model))}

    def test_fit_counts_cycles_and_passes_and_never_stops_by_itself(self, model: str) -> None:
        trainer, _ = self.trainer(model)
        reports = list(islice(fit(trainer, checkerboard()[1]), 3))
        assert [report.cycle for report in reports] == [1, 2, 3]
        assert [report.passes for report in reports] == [trainer.passes_per_cycle * n for n in (1, 2, 3)]
        assert {"cycle", "passes", "valid/ndcg_100", "train_s"} <= reports[0].metrics().keys()

    def test_what_is_loaded_scores_like_what_was_trained(self, model: str) -> None:
        trainer, config = self.trainer(model)
        trainer.step()
        _, users = checkerboard()
        loaded = registry.load_recommender(model, config, users.n_items, trainer.model_state())
        scores = loaded.score(users.fold_in)
        assert scores.dtype == torch.float32
        assert scores.shape == users.fold_in.shape
        torch.testing.assert_close(scores, trainer.model.score(users.fold_in))
        assert evaluate(loaded, users).means() == evaluate(trainer.model, users).means()

    def test_a_state_fits_a_new_trainer(self, model: str) -> None:
        trainer, _ = self.trainer(model)
        trainer.step()
        other, _ = self.trainer(model)
        other.load_state_dict(trainer.state_dict())
        assert (other.cycle, other.passes) == (trainer.cycle, trainer.passes)
        assert other.step() == trainer.step()

    def test_an_empty_state_is_refused(self, model: str) -> None:
        with pytest.raises(CheckpointError):
            self.trainer(model)[0].load_state_dict({})

    def test_memory_is_estimated(self, model: str) -> None:
        trainer, config = self.trainer(model)
        trainer.step()
        in_training, on_disk = registry.memory_bytes(model, config, checkerboard()[0])
        state = sum(value.numel() * value.itemsize for value in trainer.state_dict().values())
        assert on_disk == pytest.approx(state, rel=0.2, abs=300)
        assert in_training > on_disk


def test_names_are_helped_along() -> None:
    assert set(registry.models()) >= {"recvae", "popularity"}
    with pytest.raises(ConfigError, match="no model 'recva'; did you mean 'recvae'"):
        registry.config_class("recva")
    with pytest.raises(ConfigError, match="'latent_dims' is no setting of recvae; did you mean 'latent_dim'"):
        registry.config_from_dict("recvae", {"latent_dims": 3})
    with pytest.raises(ConfigError, match="'x' is no setting of popularity; it has none"):
        registry.config_from_dict("popularity", {"x": 3})


def test_lists_become_tuples() -> None:
    config = registry.config_from_dict("recvae", {"mixture_weights": [0.5, 0.5, 0]})
    assert config == RecVAEConfig(mixture_weights=(0.5, 0.5, 0.0))


def test_another_models_configuration_is_refused() -> None:
    with pytest.raises(ConfigError, match="RecVAEConfig does not fit popularity"):
        registry.make_trainer("popularity", RecVAEConfig(), checkerboard()[0], seed=0)


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(ResourceError, match=device) as caught:
        registry.make_trainer("recvae", RecVAEConfig(), checkerboard()[0], seed=0, device=device)
    assert "\n" not in str(caught.value)


def test_a_closed_form_model_is_nothing_before_its_first_step() -> None:
    config = registry.config_from_dict("popularity", {})
    trainer = registry.make_trainer("popularity", config, checkerboard()[0], seed=0)
    with pytest.raises(CheckpointError, match="take a step first"):
        _ = trainer.model
