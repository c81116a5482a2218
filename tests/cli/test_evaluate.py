"""`distrecvae evaluate`: the held-out users' scores of a saved model, worked out here once more by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distrecvae.cli import main
from distrecvae.cli.evaluate import command
from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.io import load_dataset, save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.models.popularity import PopularityConfig, solve_popularity
from distrecvae.saved.model import save_model

SPLIT = synthetic_split(n_users=200, n_items=60, seed=3)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a data set and a results folder whose best model is Popularity."""
    folder = tmp_path_factory.mktemp("place")
    save_dataset(SPLIT, folder / "data", {})
    save_model(
        folder / "run" / "best",
        model="popularity",
        config=PopularityConfig(),
        state=solve_popularity(PopularityConfig(), SPLIT.train),
        item_ids=SPLIT.item_ids,
        metrics={},
    )
    return folder


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """Return how many threads were asked for; nothing is changed in this process."""
    asked: list[int | None] = []
    monkeypatch.setattr("distrecvae.training.device.use_threads", asked.append)
    return asked


def run(*options: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *map(str, options)])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def ndcg_100(users: HeldOutUsers) -> tuple[float, float, int]:
    """Return the mean NDCG@100 of Popularity, its standard error and the number of users, by the definition."""
    counts = np.bincount(SPLIT.train.indices, minlength=SPLIT.n_items)
    ranked = sorted(range(SPLIT.n_items), key=lambda item: (-counts[item], item))
    scores = []
    for user in range(users.n_users):
        shown, hidden = (
            set(part.indices[part.indptr[user] : part.indptr[user + 1]].tolist())
            for part in (users.fold_in, users.held_out)
        )
        if not shown or not hidden:
            continue
        left = [item for item in ranked if item not in shown][:100]
        gained = sum(1 / math.log2(rank + 2) for rank, item in enumerate(left) if item in hidden)
        scores.append(gained / sum(1 / math.log2(rank + 2) for rank in range(min(100, len(hidden)))))
    return float(np.mean(scores)), float(np.std(scores)) / math.sqrt(len(scores)), len(scores)


@pytest.mark.parametrize(
    ("options", "name", "users"),
    [
        ([], "test", SPLIT.test),
        (["--group", "test"], "test", SPLIT.test),
        (["--group", "valid"], "valid", SPLIT.valid),
    ],
    ids=["by default", "test", "valid"],
)
def test_the_scores_are_those_of_the_group_of_users(
    options: list[str], name: str, users: HeldOutUsers, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--model", place / "run/best", "--data", place / "data", *options) == 0
    (line,) = capsys.readouterr().out.splitlines()
    mean, error, counted = ndcg_100(users)
    assert line.split()[0] == name
    assert f"NDCG@100 {mean:.4f} ± {error:.4f}" in line
    assert f"({counted} users" in line


def test_a_results_folder_stands_for_the_best_model_in_it(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for model in ("run", "run/best"):
        assert run("--model", place / model, "--data", place / "data") == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


def test_other_users_of_the_same_items_are_scored(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swapped = replace(SPLIT, valid=SPLIT.test, test=SPLIT.valid)
    save_dataset(swapped, tmp_path / "swapped", {})
    assert run("--model", place / "run", "--data", tmp_path / "swapped") == 0
    assert f"NDCG@100 {ndcg_100(SPLIT.valid)[0]:.4f}" in capsys.readouterr().out


def fewer(split: Split) -> Split:
    return synthetic_split(n_users=200, n_items=50, seed=3)


def reordered(split: Split) -> Split:
    return replace(split, item_ids=split.item_ids[::-1].copy())


@pytest.mark.parametrize("change", [fewer, reordered])
def test_items_that_are_not_the_models_in_its_order_are_refused(
    change: Callable[[Split], Split], place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # In another order each score would be another item's, and the numbers would look like any.
    save_dataset(change(SPLIT), tmp_path / "other", {})
    n_items = len(load_dataset(tmp_path / "other").item_ids)
    assert run("--model", place / "run", "--data", tmp_path / "other") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"error: {place / 'run'} knows 60 items and {tmp_path / 'other'} has {n_items}, not the same ones in the same"
        " order; score it on the data set it was trained on\n"
    )


def test_threads_are_asked_for_and_left_alone_otherwise(place: Path, threads: list[int | None]) -> None:
    arguments = ("--model", place / "run", "--data", place / "data")
    assert run(*arguments, "--threads", 3) == 0
    assert run(*arguments) == 0
    assert threads == [3, None]


def test_a_device_is_checked_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--model", tmp_path / "absent", "--data", tmp_path / "absent", "--device", "nonsense") == 2
    assert "'nonsense' cannot be used" in capsys.readouterr().err


def test_what_it_takes_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert {option.name for option in command.params if option.required} == {"folder", "data"}
    assert run("--data", "data") == 2
    assert "--model" in capsys.readouterr().err
