"""What a plan says of time and money: whose times are taken, whose price."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.errors import ResultsError
from distrecvae.search import estimating
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.estimating import priced, timing_like
from distrecvae.search.space.space import SearchSpace
from tests.search.reported import make_search


def test_a_search_of_another_model_says_nothing_of_this_ones_times(tmp_path: Path) -> None:
    make_search(tmp_path / "earlier", space=SearchSpace.load("recvae"), trials=2, max_passes=12, min_passes=4)
    with pytest.raises(ResultsError, match="a search of recvae, this one is of multvae"):
        timing_like(tmp_path / "earlier", "multvae")
    with pytest.raises(ResultsError, match="give --like-search"):
        timing_like(tmp_path / "nothing", "recvae")


def test_a_search_whose_trials_have_not_ended_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_search(tmp_path / "earlier", space=SearchSpace.load("recvae"), trials=2, max_passes=12, min_passes=4)
    monkeypatch.setattr(estimating, "read_records", lambda *_: {})
    with pytest.raises(ResultsError, match=r"no trial of .*earlier has ended"):
        timing_like(tmp_path / "earlier", "recvae")


def test_the_price_is_the_clusters_where_one_is_joined_and_none_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(estimating, "price_on_head", lambda: 0.5)
    assert priced(SearchConfig(address="auto")).price_per_hour == 0.5
    assert priced(SearchConfig(address="auto", price_per_hour=0.7)).price_per_hour == 0.7
    assert priced(SearchConfig()).price_per_hour is None, "Ray is started here"
