"""A results folder is one process's at a time, and a new run's has to be empty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from distrecvae.errors import ConfigError, ResultsError
from distrecvae.files import claimed
from distrecvae.search.folder import holding
from distrecvae.search.folder.holding import in_use, own
from distrecvae.search.folder.search_json import read_description
from distrecvae.search.space.space import SearchSpace
from tests.search.reported import make_search


def test_a_new_runs_folder_is_held_before_anything_slow_is_done(tmp_path: Path) -> None:
    # Otherwise two commands would read their data for minutes, and the slower one find the other's results.
    folder = tmp_path / "runs" / "mine"
    with own("search", folder, resume=False):
        with pytest.raises(ResultsError, match="in use"), own("search", folder, resume=False):
            pytest.fail("it is held")
        (folder / "search.json").touch()
    refused = "not empty; pass --resume to resume the search"
    with pytest.raises(ResultsError, match=refused), own("search", folder, resume=False):
        pytest.fail("there is a search")
    with own("search", folder, resume=True):
        pass


def test_a_run_that_came_and_went_meanwhile_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine"

    @contextmanager
    def late(path: Path) -> Iterator[None]:
        make_search(path, space=SearchSpace.load("recvae-demo"), trials=2, max_passes=12)
        with claimed(path):
            yield

    monkeypatch.setattr(holding, "claimed", late)
    with pytest.raises(ResultsError, match="not empty"), own("search", folder, resume=False):
        pytest.fail("there is a search")
    assert read_description(folder).settings.trials == 2, "it is whole"


def test_a_folder_of_others_gets_no_file_of_ours(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ResultsError, match="not empty"), own("search", tmp_path, resume=False):
        pytest.fail("it is somebody's")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_run_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "a" / "b"):
        with pytest.raises(ConfigError), own("search", folder, resume=False):
            raise ConfigError("no such space")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_folder_is_in_use_once_something_can_be_seen_in_it(tmp_path: Path) -> None:
    assert not in_use(tmp_path / "absent")
    assert not in_use(tmp_path)
    # A start that was killed leaves its lock, and what it was writing.
    (tmp_path / ".lock").touch()
    (tmp_path / ".search.json.x.part").touch()
    assert not in_use(tmp_path)
    (tmp_path / "notes").mkdir()
    assert in_use(tmp_path)
