"""Splits in words."""

from __future__ import annotations

from distrecvae.data.splitting.words import in_words, split_notes


def test_each_split_is_said_to_be_what_it_is() -> None:
    published = in_words({"seed": 98765})
    assert published == in_words(None)
    assert published.startswith("Strong generalization (Liang et al., WWW 2018)")
    assert in_words({"held_out_by": "time"}) == f"{published} A held-out user's latest items are to be found."
    assert "two moments that hold for all" in in_words({"split": "global-time"})
    assert "the last 3 items are to be found" in in_words({"split": "leave-last", "leave": 3})
    assert "Split elsewhere" in in_words({"split": "brought"})


def test_what_people_should_know_has_a_line_each() -> None:
    assert split_notes({"counts": {"rows": 5}, "options": {"seed": 1}}) == []
    protocol = {
        "moments": {"valid_from": 1.0, "test_from": 2.0, "valid_from_written": "1", "test_from_written": "2"},
        "options": {"folds": 5, "fold": 2},
        "counts": {
            "users_with_too_few_to_leave": 1, "users_without_history": 2, "held_out_known": 3,
            "users_cut_within_a_moment": 4,
        },
    }  # fmt: skip
    assert split_notes(protocol) == [
        "moments    validation from 1 on, test from 2 on",
        "folds      fold 2 of 5 is tested; the same users validate all",
        "note       1 user has too few items to leave some, trained on only",
        "note       2 users with too little history before what they did later, not scored",
        "dropped    3 interactions to predict that the same user's history has",
        "note       of 4 users items of the same time are on both sides; which is which was drawn by the seed",
    ]
