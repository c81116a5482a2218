"""The account of a prepared dataset: each row that went in is kept or dropped in words, and nobody's paths are told."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.split import split_users
from distrecvae.data.splitting.options import SplitOptions
from distrecvae.data.summary import describe, facts, reading_notes
from distrecvae.data.table import InteractionTable


def matrix(counts: list[int], n_items: int = 4) -> InteractionMatrix:
    users = [user for user, count in enumerate(counts) for _ in range(count)]
    items = [item for count in counts for item in range(count)]
    return InteractionMatrix.from_pairs(users, items, n_users=len(counts), n_items=n_items)


@pytest.fixture
def split() -> Split:
    """3 + 2 + 1 users and 4 items; 6 + (2 + 1) + (3 + 1) = 13 of 24 pairs."""
    return Split(
        matrix([1, 2, 3]),
        HeldOutUsers(matrix([2, 0]), matrix([1, 0])),
        HeldOutUsers(matrix([3]), matrix([1])),
        np.arange(6),
        np.arange(4),
    )


COUNTS = {
    "rows": 2000,
    "below_threshold": 1200,
    "duplicates": 30,
    "items_below_minimum": 1,
    "users_below_minimum": 4,
    "held_out_interactions_of_unseen_items": 1,
    "valid_users_with_nothing_to_score": 1,
    "test_users_with_nothing_to_score": 0,
}
OPTIONS = {"min_rating": 3.5, "min_user_interactions": 5, "min_item_interactions": 2}


def test_the_whole_account_in_its_order(split: Split) -> None:
    source = {"path": "a.csv", "columns": {"user": "u", "item": "i", "rating": "stars"}}
    lines = describe(split, {"counts": COUNTS, "options": OPTIONS, "source": source})
    assert lines[:-1] == [
        "read       2,000 rows",
        "columns    user 'u', item 'i', rating 'stars'",
        "dropped    1,200 rows with rating 3.5 or less",
        "dropped    30 rows that repeat a user and item (merged into one interaction)",
        "dropped    1 item with fewer than 2 interactions",
        "dropped    4 users with fewer than 5 interactions",
        "dropped    1 interaction of held-out users with items unseen in training",
        "kept       13 interactions of 6 users x 4 items (54 % of all pairs)",
        "users      3 train, 2 validation, 1 test",
    ]
    assert lines[-1].startswith("note       1 ")
    assert lines[-1].endswith("with nothing to predict or nothing to go by, not scored")


def test_what_was_guessed_left_out_or_odd_is_said(split: Split) -> None:
    source = {
        "columns": {"user": "uid", "item": "sid"}, "guessed": ["item"], "rows_without_id": 2, "notes": ["odd ids"]
    }  # fmt: skip
    columns = "columns    user 'uid', item 'sid' (a guess; --item-column says)"
    lines = describe(split, {"counts": COUNTS, "options": OPTIONS, "source": source})
    assert columns in lines
    assert "left out   2 rows whose id --missing names" in lines
    assert "note       odd ids" in lines
    assert reading_notes(source) == [columns, "2 rows left out, whose id --missing names", "odd ids"]
    assert reading_notes({"columns": {"user": "u", "item": "i"}}) == []


def test_what_did_not_happen_is_not_said(split: Split) -> None:
    kept = [
        "kept       13 interactions of 6 users x 4 items (54 % of all pairs)",
        "users      3 train, 2 validation, 1 test",
    ]
    nothing_dropped = {name: 13 if name == "rows" else 0 for name in COUNTS}
    assert describe(split, {"counts": nothing_dropped, "options": OPTIONS}) == ["read       13 rows", *kept]
    for nothing_known in ({}, {"counts": None, "options": None}, {"source": {"format": "pro_sg"}}):
        assert describe(split, nothing_known) == kept


def test_ratings_that_do_not_count_are_mentioned_by_their_columns_name(split: Split) -> None:
    rated = {"columns": {"user": "u", "item": "i", "rating": "stars"}}
    unrated = {"columns": {"user": "u", "item": "i"}}
    said = "note       every row counts whatever its 'stars'; --min-rating R keeps only those above R"
    assert describe(split, {"source": rated})[-1] == said
    assert describe(split, {"source": rated, "options": {"min_rating": None}})[-1] == said
    # A threshold of 0 is one.
    for source, options in ((rated, {"min_rating": 0.0}), (unrated, {"min_rating": None})):
        lines = describe(split, {"source": source, "options": options})
        assert not any("every row counts" in line for line in lines)


def test_silent_users_of_both_groups_have_a_line_each(split: Split) -> None:
    counts = {"valid_users_with_nothing_to_score": 2, "test_users_with_nothing_to_score": 1_000}
    notes = [line for line in describe(split, {"counts": counts}) if line.startswith("note")]
    assert ["2 valid" in notes[0], "1,000 test users" in notes[1], len(notes)] == [True, True, 2]


def test_a_sparse_data_set_keeps_two_digits_of_its_density() -> None:
    few = HeldOutUsers(matrix([1], 3000), matrix([0], 3000))
    lines = describe(Split(matrix([2] * 998, 3000), few, few, np.arange(1000), np.arange(3000)), {})
    assert "(0.067 % of all pairs)" in lines[0]  # (2 * 998 + 2) / 3e6
    assert lines[0].startswith("kept       1,998 interactions of 1,000 users x 3,000 items")


def test_the_account_adds_up() -> None:
    """Rows read, less those that are said to be dropped, are the interactions that are said to be kept."""
    random = np.random.default_rng(3)
    users, items = random.integers(80, size=3000), random.integers(40, size=3000)
    ratings = random.integers(1, 6, size=3000).astype(np.float64)
    table = InteractionTable(
        users.astype(np.int32), items.astype(np.int32), ratings, np.arange(80), np.arange(40)
    )
    split, counts = split_users(table, SplitOptions(min_rating=2.0, held_out_users=8))
    lines = describe(split, {"counts": asdict(counts), "options": {"min_rating": 2.0}})
    read, kept = (next(number(line) for line in lines if line.startswith(word)) for word in ("read", "kept"))
    dropped = [number(line) for line in lines if line.startswith("dropped")]
    assert len(dropped) == 2, "rows by their rating and repeated rows, in a table so dense"
    assert read - sum(dropped) == kept
    passing = ratings > 2
    assert kept == len(set(zip(users[passing].tolist(), items[passing].tolist(), strict=True)))


def number(line: str) -> int:
    return int(line[11:].split()[0].replace(",", ""))


def test_facts_are_the_data_in_numbers(split: Split) -> None:
    protocol = {"source": {"path": "a.csv"}, "preset": "ml-1m", "options": OPTIONS, "counts": COUNTS}
    assert facts(split, protocol) == {
        "fingerprint": split.fingerprint,
        "source": "a.csv",
        "preset": "ml-1m",
        "options": OPTIONS,
        "n_users": {"train": 3, "valid": 2, "test": 1},
        "n_items": 4,
        "n_interactions": 6,
    }


def test_the_folder_one_stands_in_has_a_name(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    assert facts(split, {"source": {"path": "."}})["source"] == "mine"


def test_facts_without_a_protocol_are_those_of_the_data(split: Split) -> None:
    found = facts(split, {})
    assert (found["source"], found["preset"], found["options"]) == (None, None, None)
    assert json.loads(json.dumps(found)) == found
    assert found == facts(split, {"source": None})


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"path": "/home/me/secret/clicks.csv", "format": "csv"}, "clicks.csv"),
        ({"path": "../clicks.csv.gz"}, "clicks.csv.gz"),
        ({"path": "/home/me/ml-20m/"}, "ml-20m"),
        ({"path": "/home/me/ml-20m.zip:ml-20m/ratings.csv"}, "ratings.csv"),
        ({"format": "synthetic", "users": 3, "seed": 0}, "synthetic"),
        ({}, None),
        ("synthetic", "synthetic"),
    ],
)
def test_a_source_is_told_without_the_way_to_it(source: Any, told: str | None, split: Split) -> None:
    # A model's folder is given to others; where its maker keeps files is nobody's business.
    found = facts(split, {"source": source})
    assert found["source"] == told
    assert "/home" not in json.dumps(found)


@pytest.mark.parametrize("source", ["demo", None, {"columns": None}, {"format": "frame"}])
def test_a_source_without_columns_is_accounted_for_all_the_same(split: Split, source: Any) -> None:
    # A search's synthetic data says `"source": "demo"`: its account ended in an AttributeError.
    lines = describe(split, {"counts": COUNTS, "options": OPTIONS, "source": source})
    assert any(line.startswith("kept") for line in lines)
    assert not any("whatever its" in line for line in lines)
