"""A moved results folder finds its data set by its fingerprint, or says which it was started with, and where."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from distrecvae.data.io import load_dataset, save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ResultsError
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.folder.data_place import absolute, place_of_data
from distrecvae.search.folder.search_json import Description
from distrecvae.search.space.space import SearchSpace
from tests.search.described import described

SPLIT = synthetic_split(n_users=100, n_items=60, seed=1)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    save_dataset(SPLIT, tmp_path / "project" / "data" / "mine", {})
    (tmp_path / "project" / "runs" / "x").mkdir(parents=True)
    return tmp_path / "project"


def begun(project: Path, *, data: str = "data/mine", old: bool = False) -> Description:
    found = described(SearchConfig(data="data/mine"), SearchSpace.load("ease"), data=data)
    found = replace(found, dataset=replace(found.dataset, fingerprint=SPLIT.fingerprint))
    if old:
        return found
    return replace(
        found, data=str(project / data), begun_in=str(project), results=str(project / "runs" / "x")
    )


def test_it_is_where_it_was(project: Path) -> None:
    place = place_of_data(project / "runs" / "x", begun(project))
    assert place == str(project / "data" / "mine")
    assert load_dataset(place).fingerprint == SPLIT.fingerprint


def test_what_moved_together_is_found_together(project: Path, tmp_path: Path) -> None:
    described = begun(project)
    project.rename(tmp_path / "elsewhere")
    place = place_of_data(tmp_path / "elsewhere" / "runs" / "x", described)
    assert place == str(tmp_path / "elsewhere" / "data" / "mine")


def test_data_that_was_copied_into_the_results_is_found_there(project: Path, tmp_path: Path) -> None:
    described = begun(project)
    (tmp_path / "x").mkdir()
    (project / "data" / "mine").rename(tmp_path / "x" / "mine")
    assert place_of_data(tmp_path / "x", described) == str(tmp_path / "x" / "mine")


def test_a_relative_path_of_an_earlier_version_is_tried_from_the_folders_above(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # not where it was begun, so that the path says nothing here
    described = begun(project, old=True)
    assert place_of_data(project / "runs" / "x", described) == str(project / "data" / "mine")
    monkeypatch.chdir(project)
    assert place_of_data(Path("runs/x"), described) == "data/mine"


def test_another_data_set_in_its_place_is_not_taken(project: Path) -> None:
    described = begun(project)
    shutil.rmtree(project / "data" / "mine")
    save_dataset(synthetic_split(n_users=100, n_items=60, seed=2), project / "data" / "mine", {})
    with pytest.raises(ResultsError) as refused:
        place_of_data(project / "runs" / "x", described)
    said = str(refused.value)
    assert f"was started with data {project / 'data' / 'mine'} (from {project})" in said
    assert said.endswith("give --data")
    assert "\n" not in said


def test_a_path_is_absolute_and_a_uri_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("data/x") == str(tmp_path / "data" / "x")
    assert absolute("s3://bucket/x") == "s3://bucket/x"
