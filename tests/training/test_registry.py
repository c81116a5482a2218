"""The registry: every model is made, trained, saved and loaded the same way."""

from __future__ import annotations

import dataclasses
import json
from itertools import islice
from typing import Any

import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError, ConfigError, DataError, ResourceError
from distrecvae.evaluation import evaluate
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.models.recvae_implicitslim import RecVAEImplicitSLIMConfig
from distrecvae.ranking import rank
from distrecvae.testing import a_model_that_does_not_fit_is_refused, subject_of
from distrecvae.training import registry
from distrecvae.training.trainer import Earlier, Trainer, WarmTrainer, fit
from tests.training.checkerboard import checkerboard, withheld_diagonal

SMALL: dict[str, dict[str, Any]] = {
    "recvae": {"hidden_dim": 8, "latent_dim": 3},
    "recvae-implicitslim": {"hidden_dim": 8, "latent_dim": 3, "regularization": 5, "refine_every": 2},
    "multvae": {"hidden_dim": 8, "latent_dim": 3},
    "multdae": {"hidden_dim": 8, "latent_dim": 3},
    # A pass of each phase and further ones, so that a state is kept and restored on both sides of a change.
    "ract": {"hidden_dim": 8, "latent_dim": 3, "actor_passes": 1, "critic_passes": 1},
    "awae": {"hidden_dim": 8, "latent_dim": 3, "discriminator_dim": 5},
    "autorec": {"hidden_dim": 8},
    "cdae": {"hidden_dim": 8},
    "nbvae": {"hidden_dim": 8, "latent_dim": 3},
    "ease": {"regularization": 5},
    "slim": {"l1": 0.1, "l2": 0.5},
    "wmf": {"latent_dim": 3, "regularization": 1},
    "pmf": {"latent_dim": 3, "regularization": 0.5},
}
# What lets a model learn a board of 16 users within 80 passes.
EAGER: dict[str, dict[str, Any]] = {
    "recvae": {"hidden_dim": 32, "latent_dim": 8, "batch_size": 4, "learning_rate": 2e-2},
    "recvae-implicitslim": {
        "hidden_dim": 32,
        "latent_dim": 8,
        "batch_size": 4,
        "learning_rate": 2e-2,
        "refine_every": 5,
    },
    "multvae": {"hidden_dim": 32, "latent_dim": 8, "batch_size": 4, "learning_rate": 2e-2},
    "multdae": {"hidden_dim": 32, "latent_dim": 8, "batch_size": 4, "learning_rate": 2e-2},
    "ract": {
        "hidden_dim": 32,
        "latent_dim": 8,
        "batch_size": 4,
        "learning_rate": 2e-2,
        "actor_passes": 60,
        "critic_passes": 10,
    },
    "awae": {"hidden_dim": 32, "latent_dim": 8, "batch_size": 4, "learning_rate": 1e-2},
    "autorec": {"hidden_dim": 32, "batch_size": 4, "learning_rate": 1e-2, "dropout": 0.3},
    "cdae": {"hidden_dim": 32, "batch_size": 4, "learning_rate": 1e-2, "dropout": 0.3},
    "nbvae": {"hidden_dim": 32, "latent_dim": 8, "batch_size": 4, "learning_rate": 2e-2},
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

    def test_a_model_that_does_not_fit_is_refused(self, model: str) -> None:
        # Of another type than it is written in, four models were loaded, and nine ended in a traceback.
        a_model_that_does_not_fit_is_refused(subject_of(model, SMALL.get(model, {})))

    def test_memory_is_estimated(self, model: str) -> None:
        trainer, config = self.trainer(model)
        trainer.step()
        in_training, on_disk = registry.memory_bytes(model, config, checkerboard()[0])
        saved = (*trainer.state_dict().values(), *trainer.model_state().values())  # the best model, too
        state = sum(value.numel() * value.itemsize for value in saved)
        assert on_disk == pytest.approx(state, rel=0.2, abs=300)
        assert in_training > on_disk

    def test_two_cycles_and_a_restored_state_and_two_more_are_four(self, model: str) -> None:
        whole, _ = self.trainer(model)
        for _ in range(4):
            whole.step()
        begun, _ = self.trainer(model)
        for _ in range(2):
            begun.step()
        restored, _ = self.trainer(model)
        restored.load_state_dict(begun.state_dict())
        for _ in range(2):
            restored.step()
        assert same(restored.state_dict(), whole.state_dict())
        assert same(restored.model_state(), whole.model_state())

    def test_a_state_is_not_changed_by_what_is_trained_further(self, model: str) -> None:
        trainer, _ = self.trainer(model)
        trainer.step()
        kept, kept_model = trainer.state_dict(), trainer.model_state()
        before = [{name: value.clone() for name, value in state.items()} for state in (kept, kept_model)]
        trainer.step()
        assert same(kept, before[0])
        assert same(kept_model, before[1])

    def test_what_goes_over_items_is_declared(self, model: str) -> None:
        # Otherwise `train --warm-weights` would take weights of one item for another's. A layer of a new model that has
        # an axis of items says so: `ITEM_AXES`.
        config = registry.config_from_dict(model, SMALL.get(model, {}))
        trainers = []
        for n_items in (24, 25):
            train, _ = checkerboard(n_items=n_items)
            trainers.append(registry.make_trainer(model, config, train, seed=1))
        if registry.solved_at_once(model):
            with pytest.raises(ConfigError, match="earlier weights save nothing"):
                registry.begin_from(model, trainers[1], Earlier({}, {}, torch.arange(25)))
            return
        small, large = trainers
        assert isinstance(large, WarmTrainer)
        small.step()
        at = torch.cat([torch.tensor([-1]), torch.arange(24)])
        large.begin_from(Earlier(small.model_state(), small.state_dict(), at))
        before = small.model_state()
        for name, value in large.model_state().items():
            known = value[1:] if value.shape != before[name].shape else value
            assert torch.equal(known, before[name]), name

    def test_scores_are_finite_for_no_item_one_item_some_and_all(self, model: str) -> None:
        trainer, _ = self.trainer(model)
        trainer.step()
        _, users = checkerboard()
        n_items = users.n_items
        cells = [
            (1, 3),
            *((2, item) for item in users.fold_in.row(0)),
            *((3, item) for item in range(n_items)),
        ]
        rows, items = zip(*cells, strict=True)
        extremes = InteractionMatrix.from_pairs(rows, items, n_users=4, n_items=n_items)
        scores = trainer.model.score(extremes)
        assert scores.shape == (4, n_items)
        assert torch.isfinite(scores).all()

    def test_scores_do_not_depend_on_who_else_is_scored(self, model: str) -> None:
        trainer, _ = self.trainer(model)
        trainer.step()
        fold_in = checkerboard()[1].fold_in
        together = trainer.model.score(fold_in)
        for user in (0, 1, fold_in.n_users - 1):
            alone = trainer.model.score(fold_in.slice(user, user + 1))
            torch.testing.assert_close(together[user : user + 1], alone, rtol=1e-4, atol=1e-5)

    def test_the_caller_may_overwrite_scores(self, model: str) -> None:
        trainer, _ = self.trainer(model)
        trainer.step()
        fold_in = checkerboard()[1].fold_in
        expected = trainer.model.score(fold_in).clone()
        trainer.model.score(fold_in).fill_(7.0)
        assert torch.equal(trainer.model.score(fold_in), expected)

    def test_a_withheld_diagonal_is_completed(self, model: str) -> None:
        if model == "popularity":
            pytest.skip("all users get the same scores")
        assert_completes(model, "cpu")

    def test_training_that_has_nothing_to_train_on_is_refused(self, model: str) -> None:
        config = registry.config_from_dict(model, SMALL.get(model, {}))
        for n_users, n_items in ((0, 3), (3, 0)):
            nothing = InteractionMatrix.from_pairs([], [], n_users=n_users, n_items=n_items)
            with pytest.raises(DataError, match=f"{n_users} users x {n_items} items; both must be positive"):
                registry.make_trainer(model, config, nothing, seed=0)

    @pytest.mark.cuda
    def test_it_trains_and_scores_on_a_gpu(self, model: str) -> None:
        if model != "popularity":
            assert_completes(model, "cuda")
        train, users = checkerboard()
        config = registry.config_from_dict(model, SMALL.get(model, {}))
        trainer = registry.make_trainer(model, config, train, seed=1, device="cuda")
        trainer.step()
        state = trainer.model_state()
        assert {value.device.type for value in state.values()} == {"cpu"}
        scores = trainer.model.score(users.fold_in)
        assert scores.device.type == "cuda"
        on_cpu = registry.load_recommender(model, config, users.n_items, state).score(users.fold_in)
        torch.testing.assert_close(scores.cpu(), on_cpu, rtol=1e-3, atol=1e-3)


def same(state: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return state.keys() == other.keys() and all(torch.equal(state[name], other[name]) for name in state)


def assert_completes(model: str, device: str) -> None:
    users = withheld_diagonal()
    config = registry.config_from_dict(model, SMALL.get(model, {}) | EAGER.get(model, {}))
    trainer = registry.make_trainer(model, config, users.fold_in, seed=1, device=device)
    while trainer.passes < 80 and not trainer.solved:
        trainer.step()
    scores = trainer.model.score(users.fold_in).cpu()
    first = rank(scores, users.fold_in, 1)[:, 0].tolist()
    assert first == list(range(users.n_users)), (
        f"{model} puts {first} first after {trainer.passes} passes; if it learns slowly, give it settings in EAGER"
    )


def test_names_are_helped_along() -> None:
    assert set(registry.models()) >= {"recvae", "popularity"}
    assert {"recvae", "popularity"} <= set(registry.models())
    with pytest.raises(ConfigError, match="no model 'recva'; did you mean 'recvae'"):
        registry.config_class("recva")
    with pytest.raises(
        ConfigError, match="'latent_dims' is not a setting of recvae; did you mean 'latent_dim'"
    ):
        registry.config_from_dict("recvae", {"latent_dims": 3})
    with pytest.raises(ConfigError, match="'x' is not a setting of popularity; it has none"):
        registry.config_from_dict("popularity", {"x": 3})


def test_lists_become_tuples() -> None:
    config = registry.config_from_dict("recvae", {"mixture_weights": [0.5, 0.5, 0]})
    assert config == RecVAEConfig(mixture_weights=(0.5, 0.5, 0.0))


def test_another_models_configuration_is_refused() -> None:
    with pytest.raises(ConfigError, match="RecVAEConfig does not fit popularity"):
        registry.make_trainer("popularity", RecVAEConfig(), checkerboard()[0], seed=0)


def test_a_configuration_that_extends_another_models_is_not_taken_for_it() -> None:
    train = InteractionMatrix.from_pairs([0], [0], n_users=1, n_items=1)
    with pytest.raises(ConfigError, match="RecVAEImplicitSLIMConfig does not fit recvae"):
        registry.make_trainer("recvae", RecVAEImplicitSLIMConfig(), train, seed=0)
    with pytest.raises(ConfigError, match="RecVAEConfig does not fit recvae-implicitslim"):
        registry.make_trainer("recvae-implicitslim", RecVAEConfig(), train, seed=0)


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(ResourceError, match=device) as caught:
        registry.make_trainer("recvae", RecVAEConfig(), checkerboard()[0], seed=0, device=device)
    assert "\n" not in str(caught.value)
