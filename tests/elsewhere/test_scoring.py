"""Scores from elsewhere give what a model of ours with the same scores gives; what they leave out is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.synthetic import synthetic_split
from distrecvae.elsewhere.reading import Scores, read_scores
from distrecvae.elsewhere.scoring import score_elsewhere
from distrecvae.errors import DataError
from distrecvae.evaluation import Scoring, evaluate

METRICS = ("ndcg_100", "ndcg_10", "recall_20", "mrr_10", "novelty_10", "coverage_10", "gini_10")


@pytest.fixture(scope="module")
def split() -> Split:
    return synthetic_split(n_users=200, n_items=150, seed=2)


class Fixed:
    """A model that scores every user as a fixed function of what was shown."""

    def __init__(self, n_items: int) -> None:
        self.n_items = n_items
        self.weights = (
            np.random.default_rng(0).normal(size=(n_items, n_items)).round(1)
        )  # some scores are tied

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        return torch.from_numpy(fold_in.to_scipy() @ self.weights).float()


def table(model: Fixed, split: Split) -> pd.DataFrame:
    """Return the model's scores of every validation and test user with every item, shown ones included."""
    parts = []
    first = split.train.n_users
    for users in (split.valid, split.test):
        scores = model.score(users.fold_in).numpy()
        ids = split.user_ids[first : first + users.n_users]
        first += users.n_users
        parts.append(
            pd.DataFrame(
                {
                    "user_id": np.repeat(ids, split.n_items),
                    "item_id": np.tile(split.item_ids, users.n_users),
                    "score": scores.ravel(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def whole(split: Split) -> pd.DataFrame:
    return table(Fixed(split.n_items), split)


def read(frame: pd.DataFrame, folder: Path) -> Scores:
    frame.to_parquet(folder / "scores.parquet")
    return read_scores(folder / "scores.parquet")


def scoring(split: Split, *metrics: str) -> Scoring:
    return Scoring.of(metrics or METRICS, split.train)


def test_a_models_own_scores_give_its_own_metrics(split: Split, whole: pd.DataFrame, tmp_path: Path) -> None:
    # The oracle is `evaluate`: the same scores, ranked by it.
    shuffled = whole.sample(frac=1.0, random_state=3)
    found = score_elsewhere(read(shuffled, tmp_path), split, scoring(split), "theirs")
    model = Fixed(split.n_items)
    for group, users in (("test", split.test), ("valid", split.valid)):
        wanted, got = evaluate(model, users, scoring(split)), getattr(found, group)
        assert got.names == wanted.names
        assert (got.users == wanted.users).all()
        assert got.n_skipped == wanted.n_skipped
        for name in wanted.per_user:
            np.testing.assert_allclose(got.per_user[name], wanted.per_user[name], rtol=1e-12)
        assert got.overall == pytest.approx(wanted.overall)
    shown = split.test.fold_in.n_interactions, split.valid.fold_in.n_interactions
    assert [note.split()[0] for note in found.notes] == [f"{n:,}" for n in shown], "masked, and said"


def test_users_that_are_missing_count_as_0_and_are_said(
    split: Split, whole: pd.DataFrame, tmp_path: Path
) -> None:
    test_ids = split.user_ids[-split.test.n_users :]
    gone = test_ids[:5]
    found = score_elsewhere(
        read(whole[~whole["user_id"].isin(gone)], tmp_path), split, scoring(split), "theirs"
    )
    values = found.test.per_user["ndcg_100"]
    assert (values[found.test.users < 5] == 0).all()
    assert (values[found.test.users >= 5] > 0).any()
    n = int((found.test.users < 5).sum())
    assert any(
        note.startswith(f"no list for {n} of the {found.test.n_evaluated} test users") for note in found.notes
    )


def test_unknown_items_and_strangers_are_left_out_and_said(
    split: Split, whole: pd.DataFrame, tmp_path: Path
) -> None:
    first = split.user_ids[-split.test.n_users :][0]
    extra = pd.DataFrame(
        {"user_id": [first, 987_654], "item_id": [-5, int(split.item_ids[0])], "score": [1e6, 1.0]}
    )
    found = score_elsewhere(read(pd.concat([whole, extra]), tmp_path), split, scoring(split), "theirs")
    plain = score_elsewhere(read(whole, tmp_path), split, scoring(split), "theirs")
    np.testing.assert_array_equal(found.test.per_user["ndcg_100"], plain.test.per_user["ndcg_100"])
    said = " | ".join(found.notes)
    assert "1 score of test users are of items that the data does not have" in said
    assert "1 user is not among the held-out users of this data set" in said


def test_without_validation_users_it_cannot_be_called_the_best(
    split: Split, whole: pd.DataFrame, tmp_path: Path
) -> None:
    test_ids = split.user_ids[-split.test.n_users :]
    found = score_elsewhere(
        read(whole[whole["user_id"].isin(test_ids)], tmp_path), split, scoring(split), "theirs"
    )
    assert found.valid is None
    assert "cannot be called the best" in found.notes[-1]


def test_scores_of_other_users_or_items_are_refused(
    split: Split, whole: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="theirs has scores of 0 of the"):
        score_elsewhere(
            read(whole.assign(user_id=whole["user_id"] + 10**6), tmp_path), split, scoring(split), "theirs"
        )
    with pytest.raises(DataError, match="theirs has scores of none of the"):
        score_elsewhere(
            read(whole.assign(item_id=whole["item_id"] + 10**6), tmp_path), split, scoring(split), "theirs"
        )


def test_lists_that_end_too_soon_are_refused_unless_only_some_do(
    split: Split, whole: pd.DataFrame, tmp_path: Path
) -> None:
    top = whole.sort_values("score", ascending=False).groupby("user_id").head(60)
    with pytest.raises(DataError, match=r"look at 100 ranks; give longer lists, or --metrics with lower"):
        score_elsewhere(read(top, tmp_path), split, scoring(split), "theirs")
    found = score_elsewhere(read(top, tmp_path), split, scoring(split, "recall_20"), "theirs")
    assert found.test.names == ("recall_20",)
    one = split.user_ids[-1]
    mixed = pd.concat([whole[whole["user_id"] != one], top[top["user_id"] == one]])
    said = " | ".join(score_elsewhere(read(mixed, tmp_path), split, scoring(split), "theirs").notes)
    assert "1 test user has a list that ends before the ranks" in said


def test_a_user_with_nothing_to_find_is_left_out(split: Split, whole: pd.DataFrame, tmp_path: Path) -> None:
    held_out = split.test.held_out
    indptr = held_out.indptr.copy()
    gone = int(indptr[1])
    indptr = np.concatenate([[0, 0], indptr[2:] - gone])
    test = HeldOutUsers(split.test.fold_in, InteractionMatrix(indptr, held_out.indices[gone:], split.n_items))
    other = replace(split, test=test)
    found = score_elsewhere(read(whole, tmp_path), other, scoring(other), "theirs")
    wanted = evaluate(Fixed(split.n_items), other.test, scoring(other))
    assert (found.test.users == wanted.users).all()
    np.testing.assert_allclose(found.test.per_user["ndcg_100"], wanted.per_user["ndcg_100"], rtol=1e-12)


def test_where_users_are_in_both_groups_it_is_not_chosen_by(
    split: Split, whole: pd.DataFrame, tmp_path: Path
) -> None:
    """Its one list a user folds in for the test what validation asks for, or was made without what the test shows."""
    found = score_elsewhere(read(whole, tmp_path), replace(split, overlapping=True), scoring(split), "theirs")
    assert found.valid is None
    assert any("validation users are test users, too" in note for note in found.notes)
    assert found.test.n_evaluated == split.test.n_scored
