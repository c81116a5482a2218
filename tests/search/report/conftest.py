"""What the tests of the report share: one search with all that can happen in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.search.report.data import SearchResults, read_results
from tests.search.report.made import RECVAE, troubled
from tests.search.reported import make_search, publish


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search of 20 trials, some stopped, one diverged or failed at least."""
    folder = tmp_path_factory.mktemp("searches") / "toy"
    make_search(folder, space=RECVAE, curve=troubled, trials=20, max_passes=40, sampler="random")
    publish(folder, 3, gain_valid=0.05, gain_test=0.04, error=0.01)
    return folder


@pytest.fixture(scope="session")
def results(folder: Path) -> SearchResults:
    return read_results(folder)
