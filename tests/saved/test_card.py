"""The model card: what lies in the folder in words, the same each time."""

from __future__ import annotations

from typing import Any

from distrecvae.saved.card import model_card

SUMMARY = {
    "mean": {"ndcg_100": 0.45678, "recall_20": 0.4},
    "standard_error": {"ndcg_100": 0.00512, "recall_20": 0.01},
    "n_evaluated": 1234,
    "n_skipped": 5,
}
GIVEN: dict[str, Any] = {
    "model": "recvae",
    "config": {"latent_dim": 64, "learning_rate": 0.00048372617, "beta": None, "mixture_weights": [0.5, 0.25, 0.25]},
    "n_items": 3210,
    "metrics": {"selected_by": "valid/ndcg_100", "valid": SUMMARY, "test": {**SUMMARY, "n_evaluated": 1200}},
    "data": {
        "fingerprint": "abc123",
        "source": "clicks|x.csv",
        "preset": None,
        "options": {"min_rating": 3.5, "seed": 98765},
        "n_users": {"train": 4000, "valid": 1239, "test": 1205},
        "n_items": 3210,
        "n_interactions": 99999,
    },
    "written_with": {"distrecvae": "9.8.7", "PyTorch": "2.13.0"},
}  # fmt: skip


def test_it_says_all_that_the_folder_knows() -> None:
    card = model_card(**GIVEN)
    for line in (
        "# recvae: a model that recommends from 3,210 items",
        "| NDCG@100 | 0.4568 ± 0.0051 | 0.4568 ± 0.0051 |",
        "| users | 1,234 | 1,200 |",
        "| left out | 5 | 5 |",
        "| fingerprint | abc123 |",
        "| source | clicks/x.csv |",  # a bar would end its cell
        "| train users | 4,000 |",
        "| validation users | 1,239 |",
        "| test users | 1,205 |",
        "| `min_rating` | 3.5 |",
        "| `learning_rate` | 0.00048372617 |",
        "| `beta` | none |",
        "| `mixture_weights` | 0.5, 0.25, 0.25 |",
        "| distrecvae | 9.8.7 |",
        'model = distrecvae.load(".")  # this folder',
    ):
        assert line in card.splitlines(), line
    assert "chosen by NDCG@100 on validation users" in card


def test_it_is_the_same_each_time_and_ends_in_one_newline() -> None:
    assert model_card(**GIVEN) == model_card(**GIVEN)
    assert model_card(**GIVEN).endswith(".\n")


def test_what_is_not_known_is_not_made_up() -> None:
    card = model_card(**{**GIVEN, "metrics": {}, "data": {}, "config": {}})
    assert "No scores were kept." in card
    assert "Not written down; the model has 3,210 items." in card
    assert "This model has none." in card
    assert "NDCG" not in card


def test_names_of_others_are_no_markup() -> None:
    """A source called `<img src=x onerror=...>.csv` was HTML in the card, and a line end in one ended its table."""
    data = {**GIVEN["data"], "source": "<img src=x onerror=alert(1)>\n# title\x1b[2J|x.csv"}
    (line,) = [line for line in model_card(**{**GIVEN, "data": data}).splitlines() if "img" in line]
    assert line == "| source | &lt;img src=x onerror=alert(1)&gt; # title\\x1b[2J/x.csv |"
