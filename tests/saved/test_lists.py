"""Lists of many users: restricted, with a fallback, and the items most like one."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import distrecvae
from distrecvae.cli import main
from distrecvae.data.days.matching import KnownIds
from distrecvae.errors import ConfigError, DataError
from distrecvae.models.ease import EASEConfig
from distrecvae.models.popularity import PopularityConfig
from distrecvae.recommendation import Likening
from distrecvae.saved.lists import NOTES, most_alike
from distrecvae.saved.model import LoadedModel, save_model
from distrecvae.training import registry
from tests.training.checkerboard import checkerboard
from tests.training.test_registry import EAGER, SMALL
from tests.whole.test_recommending import WEIGHT

IDS = np.array([10, 20, 30, 40])


@pytest.fixture
def model(tmp_path: Path) -> LoadedModel:
    """Return EASE by hand: 10 speaks for 20, 20 for 30, 30 for 10; 40 is what most users have."""
    save_model(
        tmp_path / "model", model="ease", config=EASEConfig(), state={"weight": WEIGHT}, item_ids=IDS, metrics={},
        item_counts=np.array([1, 3, 2, 9]),
    )  # fmt: skip
    NOTES.given = True  # what is left out is not this test's matter
    return distrecvae.load(tmp_path / "model")


def rows(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    return [tuple(row) for row in frame.itertuples(index=False)]


def test_nothing_but_what_is_allowed_and_nothing_denied(model: LoadedModel) -> None:
    histories = {"ann": [10], "bob": [20, 30]}
    assert rows(model.recommend(histories, allow=[30, 40, 99])) == [
        ("ann", 1, 30, 1), ("ann", 2, 40, 0), ("bob", 1, 40, 0)
    ]  # fmt: skip
    assert rows(model.recommend(histories, deny=[20], top=1)) == [("ann", 1, 30, 1), ("bob", 1, 10, 3)]
    assert rows(model.recommend(histories, allow=[10], include_seen=True)) == [
        ("ann", 1, 10, 0), ("bob", 1, 10, 3)
    ]  # fmt: skip


def test_users_without_a_history_get_what_is_popular_and_a_column_says_so(model: LoadedModel) -> None:
    frame = model.recommend({"new": [], "ann": [10], "odd": [99]}, top=2, fallback="popularity")
    assert list(frame.columns) == ["user_id", "rank", "item_id", "score", "source"]
    assert rows(frame) == [
        ("ann", 1, 20, 3, "model"), ("ann", 2, 30, 1, "model"),
        ("new", 1, 40, 9, "popularity"), ("new", 2, 20, 3, "popularity"),
        ("odd", 1, 40, 9, "popularity"), ("odd", 2, 20, 3, "popularity"),
    ]  # fmt: skip
    nobody = model.recommend({"new": []}, top=1, fallback="popularity", deny=[40])
    assert rows(nobody) == [("new", 1, 20, 3, "popularity")]


def test_what_a_user_rated_low_is_not_popular_with_that_user(model: LoadedModel) -> None:
    low = pd.DataFrame({"user_id": [1, 1], "item_id": [40, 10], "rating": [1, 2]})
    assert rows(model.recommend(low, top=1, min_rating=3, fallback="popularity")) == [
        (1, 1, 20, 3, "popularity")
    ]


def test_a_folder_that_does_not_say_what_is_popular_refuses(tmp_path: Path, model: LoadedModel) -> None:
    save_model(
        tmp_path / "old",
        model="ease",
        config=EASEConfig(),
        state={"weight": WEIGHT},
        item_ids=IDS,
        metrics={},
    )
    with pytest.raises(ConfigError, match="does not say what is popular, an older version wrote it"):
        distrecvae.load(tmp_path / "old").recommend([[10]], fallback="popularity")
    with pytest.raises(ConfigError, match="fallback is 'random'; it must be one of popularity"):
        model.recommend([[10]], fallback="random")


def test_one_warning_a_process(model: LoadedModel) -> None:
    NOTES.given = False
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.recommend({"ann": [10]})
        model.recommend({"new": []}, fallback="popularity")
        model.recommend({"new": [98]})
    (said,) = caught
    assert str(said.message) == "1 user given popularity: no item that the model knows ('new')"
    assert said.filename == __file__


def test_the_command_does_the_same(
    model: LoadedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "h.csv").write_text("user_id,item_id\nann,10\nodd,99\n")
    (tmp_path / "deny.txt").write_text("20\n")
    out = tmp_path / "r.csv"
    with pytest.raises(SystemExit) as ended:
        main([
            "recommend", "--model", str(tmp_path / "model"), "--histories", str(tmp_path / "h.csv"), "--out", str(out),
            "--top", "1", "--deny", str(tmp_path / "deny.txt"), "--fallback", "popularity",
        ])  # fmt: skip
    assert ended.value.code == 0
    assert rows(pd.read_csv(out)) == [("ann", 1, 30, 1, "model"), ("odd", 1, 40, 9, "popularity")]
    assert "1 user given popularity" in capsys.readouterr().err


def test_similar_items_are_those_of_the_weights(model: LoadedModel) -> None:
    assert rows(model.similar(10, top=2)) == [(1, 20, 3.0), (2, 30, 1.0)]
    assert rows(model.similar("20", top=9)) == [(1, 30, 3.0), (2, 10, 0.0), (3, 40, 0.0)]
    with pytest.raises(DataError, match="the model does not know the item 99"):
        model.similar(99)
    with pytest.raises(ConfigError, match="top is 0"):
        model.similar(10, top=0)


def test_popularity_tells_no_likeness(tmp_path: Path) -> None:
    save_model(
        tmp_path / "p", model="popularity", config=PopularityConfig(), state={"counts": torch.ones(4)}, item_ids=IDS,
        metrics={},
    )  # fmt: skip
    with pytest.raises(ConfigError, match="popularity does not tell which items are alike"):
        distrecvae.load(tmp_path / "p").similar(10)


@pytest.mark.parametrize("name", [each for each in registry.models() if each != "popularity"])
def test_on_a_checkerboard_items_alike_are_of_one_colour(name: str) -> None:
    train, _ = checkerboard()
    config = registry.config_from_dict(name, SMALL.get(name, {}) | EAGER.get(name, {}))
    trainer = registry.make_trainer(name, config, train, seed=1)
    # NBVAE, whose counts come from two layers, tells colours apart later than the others.
    while trainer.passes < (400 if name == "nbvae" else 60) and not trainer.solved:
        trainer.step()
    assert isinstance(trainer.model, Likening), (
        f"give {name} a method `likeness` (`cosines` of its items' vectors)"
    )
    found, likeness = most_alike(trainer.model, KnownIds(np.arange(24)), 4, 5)
    assert (found % 2 == 0).all(), "items of even users are even"
    assert 4 not in found
    assert (np.diff(likeness) <= 0).all()
