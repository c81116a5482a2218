"""`distrecvae.evaluate`: items that a model does not know, an earlier model on the same users, and which to ship."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import distrecvae
from distrecvae.api.evaluating import Scored, ScoredAgainst, scores_against
from distrecvae.data.prepared import Data, prepare_data
from distrecvae.errors import CheckpointError, ConfigError, DataError
from distrecvae.paired import paired_gain
from distrecvae.shared_items import Coverage

DATA = prepare_data(None, users=200, items=80)


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def frame(n_users: int, first_item: int, n_items: int) -> pd.DataFrame:
    """Return users with a taste for items alike modulo 4, of items from `first_item` on."""
    random = np.random.default_rng(0)
    rows = []
    for user in range(n_users):
        own = np.arange(first_item + (user - first_item) % 4, first_item + n_items, 4)
        rows += [(user, item) for item in random.choice(own, size=min(9, own.size), replace=False)]
    return pd.DataFrame(rows, columns=["user_id", "item_id"])


def days() -> tuple[Data, Data]:
    """Return yesterday's data and today's, with five items gone and five new ones."""
    yesterday = distrecvae.prepare(frame(160, 0, 60), held_out_users=20)
    return yesterday, distrecvae.prepare(frame(200, 5, 60), like=yesterday, held_out_users=30)


def told(model: object, data: Data, **arguments: object) -> tuple[Scored, list[str]]:
    """Return what `evaluate` gives, and its warnings."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = distrecvae.evaluate(model, data, **arguments)  # type: ignore[arg-type]
    assert isinstance(found, Scored)
    assert all(warning.category is UserWarning for warning in said)
    return found, [str(warning.message) for warning in said]


def test_a_model_is_scored_on_what_it_knows_of_other_items() -> None:
    yesterday, today = days()
    ease = distrecvae.train(yesterday, model="ease", threads=1)
    found, said = told(ease, today)
    assert (found.coverage.n_shared, found.coverage.n_gone) == (55, 5)
    assert tuple(said) == found.notes
    assert "knows 55 of the 60 items" in found.notes[0]
    assert not any("flatters" in note for note in found.notes), "today's data is like yesterday's"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert distrecvae.evaluate(ease, yesterday).means() == ease.scores["test"]


def test_data_that_is_not_like_the_models_may_flatter_it() -> None:
    yesterday, _ = days()
    ease = distrecvae.train(yesterday, model="ease", threads=1)
    other = distrecvae.prepare(frame(200, 5, 60), held_out_users=30)
    _, said = told(ease, other)
    assert (
        "trained on other data, some of whose users may be held out in the data, which flatters it"
        in said[-1]
    )


def test_today_against_yesterday() -> None:
    yesterday, today = days()
    old = distrecvae.train(yesterday, model="popularity", threads=1)
    new = distrecvae.train(today, model="ease", threads=1)
    found, said = told(new, today, against=old)
    assert "knows 55 of the 60 items" in said[0]
    assert isinstance(found, ScoredAgainst)
    assert found.users.tolist() == found.against.users.tolist()
    gain = paired_gain(found.per_user["ndcg_100"], found.against.per_user["ndcg_100"])
    assert found.gains["ndcg_100"] == gain
    assert found.means() == distrecvae.evaluate(new, today).means(), "over all users, as alone"
    assert found.better
    assert found.verdict.startswith("ship it: the model is better than the earlier one (NDCG@100 +")
    turned, _ = told(old, today, against=new)
    assert isinstance(turned, ScoredAgainst)
    assert turned.verdict.startswith("keep: the earlier model is better (NDCG@100 -")
    same = distrecvae.evaluate(new, today, against=new.folder)
    assert isinstance(same, ScoredAgainst)
    assert same.verdict == (
        f"keep: no difference beyond chance (NDCG@100 +0.0000 ± 0.0000, p = 1, paired over {same.n_evaluated} users)"
    )
    assert not same.better


def scored(users: list[int], values: list[float], n_skipped: int = 0) -> Scored:
    return Scored({"ndcg_100": np.array(values)}, np.array(users), n_skipped, coverage=Coverage(9, 9))


def test_a_user_whom_only_one_can_score_is_a_zero_of_the_other() -> None:
    found = scores_against(scored([0, 1, 3], [0.5, 0.6, 0.7], 2), scored([1, 2], [0.4, 0.9], 3))
    assert found.users.tolist() == [0, 1, 2, 3]
    assert found.per_user["ndcg_100"].tolist() == [0.5, 0.6, 0.0, 0.7]
    assert found.against.per_user["ndcg_100"].tolist() == [0.0, 0.4, 0.9, 0.0]
    assert (found.n_skipped, found.against.n_skipped) == (1, 1)
    assert found.notes == ("1 user of those compared cannot be scored, which counts as 0",)
    assert found.against.notes == ("2 users of those compared cannot be scored, which counts as 0",)
    assert found.gains["ndcg_100"].mean == pytest.approx((0.5 + 0.2 - 0.9 + 0.7) / 4)


def test_what_cannot_be_scored_is_refused() -> None:
    ease = distrecvae.train(DATA, model="ease", threads=1)
    with pytest.raises(DataError, match="knows none of the"):
        distrecvae.evaluate(ease, distrecvae.prepare(frame(100, 500, 60)))
    with pytest.raises(ConfigError, match="group='all'"):
        distrecvae.evaluate(ease, DATA, group="all")
    for arguments in (("absent", DATA), (ease, DATA)):
        with pytest.raises(CheckpointError, match="absent"):
            distrecvae.evaluate(*arguments, against="absent")
