"""`distrecvae evaluate`: the held-out users' scores of a saved model, worked out here once more by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distrecvae.cli import main
from distrecvae.cli.evaluate import command
from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.io import save_dataset
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


def test_the_same_items_in_another_order_are_the_same(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # By position each score would be another item's, and the numbers would look like any. Equal counts are ranked by
    # the model's positions, whatever the data's are.
    order = np.random.default_rng(0).permutation(SPLIT.n_items)
    to = np.argsort(order)

    def moved(part: InteractionMatrix) -> InteractionMatrix:
        users = np.repeat(np.arange(part.n_users), part.counts())
        return InteractionMatrix.from_pairs(
            users, to[part.indices], n_users=part.n_users, n_items=part.n_items
        )

    valid, test = (HeldOutUsers(moved(g.fold_in), moved(g.held_out)) for g in (SPLIT.valid, SPLIT.test))
    save_dataset(
        Split(moved(SPLIT.train), valid, test, SPLIT.user_ids, SPLIT.item_ids[order]), tmp_path / "moved", {}
    )
    assert run("--model", place / "run", "--data", tmp_path / "moved") == 0
    out, err = capsys.readouterr()
    assert f"NDCG@100 {ndcg_100(SPLIT.test)[0]:.4f}" in out
    assert err == ""


def test_what_the_model_does_not_know_is_counted(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [f"x{id_}" if n < 20 else str(id_) for n, id_ in enumerate(SPLIT.item_ids.tolist())]
    save_dataset(replace(SPLIT, item_ids=np.array(ids, dtype=object)), tmp_path / "other", {})
    assert run("--model", place / "run", "--data", tmp_path / "other") == 0
    out, err = capsys.readouterr()
    assert out.startswith("test   NDCG@100 0.")
    assert err.splitlines()[0].startswith(f"{place / 'run'}: knows 40 of the 60 items: ")
    assert "held-out ones count as misses" in err
    save_dataset(synthetic_split(n_users=200, n_items=50, seed=3), tmp_path / "fewer", {})
    assert run("--model", place / "run", "--data", tmp_path / "fewer") == 0
    assert "items of the model not in the data, and not ranked" in capsys.readouterr().err


def test_nothing_in_common_is_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = np.array([f"x{id_}" for id_ in SPLIT.item_ids.tolist()], dtype=object)
    save_dataset(replace(SPLIT, item_ids=strange), tmp_path / "other", {})
    assert run("--model", place / "run", "--data", tmp_path / "other") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {place / 'run'} knows none of the 60 items of {tmp_path / 'other'}")
    assert err.count("\n") == 1


def test_against_an_earlier_model_the_last_line_decides(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    least = {"counts": -solve_popularity(PopularityConfig(), SPLIT.train)["counts"]}
    save_model(
        tmp_path / "worse", model="popularity", config=PopularityConfig(), state=least, item_ids=SPLIT.item_ids,
        metrics={},
    )  # fmt: skip
    both = ("--data", place / "data", "--group", "test")
    assert run("--model", place / "run", "--against", tmp_path / "worse", *both) == 0
    new, old, verdict = capsys.readouterr().out.splitlines()
    mean, error, _ = ndcg_100(SPLIT.test)
    assert new.startswith(f"new    NDCG@100 {mean:.4f} ± {error:.4f}")
    assert old.startswith("old    NDCG@100 0.")
    assert verdict.startswith("ship it: the model is better than the earlier one (NDCG@100 +0.")
    assert run("--model", tmp_path / "worse", "--against", place / "run", *both) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("keep: the earlier model is better")
    assert run("--model", place / "run", "--against", place / "run", *both) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("keep: no difference beyond chance")


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
