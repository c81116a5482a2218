"""A row: a search's model scores the users again, seeds are averaged user by user, other systems have less to say."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from distrecvae.data.synthetic import synthetic_split
from distrecvae.elsewhere.scoring import ScoredElsewhere
from distrecvae.evaluation import Evaluation, evaluate
from distrecvae.layout import BEST_FOLDER
from distrecvae.metrics import METRICS
from distrecvae.models.popularity import Popularity, PopularityConfig
from distrecvae.saved.model import save_model
from distrecvae.search.comparison.row import (
    ELSEWHERE,
    Row,
    elsewhere_row,
    mean_over_seeds,
    read_row,
    seeds_of,
    valid_mean,
)
from distrecvae.search.folder.search_json import write_description
from tests.search.comparison.rows import scored
from tests.search.folder.test_search_json import DESCRIPTION


def test_a_row_is_read_from_a_finished_search(tmp_path: Path) -> None:
    """The chosen model scores the users again: what a search wrote down about them is not what is compared."""
    split = synthetic_split(n_users=150, n_items=60, seed=3)
    counts = torch.from_numpy(split.train.item_counts()).float()
    save_model(
        tmp_path / BEST_FOLDER,
        model="popularity",
        config=PopularityConfig(),
        state={"counts": counts},
        item_ids=split.item_ids,
        metrics={"trial": 2},
    )
    pd.DataFrame({"trial": [0, 1, 2], "duration_s": [10.0, 20.0, 30.5]}).to_parquet(
        tmp_path / "trials.parquet"
    )
    write_description(tmp_path, replace(DESCRIPTION, status="finished", elapsed_s=75.0))
    found = read_row("mine", tmp_path, split)
    assert isinstance(found, Row)
    assert (found.name, found.model, found.config) == ("mine", "popularity", {})
    assert (found.trials, found.search_s, found.train_s, found.n_parameters) == (3, 75.0, 30.5, len(counts))
    assert found.valid is not None
    for evaluation, users in ((found.valid, split.valid), (found.test, split.test)):
        expected = evaluate(Popularity(counts), users)
        assert evaluation.users.tolist() == expected.users.tolist()
        for metric in METRICS:
            assert evaluation.per_user[metric].tolist() == expected.per_user[metric].tolist()
    assert found.valid.n_evaluated > 0
    assert found.valid.means() != found.test.means()


def test_seeds_are_averaged_user_by_user_and_their_error_is_the_textbooks() -> None:
    runs = [np.array([0.2, 0.4]), np.array([0.4, 0.8]), np.array([0.3, 0.3])]
    mean = mean_over_seeds(
        [Evaluation({"ndcg_100": each}, np.arange(2), 1, {"gini_20": each[0]}) for each in runs]
    )
    np.testing.assert_allclose(mean.per_user["ndcg_100"], [0.3, 0.5])
    assert mean.overall["gini_20"] == pytest.approx(0.3)
    assert mean.n_skipped == 1
    seeds = seeds_of((5, 6, 7), [scored(each) for each in runs], [scored(each) for each in runs])
    assert seeds.test["ndcg_100"] == pytest.approx((0.3, 0.6, 0.3))
    assert seeds.valid == seeds.test
    assert seeds.count == 3
    # Means 0.3, 0.6, 0.3: deviation with n - 1 is sqrt(0.03), over sqrt(3) 0.1.
    assert seeds.standard_error("ndcg_100") == pytest.approx(0.1)
    one = seeds_of((5,), [], [scored(runs[0])])
    assert math.isnan(one.standard_error("ndcg_100"))
    assert one.valid == {}


def test_a_system_from_elsewhere_has_scores_and_no_search() -> None:
    test, valid = scored(np.array([0.5, 0.25])), scored(np.array([0.75]))
    once = elsewhere_row("theirs", [ScoredElsewhere(test, valid, ("a note",))], ["a.parquet"])
    assert (once.model, once.trials, once.seeds, once.notes) == (ELSEWHERE, None, None, ("a note",))
    assert valid_mean(once, "ndcg_100") == 0.75
    twice = elsewhere_row(
        "theirs",
        [ScoredElsewhere(test, valid, ("a note",)), ScoredElsewhere(test, None, ("a note",))],
        ["a", "b"],
    )
    assert twice.seeds is not None
    assert twice.seeds.count == 2
    assert twice.notes == ("a note",)
    assert twice.valid is None, "only one of the two has validation users"
    assert math.isnan(valid_mean(twice, "ndcg_100"))
    assert twice.config == {"scores": ["a", "b"]}
