"""Model folders: what comes back is what went in, and damage is told, not trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distrecvae.data.summary import facts
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import CheckpointError, ResultsError
from distrecvae.models.popularity import PopularityConfig
from distrecvae.models.recvae import RecVAE, RecVAEConfig
from distrecvae.saved.model import load_model, save_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = RecVAEConfig(hidden_dim=4, latent_dim=2)
    save_model(
        tmp_path / "best",
        model="recvae",
        config=config,
        state=RecVAE(config, 3).state_dict(),
        item_ids=np.array(["x", "y", "z"], dtype=object),
        metrics={"test": {"mean": {"ndcg_100": 0.5}}},
    )
    return tmp_path / "best"


def test_a_model_folder_has_all_it_takes(folder: Path) -> None:
    loaded = load_model(folder)
    assert (loaded.model, loaded.config) == ("recvae", RecVAEConfig(hidden_dim=4, latent_dim=2))
    assert loaded.item_ids.tolist() == ["x", "y", "z"]
    assert loaded.recommender.n_items == 3
    assert loaded.metrics["test"]["mean"]["ndcg_100"] == 0.5
    names = {path.name for path in folder.iterdir()}
    assert names == {"README.md", "config.json", "items.parquet", "metrics.json", "model.safetensors"}


def test_what_a_model_was_trained_on_comes_back_and_is_on_its_card(tmp_path: Path) -> None:
    data = facts(
        synthetic_split(n_users=100, n_items=60, seed=0), {"source": {"path": "/home/me/clicks.csv"}}
    )
    settings: dict[str, Any] = {
        "config": PopularityConfig(),
        "state": {"counts": torch.ones(2)},
        "item_ids": np.array([5, 6]),
    }
    for name in ("a", "b"):
        save_model(tmp_path / name, model="popularity", metrics={}, data=data, **settings)
    assert load_model(tmp_path / "a").data == json.loads(json.dumps(data))
    card = (tmp_path / "a" / "README.md").read_bytes()
    assert card == (tmp_path / "b" / "README.md").read_bytes()
    assert f"| fingerprint | {data['fingerprint']} |" in card.decode()
    assert "| source | clicks.csv |" in card.decode()


def test_a_model_folder_is_replaced_whole_and_nothing_is_left_beside_it(folder: Path) -> None:
    save_model(
        folder,
        model="popularity",
        config=PopularityConfig(),
        state={"counts": torch.ones(2)},
        item_ids=np.array([5, 6]),
        metrics={},
    )
    assert load_model(folder).model == "popularity"
    assert [path.name for path in folder.parent.iterdir()] == ["best"]


def test_a_folder_of_something_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ResultsError, match="already exists"):
        save_model(
            tmp_path,
            model="popularity",
            config=PopularityConfig(),
            state={},
            item_ids=np.array([1]),
            metrics={},
        )
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_model_that_is_not_here_is_no_damage(folder: Path) -> None:
    document = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(document | {"model": "theirs"}))
    with pytest.raises(CheckpointError, match="holds a model 'theirs', which is not installed here; install"):
        load_model(folder)
    (folder / "config.json").write_text(json.dumps(document | {"model": "theirs:entry"}))
    with pytest.raises(CheckpointError, match=r"best: model 'theirs:entry' is code that a file names"):
        load_model(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", None, "does not exist"),
        ("config.json", "{", "is damaged"),
        ("config.json", "[]", "not a JSON object"),
        ("config.json", '{"format": 9}', "has format 9"),
        (
            "config.json",
            '{"format": 1, "model": "recvae", "config": {"laten_dim": 3}}',
            "is damaged: 'laten_dim'",
        ),
        ("config.json", '{"format": 1, "model": "recvae", "config": {}}', "do not fit the configuration"),
        ("model.safetensors", "", "is damaged"),
        ("items.parquet", "", "is damaged"),
        ("metrics.json", None, "does not exist"),
    ],
)
def test_a_damaged_folder_is_told(folder: Path, name: str, content: str | None, message: str) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
