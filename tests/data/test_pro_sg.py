"""Liang et al.'s layout: the published folder reads as the published split, and what we write reads back as
itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.pro_sg import FILES, pro_sg_folder, read_pro_sg, write_pro_sg
from distrecvae.data.split import split_users
from distrecvae.data.splitting.options import SplitOptions
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import DataError, ResultsError
from tests.data.test_split import GOLDEN, assert_is_golden, golden_input, table_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The published output, as the published code writes it: rows in file order."""
    folder = tmp_path / "published"
    folder.mkdir()
    with np.load(GOLDEN) as golden:
        for name in ("unique_uid", "unique_sid"):
            (folder / f"{name}.txt").write_text("".join(f"{value}\n" for value in golden[name]))
        for name in FILES:
            np.savetxt(folder / f"{name}.csv", golden[name], "%d", ",", header="uid,sid", comments="")
    return folder


def test_reads_the_published_folder(folder: Path) -> None:
    split, counts = read_pro_sg(folder)
    assert_is_golden(split)
    assert (split.train.n_users, split.valid.n_users, split.test.n_users) == (483, 60, 60)
    assert counts["duplicates"] == counts["valid_users_with_nothing_to_score"] == 0
    assert counts["test_users_with_nothing_to_score"] == 1


def test_writes_what_was_published(folder: Path, tmp_path: Path) -> None:
    """File by file, up to the order of rows."""
    rows = golden_input()
    options = SplitOptions(min_user_interactions=1, held_out_users=60)
    split, _ = split_users(table_of(rows["user"], rows["item"]), options)
    write_pro_sg(split, tmp_path / "ours")
    for published in folder.iterdir():
        ours = (tmp_path / "ours" / published.name).read_text().splitlines()
        theirs = published.read_text().splitlines()
        assert ours[0] == theirs[0]
        assert sorted(ours) == sorted(theirs), published.name


def test_without_user_ids(folder: Path) -> None:
    """Liang et al.'s own preprocessing writes no unique_uid.txt; users are then their positions."""
    named, _ = read_pro_sg(folder)
    (folder / "unique_uid.txt").unlink()
    numbered, _ = read_pro_sg(folder)
    assert numbered.user_ids.tolist() == list(range(603))
    np.testing.assert_array_equal(numbered.test.held_out.indices, named.test.held_out.indices)


@pytest.mark.parametrize("n_held_out", [1, 7])
def test_round_trip(n_held_out: int, tmp_path: Path) -> None:
    split = synthetic_split(n_users=60, n_items=50, held_out_users=n_held_out)
    write_pro_sg(split, tmp_path / "pro_sg")
    assert pro_sg_folder(tmp_path) == tmp_path / "pro_sg"
    assert read_pro_sg(tmp_path / "pro_sg")[0].fingerprint == split.fingerprint


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=8, max_size=8))
def test_users_that_no_file_names_keep_their_places(
    tmp_path_factory: pytest.TempPathFactory, silent: list[bool]
) -> None:
    """A held-out user whose items are all unseen has no row anywhere, at a group's edges too."""
    train = InteractionMatrix.from_pairs(range(3), [0, 1, 1], n_users=3, n_items=2)
    groups: list[HeldOutUsers] = []
    for rows in (silent[:4], silent[4:]):
        users = [u for u in range(4) if not rows[u]]
        fold_in = InteractionMatrix.from_pairs(users, [1] * len(users), n_users=4, n_items=2)
        groups.append(HeldOutUsers(fold_in, InteractionMatrix.from_pairs([], [], n_users=4, n_items=2)))
    user_ids, item_ids = np.array([f"u{n}" for n in range(11)], object), np.array(["a", "b"], object)
    split = Split(train, groups[0], groups[1], user_ids, item_ids)
    folder = tmp_path_factory.mktemp("silent") / "pro_sg"
    write_pro_sg(split, folder)
    assert read_pro_sg(folder)[0].fingerprint == split.fingerprint


def append(name: str, line: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        with (folder / name).open("a") as file:
            file.write(f"{line}\n")

    return apply


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "an item out of range": (append("train.csv", "0,5660"), "sid 5660, outside 0..5659"),
    "a negative item": (append("train.csv", "0,-1"), "sid -1, outside"),
    "a user beyond int32": (append("test_tr.csv", "2147483647,0"), "uid 2147483647, outside"),
    "a user without an id": (append("test_te.csv", "603,0"), "user 603 .* names 603"),
    "not a number": (append("validation_tr.csv", "490,x"), "whole numbers"),
    "a fraction": (append("validation_tr.csv", "490,1.5"), "whole numbers"),
    "an empty cell": (append("validation_tr.csv", "490,"), "1 empty cells in sid"),
    "a missing file": (lambda f: (f / "test_te.csv").unlink(), "test_te.csv is missing"),
    "other columns": (lambda f: (f / "test_te.csv").write_text("a,b\n1,2\n"), "two columns uid,sid"),
    "an empty file": (lambda f: (f / "test_te.csv").write_text(""), "two columns uid,sid"),
    "no training users": (lambda f: (f / "train.csv").write_text("uid,sid\n"), "no rows"),
    "no items": (lambda f: (f / "unique_sid.txt").write_text(""), "is empty"),
    "an item twice": (append("unique_sid.txt", "1"), "names an id twice"),
    "a test user in training": (append("test_tr.csv", "3,0"), "user 3 .* must not overlap"),
    "a training user among test": (append("train.csv", "560,0"), "must not overlap"),
    "held out and folded in": (
        lambda f: (f / "test_te.csv").write_bytes((f / "test_tr.csv").read_bytes()),
        "test interactions are in _tr and in _te",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_one_line_for_what_is_wrong(case: str, folder: Path) -> None:
    change, message = DAMAGE[case]
    change(folder)
    with pytest.raises(DataError, match=message) as caught:
        read_pro_sg(folder)
    assert "\n" not in str(caught.value)


def test_repeated_rows_are_merged(folder: Path) -> None:
    append("train.csv", (folder / "train.csv").read_text().splitlines()[1])(folder)
    split, counts = read_pro_sg(folder)
    assert counts["duplicates"] == 1
    assert_is_golden(split)


def test_never_overwrites_and_ids_must_fit_a_line(folder: Path, tmp_path: Path) -> None:
    split, _ = read_pro_sg(folder)
    with pytest.raises(ResultsError, match="already exists"):
        write_pro_sg(split, folder)
    ids = np.array([f"{n}\n" for n in range(603)], dtype=object)
    odd = Split(split.train, split.valid, split.test, ids, split.item_ids)
    with pytest.raises(DataError, match="line break"):
        write_pro_sg(odd, tmp_path / "odd")
    assert not (tmp_path / "odd").exists()
