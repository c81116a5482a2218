"""From candidates to a folder: chosen on validation users, then test users once, and nothing written on an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distrecvae.blending.choice import Wish
from distrecvae.blending.facts import read_facts
from distrecvae.blending.making import make_blend
from distrecvae.blending.mixtures import part_of
from distrecvae.data.dataset import Split
from distrecvae.data.summary import facts
from distrecvae.errors import DataError, ResultsError
from distrecvae.evaluation import evaluate
from distrecvae.runs.refit import with_validation_users
from distrecvae.saved.model import load_model
from tests.blending.models import split, trained


def make(folder: Path, data: Split, names: tuple[str, ...] = ("ease", "popularity")) -> None:
    make_blend(
        folder, [trained(name) for name in names], data, data=facts(data, {}), name="the data",
        wish=Wish(rule="standardized"), stage=lambda _what: lambda _done, _all: None,
    )  # fmt: skip


def test_a_refit_is_of_all_but_test_users_and_says_so(tmp_path: Path) -> None:
    users = with_validation_users(split())
    for folder, given in (("a", None), ("b", users)):
        make_blend(
            tmp_path / folder, [trained("ease"), trained("popularity")], split(), data=facts(split(), {}),
            name="the data", wish=Wish(rule="standardized"), stage=lambda _what: lambda _done, _all: None,
            refit_on=given,
        )  # fmt: skip
    before, after = (read_facts(tmp_path / name) for name in ("a", "b"))
    assert (before.refit_users, after.refit_users) == (None, users.n_users)
    assert (after.valid, after.in_sample) == (before.valid, before.in_sample)
    assert [each.weight for each in after.members] == [each.weight for each in before.members]
    assert after.test != before.test
    loaded = load_model(tmp_path / "b")
    assert (loaded.metrics["refit"], loaded.metrics["train_users"]) == (True, users.n_users)
    assert evaluate(loaded.recommender, split().test).mean("ndcg_100") == after.test
    assert "refit" not in load_model(tmp_path / "a").metrics
    said = " ".join((tmp_path / "b" / "summary.txt").read_text().split())
    assert f"trained again on all {users.n_users:,} training and validation users" in said


def reduced(valid: slice, test: slice) -> Split:
    whole = split()
    users = np.arange(200)
    n_train = whole.train.n_users
    ids = whole.user_ids
    return Split(
        whole.train,
        part_of(whole.valid, users[valid]),
        part_of(whole.test, users[test]),
        np.concatenate([ids[:n_train], ids[n_train : n_train + 200][valid], ids[n_train + 200 :][test]]),
        whole.item_ids,
    )


def test_test_users_have_no_part_in_the_choice(tmp_path: Path) -> None:
    make(tmp_path / "a", reduced(slice(200), slice(100)))
    make(tmp_path / "b", reduced(slice(200), slice(100, 200)))
    found = [read_facts(tmp_path / name) for name in ("a", "b")]
    assert found[0].test != found[1].test
    weights = [[each.weight for each in facts.members] for facts in found]
    assert weights[0] == weights[1]
    assert found[0].valid == found[1].valid


def test_no_validation_user_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the data has no validation user who can be scored"):
        make(tmp_path / "a", reduced(slice(0), slice(100)))
    assert not (tmp_path / "a").exists()


def test_no_test_user_gives_a_blend_without_a_test_score(tmp_path: Path) -> None:
    make(tmp_path / "a", reduced(slice(200), slice(0)))
    assert read_facts(tmp_path / "a").test is None
    assert "n/a" in (tmp_path / "a" / "summary.txt").read_text()


def test_a_folder_in_use_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(ResultsError, match="is not empty"):
        make(tmp_path, split())
