"""Systems that were trained elsewhere are named, and a name again is another seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ConfigError, DataError
from distrecvae.search.comparison.outsiders import named_scores, outside_rows
from distrecvae.search.comparison.row import ELSEWHERE


def test_names_and_paths_are_taken_in_their_order_and_a_name_again_is_a_seed() -> None:
    found = named_scores(["knn=a.parquet", " bpr =b=c.csv", "knn=d.parquet"], ["ease"])
    assert found == {"knn": [Path("a.parquet"), Path("d.parquet")], "bpr": [Path("b=c.csv")]}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["a.parquet"], "is not NAME=PATH; write for example"),
        (["=a"], "is not NAME=PATH"),
        (["knn="], "is not NAME=PATH"),
        (["a/b=c"], "is not NAME=PATH"),
        (["ease=a"], "a search of this comparison has that name"),
        (["knn=a", "knn=a"], "is there twice"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        named_scores(given, ["ease"])


def test_rows_have_the_scores_of_the_files(tmp_path: Path) -> None:
    split = synthetic_split(n_users=200, n_items=120, seed=2)
    held_out = split.user_ids[split.train.n_users :]
    generator = np.random.default_rng(0)
    for seed in range(2):
        pd.DataFrame(
            {
                "user_id": np.repeat(held_out, split.n_items),
                "item_id": np.tile(split.item_ids, len(held_out)),
                "score": generator.random(len(held_out) * split.n_items),
            }
        ).to_csv(tmp_path / f"{seed}.csv", index=False)
    (row,) = outside_rows({"random": [tmp_path / "0.csv", tmp_path / "1.csv"]}, split, ("ndcg_100", "mrr_10"))
    assert (row.name, row.model, row.trials) == ("random", ELSEWHERE, None)
    assert row.seeds is not None
    assert row.seeds.count == 2
    assert row.test.mean("mrr_10") == pytest.approx(np.mean(row.seeds.test["mrr_10"]))
    assert row.valid is not None
    with pytest.raises(DataError, match=r"absent\.csv does not exist"):
        outside_rows({"random": [tmp_path / "absent.csv"]}, split, ("ndcg_100",))
