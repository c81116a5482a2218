"""The blend of a comparison: of its searches' best models, in its folder, and never what a comparison fails by."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distrecvae.blending.facts import read_facts
from distrecvae.data.dataset import Split
from distrecvae.data.io import load_dataset
from distrecvae.data.summary import facts
from distrecvae.errors import ConfigError
from distrecvae.evaluation import evaluate
from distrecvae.models.ease import EASEConfig, solve_ease
from distrecvae.saved.model import load_model, save_model
from distrecvae.search.comparison import blending
from distrecvae.search.comparison.blending import blend_searches, require_room_for_a_blend
from distrecvae.search.comparison.row import Row, valid_mean
from tests import ROOT

KEPT = ROOT / "tests" / "kept"


@pytest.fixture(scope="module")
def split() -> Split:
    return load_dataset(KEPT / "data")


def row(folder: Path, split: Split) -> Row:
    loaded = load_model(folder)
    valid, test = (evaluate(loaded.recommender, users) for users in (split.valid, split.test))
    return Row(folder.name, loaded.model, {}, valid, test, 1, 1.0, 1.0, loaded.n_parameters)


@pytest.fixture
def rows(tmp_path: Path, split: Split) -> list[Row]:
    """Return the rows of a search and of an EASE in the place of another."""
    shutil.copytree(KEPT / "search-2", tmp_path / "recvae")
    save_model(
        tmp_path / "ease", model="ease", config=EASEConfig(regularization=5.0),
        state=solve_ease(EASEConfig(regularization=5.0), split.train), item_ids=split.item_ids, metrics={},
        data=facts(split, {}),
    )  # fmt: skip
    return [row(tmp_path / name, split) for name in ("recvae", "ease")]


def blended(rows: list[Row], folder: Path, split: Split, check: Callable[[], None] = lambda: None) -> str:
    return blend_searches(rows, folder, split, data=str(KEPT / "data"), metric="ndcg_100", check=check)


def test_the_best_models_are_blended_into_the_comparisons_folder(
    rows: list[Row], tmp_path: Path, split: Split
) -> None:
    for _ in range(2):  # a comparison that is resumed is blended again
        text = blended(rows, tmp_path, split)
    found = read_facts(tmp_path / "blend")
    assert {each.name for each in found.candidates} == {"recvae trial 5", "ease"}
    assert text.startswith("Blended: " if len(found.members) > 1 else "No blend is better")
    assert max(map(len, text.splitlines())) <= 100
    assert load_model(tmp_path / "blend").data["fingerprint"] == split.fingerprint
    assert found.test is not None
    assert np.isclose(
        evaluate(load_model(tmp_path / "blend").recommender, split.test).mean("ndcg_100"), found.test
    )


def test_a_single_model_is_not_blended(rows: list[Row], tmp_path: Path, split: Split) -> None:
    assert blended(rows[:1], tmp_path, split) == ""
    assert not (tmp_path / "blend").exists()


def test_only_the_best_on_validation_users_are_candidates(
    rows: list[Row], tmp_path: Path, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blending, "MOST_CANDIDATES", 1)
    blended(rows, tmp_path, split)
    best = max(rows, key=lambda each: valid_mean(each, "ndcg_100")).name
    (only,) = read_facts(tmp_path / "blend").candidates
    assert only.name.split()[0] == best


def test_what_cannot_be_blended_is_said_and_the_comparison_stands(
    rows: list[Row], tmp_path: Path, split: Split
) -> None:
    (tmp_path / "blend").mkdir()
    (tmp_path / "blend" / "mine.txt").write_text("x")
    text = " ".join(blended(rows, tmp_path, split).split())
    assert text.startswith("No blend was made: ")
    assert "is not empty" in text


def test_an_interruption_is_heard_and_leaves_nothing(rows: list[Row], tmp_path: Path, split: Split) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        blended(rows, tmp_path, split, interrupted)
    assert not (tmp_path / "blend").exists()


def test_a_search_of_the_blends_name_is_refused() -> None:
    require_room_for_a_blend(["recvae", "ease"])
    with pytest.raises(ConfigError, match="'blend' is where the comparison's blend lies; rename the space"):
        require_room_for_a_blend(["recvae", "blend"])
