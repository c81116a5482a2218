"""Reading a configuration from files and words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distrecvae.errors import ConfigError
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.runs.configuration import read_config
from distrecvae.training.registry import config_to_dict


def changed(**settings: Any) -> dict[str, Any]:
    return config_to_dict(RecVAEConfig(**settings))


def test_nothing_given_is_the_published_configuration() -> None:
    assert read_config(None, None, []) == ("recvae", changed())


def test_words_go_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("latent_dim: 64\nlearning_rate: 1e-3\nmixture_weights: [1/4, 3/4, 0]\n")
    found = read_config(None, path, ["latent_dim=32", "gamma=none", "beta=0.2", "alternating=false"])
    expected = changed(
        latent_dim=32,
        learning_rate=1e-3,
        mixture_weights=(0.25, 0.75, 0.0),
        gamma=None,
        beta=0.2,
        alternating=False,
    )
    assert found == ("recvae", expected)


def test_a_finished_models_config_file_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model": "recvae", "config": changed(latent_dim=7), "format": 1}))
    assert read_config(None, path, []) == ("recvae", changed(latent_dim=7))
    assert read_config("recvae", path, []) == ("recvae", changed(latent_dim=7))
    with pytest.raises(ConfigError, match="configures recvae, but --model is popularity"):
        read_config("popularity", path, [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["latent_dim"], "'latent_dim' is not a setting; write --set name=value"),
        (["=3"], "is not a setting"),
        (["latent_dm=3"], "did you mean 'latent_dim'"),
        (["latent_dim=[1"], "cannot be read"),
        (["latent_dim=many"], "latent_dim is 'many'"),
        (["beta=0.2"], "exactly one of gamma and beta"),
    ],
)
def test_a_bad_word_is_one_clear_line(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config(None, None, words)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "must be a mapping"),
        ("a: [", "cannot be read"),
        ("config: 3", "must be a mapping of settings"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(None, path, [])
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_config(None, tmp_path / "none.yaml", [])
