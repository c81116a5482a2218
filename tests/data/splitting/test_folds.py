"""Folds of users: each is tested once, the same users validate in all, and no user is both trained on and tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.data.prepared import prepare_data, read_data
from distrecvae.data.splitting.folds import fold_folders, fold_name
from distrecvae.errors import ConfigError, DataError
from tests.data.splitting.ratings import ratings


def test_each_user_is_tested_once(tmp_path: Path) -> None:
    data = prepare_data(ratings(), folds=4, held_out_users=20)
    assert len(data.folds) == 4
    assert data.fingerprint == data.folds[0].fingerprint
    groups = []
    for each in data.folds:
        ids, n, m = each.split.user_ids.tolist(), each.split.train.n_users, each.split.valid.n_users
        assert len(set(ids)) == len(ids) == 120
        groups.append((set(ids[:n]), set(ids[n : n + m]), set(ids[n + m :])))
    assert all(valid == groups[0][1] for _, valid, _ in groups)
    assert [len(test) for *_, test in groups] == [25] * 4
    assert set.union(*(test for *_, test in groups)) == set(data.split.user_ids.tolist()) - groups[0][1]

    saved = data.save(tmp_path / "folds")
    assert [Path(each.folder or "").name for each in saved.folds] == [fold_name(n) for n in (1, 2, 3, 4)]
    assert fold_folders(tmp_path / "folds") == [tmp_path / "folds" / f"fold-{n}" for n in (1, 2, 3, 4)]
    again = read_data(tmp_path / "folds")
    assert [each.fingerprint for each in again.folds] == [each.fingerprint for each in data.folds]
    assert again.folds[2].protocol["options"]["fold"] == 3
    assert read_data(tmp_path / "folds" / "fold-3").fingerprint == data.folds[2].fingerprint
    assert "fold 3 of 4 is tested" in str(again.folds[2])


def test_what_folds_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="100 are not enough for 101 folds"):
        prepare_data(ratings(), folds=101, held_out_users=20)
    data = prepare_data(ratings(), folds=2)
    with pytest.raises(ConfigError, match="folds are drawn again each time"):
        prepare_data(ratings(), like=data.like())
    data.save(tmp_path / "folds")
    from distrecvae.data.io import load_dataset

    with pytest.raises(DataError, match=r"holds 2 folds; give one of them, such as .*fold-1"):
        load_dataset(tmp_path / "folds")
