"""A new search begins with the best of an earlier one, says what it leaves out, and repeats itself when resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distrecvae.errors import ConfigError, ResultsError
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.folder.search_json import read_description
from distrecvae.search.folder.tables import read_rows
from distrecvae.search.folder.warm_start import read_warm_start, warm_start_of
from distrecvae.search.space.relative import Sizes
from distrecvae.search.space.space import SearchSpace
from tests.search.reported import make_search

SPACE = SearchSpace.load("recvae-demo")


@pytest.fixture
def earlier(tmp_path: Path) -> Ledger:
    return make_search(tmp_path / "earlier", space=SPACE, trials=12, max_passes=40, sampler="random")


def ranked(ledger: Ledger) -> list[int]:
    """Return the trials by score, the best first, without the start."""
    records = [r for r in ledger.records.values() if r.number != 0]
    return [r.number for r in sorted(records, key=lambda r: (-(r.score or 0.0), r.number))]


def narrow() -> SearchSpace:
    """The demo's space, but for a dropout that goes only to a half."""
    form = SPACE.to_dict()
    form["parameters"]["dropout"]["high"] = 0.5
    return SearchSpace.from_dict(form)


def test_the_best_configurations_are_the_trials_after_the_first(tmp_path: Path, earlier: Ledger) -> None:
    warm = read_warm_start(str(tmp_path / "earlier"), SPACE, 4)
    assert list(warm.trials) == ranked(earlier)[:4]
    assert warm.outside == ()
    for sampler in ("tpe", "random", "qmc"):
        new = make_search(
            tmp_path / sampler, space=SPACE, trials=7, max_passes=8, seed=9, sampler=sampler, warm=warm
        )
        assert new.records[0].config == SPACE.default_config()
        for number, taken in enumerate(warm.trials, 1):
            # Weights of a simplex come back from its sticks to 14 decimals.
            found, expected = (
                SPACE.flatten(r[n].config) for r, n in ((new.records, number), (earlier.records, taken))
            )
            assert found == pytest.approx(expected)
        assert new.records[5].config not in [record.config for record in earlier.records.values()]


def test_what_the_space_cannot_have_is_left_out_and_said(tmp_path: Path, earlier: Ledger) -> None:
    space, best = narrow(), ranked(earlier)[:8]
    outside = [n for n in best if earlier.records[n].config["dropout"] > 0.5]
    assert outside, "the fixture has such trials"
    warm = read_warm_start(str(tmp_path / "earlier"), space, 8)
    assert list(warm.outside) == outside
    assert list(warm.trials) == [n for n in best if n not in outside]
    assert f"left out: {', '.join(map(str, outside))}." in warm.text()
    assert len(warm.points(space)) == len(warm.trials)


def test_where_a_range_depends_on_the_data_a_value_is_moved_into_it(tmp_path: Path, earlier: Ledger) -> None:
    """Yesterday's best batch is not lost because there are more users today, which moves the range's low end."""
    form = SPACE.to_dict()
    form["parameters"]["batch_size"] = {"type": "int", "low": "users/30", "high": "users/15", "log": True}
    space = SearchSpace.from_dict(form).resolved(Sizes(2400, 1200, 50_000))
    warm = read_warm_start(str(tmp_path / "earlier"), space, 8)
    assert list(warm.trials) == ranked(earlier)[:8]
    moved = [config["batch_size"] for config in warm.configs]
    theirs = [earlier.records[n].config["batch_size"] for n in warm.trials]
    assert {50, 200} <= set(theirs), "the fixture has such trials"
    assert moved == [min(max(size, 80), 160) for size in theirs]
    assert len(warm.points(space)) == 8


def test_a_setting_fixed_otherwise_is_outside(tmp_path: Path, earlier: Ledger) -> None:
    form = SPACE.to_dict()
    form["base"]["hidden_dim"] = 128
    del form["parameters"]["hidden_dim"]
    warm = read_warm_start(str(tmp_path / "earlier"), SearchSpace.from_dict(form), 8)
    kept = [n for n in ranked(earlier)[:8] if earlier.records[n].config["hidden_dim"] == 128]
    assert list(warm.trials) == kept
    assert 0 < len(kept) < 8


def test_the_start_and_repeated_configurations_do_not_count(tmp_path: Path) -> None:
    def best_at_the_start(config: dict[str, Any], _passes: int) -> float:
        return 0.3 if config == SPACE.default_config() else 0.1 + config["dropout"] / 100

    ledger = make_search(tmp_path / "earlier", space=SPACE, curve=best_at_the_start, trials=6, max_passes=8)
    warm = read_warm_start(str(tmp_path / "earlier"), SPACE, 3)
    assert list(warm.trials) == ranked(ledger)[:3]
    assert 0 not in warm.trials


def test_it_comes_back_from_search_json_without_the_earlier_search(tmp_path: Path, earlier: Ledger) -> None:
    warm = read_warm_start(str(tmp_path / "earlier"), SPACE, 3)
    config = SearchConfig(warm_start="/gone", warm_start_trials=3)
    make_search(tmp_path / "new", space=SPACE, trials=1, max_passes=12, warm=warm)
    assert warm_start_of(config, SPACE, read_description(tmp_path / "new")) == warm
    make_search(tmp_path / "cold", space=SPACE, trials=1, max_passes=12)
    assert warm_start_of(SearchConfig(), SPACE, read_description(tmp_path / "cold")) is None
    whole = make_search(tmp_path / "whole", space=SPACE, trials=6, max_passes=12, warm=warm)
    parts = make_search(tmp_path / "parts", space=SPACE, trials=6, max_passes=12, warm=warm, stop_after=4)
    assert len(parts.records) < 6
    parts = make_search(tmp_path / "parts", space=SPACE, trials=6, max_passes=12, warm=warm)
    assert [r.config for r in parts.records.values()] == [r.config for r in whole.records.values()]


def test_other_models_and_folders_without_scores_are_refused(tmp_path: Path, earlier: Ledger) -> None:
    source = str(tmp_path / "earlier")
    with pytest.raises(
        ResultsError, match="is a search of recvae, this one is of ease; --warm-start takes the same"
    ):
        read_warm_start(source, SearchSpace.load("ease"), 5)
    with pytest.raises(
        ResultsError, match=r"holds no search .* give --warm-start the results folder of a search"
    ):
        read_warm_start(str(tmp_path / "nowhere"), SPACE, 5)
    with pytest.raises(ConfigError, match="warm_start_trials=3 without warm_start"):
        SearchConfig(warm_start_trials=3)
    assert (SearchConfig(warm_start=source).most_warm_starts, earlier.records != {}) == (5, True)

    def failing(_config: dict[str, Any], _passes: int) -> float:
        raise RuntimeError("no memory")

    make_search(tmp_path / "failed", space=SPACE, curve=failing, trials=2)
    assert read_rows(tmp_path / "failed")[0]["score"] is None
    with pytest.raises(ResultsError, match=r"no trial of .*failed has a score; leave out --warm-start"):
        read_warm_start(str(tmp_path / "failed"), SPACE, 5)
