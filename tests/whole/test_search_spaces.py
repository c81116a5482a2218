"""Every YAML in search_spaces is loaded, checked, tried at random, and told what makes it trustworthy."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import optuna
import pytest

import distrecvae
from distrecvae.search.space.relative import Sizes
from distrecvae.search.space.space import SearchSpace, available_spaces
from distrecvae.training.registry import config_class, config_from_dict, models
from tests import ROOT

FOLDER = ROOT / "search_spaces"
FILES = sorted(FOLDER.glob("*"))
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def test_every_file_has_a_name_and_every_model_a_space() -> None:
    assert {path.name for path in FILES} == {f"{name}.yaml" for name in available_spaces()}
    assert set(models()) <= {SearchSpace.load(name).model for name in available_spaces()}


# MovieLens latest-small, -1M and -20M as published, and a handful of users.
SIZES = (
    Sizes(12, 30, 90),
    Sizes(483, 5660, 38_000),
    Sizes(4838, 3600, 669_000),
    Sizes(116_677, 20_108, 8_540_000),
)
every_size = pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: f"{sizes.users} users")


@every_size
@every_file
def test_the_start_is_a_configuration_of_the_model(path: Path, sizes: Sizes) -> None:
    space = SearchSpace.load(path).resolved(sizes)
    config = space.suggest(optuna.trial.FixedTrial(space.default_point()))
    assert config == space.default_config()
    assert json.loads(json.dumps(config)) == config
    config_from_dict(space.model, config)


@every_size
@every_file
def test_random_trials_are_configurations_of_the_model(path: Path, sizes: Sizes) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = SearchSpace.load(path).resolved(sizes)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(50):
        config_from_dict(space.model, space.suggest(study.ask()))


@every_file
def test_says_what_it_is_for_and_where_its_ranges_come_from(path: Path) -> None:
    space = SearchSpace.load(path)
    assert space.description
    assert space.source
    for line in path.read_text(encoding="utf-8").splitlines():
        if re.search(r"\blow:|\bchoices:", line):
            assert "#" in line, f"{path.name}: {line.strip()} does not say where its range comes from"


def test_a_space_with_its_models_name_starts_from_the_published_configuration() -> None:
    """The default of a search for model X is space X, and its first trial must be what the paper reports."""
    for model in models():
        start = config_from_dict(model, SearchSpace.load(model).default_config())
        assert start == config_class(model)()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        # NVIDIA/DeepLearningExamples, VAE-CF: its batch and rate.
        ("multvae", {"batch_size": 24_576, "learning_rate": 4e-3}),
        # The ImplicitSLIM repository's README, for RecVAE.
        (
            "recvae-implicitslim",
            {
                "latent_dim": 400, "gamma": 0.004, "refine_every": 10, "regularization": 500.0, "alpha": 1.0,
                "min_item_interactions": 1000,
            },
        ),
    ],
)  # fmt: skip
def test_what_others_published_on_movielens_20m_lies_in_the_space(
    name: str, settings: dict[str, Any]
) -> None:
    space = SearchSpace.load(name).resolved(SIZES[-1])
    assert space.internal_point({**space.base, **settings}) is not None


def test_small_batches_are_searched_where_users_are_few() -> None:
    """On 483 users the best trial had the smallest batch of the space, 250: two updates a pass."""
    for sizes, low in zip(SIZES, (20, 20, 81, 250), strict=True):
        form = SearchSpace.load("recvae").resolved(sizes).to_dict()["parameters"]["batch_size"]
        assert (form["low"], form["high"] >= 500) == (low, True)


def test_a_wheel_carries_the_spaces(tmp_path: Path) -> None:
    """An installed package has no folder beside it: names must be found inside."""
    site = tmp_path / "site"
    for name in available_spaces():
        target = site / "distrecvae" / "search_spaces" / f"{name}.yaml"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((FOLDER / f"{name}.yaml").read_bytes())
    package = Path(distrecvae.__file__).parent
    for source in package.rglob("*.py"):
        target = site / "distrecvae" / source.relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    archive = tmp_path / "distrecvae.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for file in site.rglob("*"):
            zipped.write(file, file.relative_to(site))
    code = (
        "from distrecvae.search.space.files import available_spaces, read_space;"
        "print(*available_spaces()); print(*[read_space(n)[1]['model'] for n in available_spaces()])"
    )
    for location in (site, archive):  # importlib.resources reads both; a path beside __file__ would not
        run = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={"PYTHONPATH": str(location)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.splitlines()[0] == " ".join(available_spaces())
