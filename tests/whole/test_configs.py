"""Every YAML in configs is loaded, trained from, and told what makes it trustworthy."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

import distrecvae
from distrecvae.errors import ConfigError
from distrecvae.runs.configuration import available_configs, read_config
from distrecvae.training import registry
from tests import ROOT
from tests.training.checkerboard import checkerboard

FILES = sorted((ROOT / "configs").glob("*"))
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)

BETA = {"gamma": None, "beta": 0.2, "anneal_updates": 20_000}
STANDARD = {"mixture_weights": [1.0, 0.0, 0.0]}
MLP, JOINT = {"architecture": "mlp"}, {"alternating": False}
DENOISED = {"decoder_dropout": 0.5}
# What each step of the ablation is, against the published configuration.
CHANGED: dict[str, dict[str, Any]] = {
    "recvae-published": {},
    "multvae-in-recvae": MLP | JOINT | BETA | STANDARD,
    "recvae-encoder": JOINT | BETA | STANDARD,
    "recvae-encoder-prior": JOINT | BETA,
    "recvae-encoder-rescaling": JOINT | STANDARD,
    "recvae-encoder-alternating": DENOISED | BETA | STANDARD,
    "recvae-mlp": MLP,
    "recvae-standard-prior": STANDARD,
    "recvae-previous-prior": {"mixture_weights": [0.0, 1.0, 0.0]},
    "recvae-talk-prior": {"mixture_weights": [1 / 6, 5 / 6, 0.0]},
    "recvae-constant-beta": BETA,
    "recvae-joint": JOINT,
    "recvae-denoised-decoder": DENOISED,
    "recvae-no-denoising": {"dropout": 0},
}


def test_every_file_has_a_name() -> None:
    assert {path.name for path in FILES} == {f"{name}.yaml" for name in available_configs()}


@pytest.mark.parametrize("name", CHANGED)
def test_a_step_of_the_ablation_changes_what_it_says_and_nothing_else(name: str) -> None:
    model, settings = read_config(None, name, ())
    assert model == "recvae"
    published = registry.config_to_dict(registry.config_class("recvae")())
    assert settings == published | CHANGED[name]


def test_no_two_are_the_same() -> None:
    read = (read_config(None, name, ()) for name in available_configs())
    found = [(model, sorted(settings.items())) for model, settings in read]
    assert all(one not in found[:place] for place, one in enumerate(found))


@every_file
def test_it_trains(path: Path) -> None:
    named, whole = read_config(None, path.stem, ())
    sizes = {"hidden_dim": 8, "latent_dim": 3, "batch_size": 8, "actor_passes": 2, "critic_passes": 1}
    small = [f"{name}={size}" for name, size in sizes.items() if name in whole]
    model, settings = read_config(None, path.stem, small)
    assert model == named
    assert (model, settings) == read_config(None, path, small)
    train, users = checkerboard()
    trainer = registry.make_trainer(model, registry.config_from_dict(model, settings), train, seed=1)
    first, last = trainer.step(), trainer.step()
    told = "nll" if "nll" in first else "loss"
    assert registry.solved_at_once(model) or last[told] < first[told]
    assert trainer.model.score(users.fold_in).isfinite().all()


@every_file
def test_says_what_it_is_and_where_its_values_come_from(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    assert content.keys() == {"model", "description", "source", "config"}
    assert content["description"].endswith(".")
    assert content["source"]
    settings = [line for line in text.splitlines() if re.match(r"  \w+: ", line)]
    assert len(settings) == len(content["config"])
    for line in settings:
        assert "#" in line, f"{path.name}: {line.strip()} does not say what it means"


def test_the_docs_list_every_name() -> None:
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert [name for name in available_configs() if f"`{name}`" not in text] == []


def test_a_name_is_helped_along() -> None:
    with pytest.raises(
        ConfigError, match=r"no such configuration; did you mean 'recvae-joint'.*choose from"
    ) as e:
        read_config(None, "recvae-join", [])
    assert "\n" not in str(e.value)


def test_a_file_without_a_suffix_is_taken_where_no_configuration_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "recvae-joint"):
        Path(name).write_text("latent_dim: 7\n")
    assert read_config(None, "mine", [])[1]["latent_dim"] == 7
    assert read_config(None, "recvae-joint", [])[1]["latent_dim"] == 200
    assert read_config(None, "./recvae-joint", [])[1]["latent_dim"] == 7


def test_words_go_over_a_named_configuration() -> None:
    _, settings = read_config("recvae", "recvae-standard-prior", ["latent_dim=32"])
    assert (settings["latent_dim"], settings["mixture_weights"]) == (32, [1.0, 0.0, 0.0])
    with pytest.raises(ConfigError, match="recvae-joint configures recvae, but --model is ease"):
        read_config("ease", "recvae-joint", [])


def test_a_wheel_carries_the_configurations(tmp_path: Path) -> None:
    """An installed package has no folder beside it: names must be found inside, also inside an archive."""
    archive = tmp_path / "distrecvae.zip"
    package = Path(distrecvae.__file__).parent
    with zipfile.ZipFile(archive, "w") as zipped:
        for source in package.rglob("*.py"):
            zipped.write(source, Path("distrecvae") / source.relative_to(package))
        for source in FILES:
            zipped.write(source, Path("distrecvae", "configs", source.name))
    code = (
        "from distrecvae.runs.configuration import available_configs, read_config;"
        "print(*available_configs()); print(read_config(None, 'recvae-joint', ())[1]['alternating'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(archive)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [" ".join(available_configs()), "False"]


def test_the_package_is_built_with_the_configurations() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '"configs" = "distrecvae/configs"' in text
