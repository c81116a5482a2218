"""Candidates for tests of blends: real models of a small synthetic data set, trained once a session."""

from __future__ import annotations

from functools import cache
from typing import Any

from distrecvae.blending.candidate import Candidate, Trained, candidate
from distrecvae.data.dataset import Split
from distrecvae.data.synthetic import synthetic_split
from distrecvae.training import registry

SETTINGS: dict[str, tuple[str, dict[str, Any], int]] = {
    "ease": ("ease", {"regularization": 20}, 1),
    "ease-loose": ("ease", {"regularization": 1}, 1),
    "popularity": ("popularity", {}, 1),
    "recvae": ("recvae", {"hidden_dim": 16, "latent_dim": 8, "batch_size": 50, "learning_rate": 5e-3}, 8),
}


@cache
def split() -> Split:
    """Return 1,000 users x 120 items: 200 held out for validation, as many for test."""
    return synthetic_split(n_users=1000, n_items=120, seed=4, held_out_users=200)


@cache
def trained(name: str) -> Candidate:
    """Return one of the candidates."""
    model, settings, cycles = SETTINGS[name]
    config = registry.config_from_dict(model, settings)
    trainer = registry.make_trainer(model, config, split().train, seed=1)
    for _ in range(cycles):
        trainer.step()
    return candidate(
        name, f"runs/{name}", model, registry.config_to_dict(config), trainer.model_state(), split().n_items,
        trained=Trained(passes=trainer.passes, seed=1),
    )  # fmt: skip
