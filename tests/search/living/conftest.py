"""A search's folder as it is left when it is over, running, or killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.search.space.space import SearchSpace
from tests.search.reported import make_search

RECVAE = SearchSpace.load("recvae-demo")


@pytest.fixture(scope="session")
def over(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search of 20 trials; not to be written into."""
    folder = tmp_path_factory.mktemp("living") / "over"
    make_search(folder, space=RECVAE, trials=20, max_passes=36, min_passes=4)
    return folder


@pytest.fixture
def under_way(tmp_path: Path) -> Path:
    """A search that says that it runs: 3 trials ended or under way of 12."""
    folder = tmp_path / "under way"
    make_search(folder, space=RECVAE, trials=12, max_passes=36, min_passes=4, status="running", stop_after=19)
    return folder
