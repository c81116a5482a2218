"""A folder says how far its search reached: in the ranges as they are by now, whoever made them wider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distrecvae.api.results import SearchResult
from distrecvae.errors import ResultsError
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.unasked import said_widened
from distrecvae.search.folder.reached import limits_in, widened_in
from distrecvae.search.living.top import standing
from distrecvae.search.report.data import read_results
from distrecvae.search.report.page import report_page
from distrecvae.search.space.space import SearchSpace
from tests.search.reported import make_search

METRIC = "valid/ndcg_100"
SPACE = SearchSpace.from_mapping(
    {
        "model": "recvae",
        "parameters": {
            "latent_dim": {"type": "int", "low": 50, "high": 200, "step": 50},
            "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-3, "log": True},
        },
        "default": {"latent_dim": 100},
    }
)


def large(config: dict[str, Any], passes: int) -> float:
    """Return a score that is the better the larger the latent space is, up to 300; the rate counts a little."""
    best: float = min(config["latent_dim"], 300) / 1000 + 0.1 - config["learning_rate"]
    return best * passes / 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("widened") / "it"
    make_search(folder, space=SPACE, curve=large, trials=40, max_passes=40, scheduler="none", widen=True)
    return folder


def test_what_grew_is_said_wherever_a_folder_is_read(folder: Path) -> None:
    said = widened_in(folder)
    assert list(said) == said_widened(Ledger(folder, METRIC).answers)
    assert said
    assert said[0].endswith(
        " a range was widened: 4 of the best 4 trials lay at the upper end of latent_dim: latent_dim is 50 to 300, step"
        " 50 from the next trial on."
    )
    assert SearchResult(folder, True, "", "ndcg_100").widened == said
    results = read_results(folder)
    assert results.widened == said
    page = report_page(results)
    assert said[0] in page
    best = results.best
    assert best is not None
    assert int(str(best.values["latent_dim"])) >= 250, "beyond where it began"
    assert results.asked[0].what == "widen latent_dim=:300"


def test_the_limits_are_those_of_the_ranges_by_now(folder: Path) -> None:
    limits, first = limits_in(folder, METRIC), SearchSpace.edges
    assert limits is not None
    record = Ledger(folder, METRIC).records[limits.trial]
    beyond = [edge for edge in first(SPACE, record.config) if edge.name == "latent_dim"]
    assert beyond, "of the range that it began with, it lies beyond the end"
    assert all(edge.range != beyond[0].range for edge in limits.edges)
    assert limits == SearchResult(folder, True, "", "ndcg_100").limits
    assert limits == read_results(folder).limits
    assert beyond[0].text() not in standing(folder).text(200)


def test_without_a_search_it_is_refused(tmp_path: Path) -> None:
    for read in (widened_in, lambda folder: limits_in(folder, METRIC)):
        with pytest.raises(ResultsError, match="is missing"):
            read(tmp_path)
