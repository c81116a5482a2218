"""Every YAML in search_spaces is loaded, checked, tried at random, and told what makes it trustworthy."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import optuna
import pytest

import distrecvae
from distrecvae.search.space.space import SearchSpace, available_spaces
from distrecvae.training.registry import config_class, config_from_dict, models
from tests import ROOT

FOLDER = ROOT / "search_spaces"
FILES = sorted(FOLDER.glob("*"))
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def test_every_file_has_a_name_and_every_model_a_space() -> None:
    assert {path.name for path in FILES} == {f"{name}.yaml" for name in available_spaces()}
    assert set(models()) <= {SearchSpace.load(name).model for name in available_spaces()}


@every_file
def test_the_start_is_a_configuration_of_the_model(path: Path) -> None:
    space = SearchSpace.load(path)
    config = space.suggest(optuna.trial.FixedTrial(space.default_point()))
    assert config == space.default_config()
    assert json.loads(json.dumps(config)) == config
    config_from_dict(space.model, config)


@every_file
def test_random_trials_are_configurations_of_the_model(path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = SearchSpace.load(path)
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
