"""`distrecvae recommend` as it is typed: what it writes, what it says, and one line for whatever is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from distrecvae.cli import main
from distrecvae.models.ease import EASEConfig
from distrecvae.saved.model import save_model

Run = Callable[[str], tuple[int, str, str]]

N_ITEMS = 30


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    weight = torch.rand(N_ITEMS, N_ITEMS, generator=torch.Generator().manual_seed(0))
    save_model(
        tmp_path / "runs" / "mine" / "best",
        model="ease",
        config=EASEConfig(),
        state={"weight": weight},
        item_ids=np.array([f"i{n}" for n in range(N_ITEMS)], dtype=object),
        metrics={},
        data={"options": {"min_rating": 3.5}},
    )
    pd.DataFrame({"userId": [9, 9, 9, 7, 7, 5], "movieId": ["i3", "i4", "i3", "i5", "new", "new"]}).to_csv(
        "clicks.csv", index=False
    )
    np.save("weight.npy", weight.numpy())

    def call(line: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["recommend", *line.split()])
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


def expected(items: list[int], top: int, *, hide: list[int]) -> list[str]:
    """Return the best items by NumPy: the sum of their weights, those hidden taken out."""
    scores = np.load("weight.npy")[items].astype(np.float64).sum(axis=0)
    scores[hide] = -np.inf
    return [f"i{n}" for n in np.argsort(-scores, kind="stable")[:top]]


def test_each_users_best_items_are_written(run: Run) -> None:
    status, out, err = run("--model runs/mine --histories clicks.csv --top 7 --out recs.parquet")
    assert status == 0
    frame = pd.read_parquet("recs.parquet")
    assert list(frame.columns) == ["user_id", "rank", "item_id", "score"]
    assert frame["user_id"].tolist() == [7] * 7 + [9] * 7
    assert frame["rank"].tolist() == [1, 2, 3, 4, 5, 6, 7] * 2
    assert frame["item_id"].tolist() == expected([5], 7, hide=[5]) + expected([3, 4], 7, hide=[3, 4])
    assert err.splitlines() == [
        "1 item unknown to the model (such as 'new'): 2 rows ignored",
        "1 user left out: no item that the model knows (5)",
    ]
    assert out.startswith("2 users, at most 7 items each: recs.parquet (14 rows")


def test_what_was_seen_is_included_on_demand_and_csv_is_written(run: Run) -> None:
    assert run("--model runs/mine/best --histories clicks.csv --include-seen --out r.csv")[0] == 0
    frame = pd.read_csv("r.csv")
    assert len(frame) == 2 * N_ITEMS
    assert frame["item_id"].tolist()[N_ITEMS:] == expected([3, 4], N_ITEMS, hide=[])


def test_ratings_are_held_to_the_models_threshold(run: Run) -> None:
    pd.DataFrame({"u": [1, 1], "it": ["i1", "i2"], "r": [4.0, 3.0]}).to_parquet("rated.parquet")
    columns = "--user-column u --item-column it --rating-column r"
    line = f"--model runs/mine --histories rated.parquet {columns} --top 5 --out r.csv"
    _, _, err = run(line)
    assert "ratings above 3.5 count, as in the model's training data" in err
    assert pd.read_csv("r.csv")["item_id"].tolist() == expected([1], 5, hide=[1, 2])
    _, _, err = run(f"{line} --min-rating=-inf")
    assert "count" not in err
    assert pd.read_csv("r.csv")["item_id"].tolist() == expected([1, 2], 5, hide=[1, 2])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--model nowhere --histories clicks.csv --out r.csv", "nowhere does not exist; give a folder"),
        ("--model runs --histories clicks.csv --out r.csv", "runs holds no model"),
        ("--model runs/mine --histories no.csv --out r.csv", "no.csv"),
        ("--model runs/mine --histories clicks.csv --out r.txt", "r.txt tells no format"),
        ("--model runs/mine --histories clicks.csv --out clicks.csv", "is the file of histories"),
        ("--model runs/mine --histories clicks.csv --out r.csv --item-column nam", "no column 'nam' (--item-column)"),
        ("--model runs/mine --histories clicks.csv --out r.csv --item-column userId --user-column movieId",
         "no user of clicks.csv has an item that counts (the model's ids are like 'i0', 'i1', 'i2'); look at"),
        ("--model runs/mine --histories clicks.csv --out r.csv --min-rating 3", "the histories have no ratings"),
        ("--model runs/mine --histories clicks.csv --out r.csv --device cuda:77", "device 'cuda:77'"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_line_and_leaves_nothing(run: Run, line: str, message: str) -> None:
    before = Path("clicks.csv").read_text()
    status, _, err = run(line)
    assert status == 2
    assert message in err.splitlines()[-1]
    assert not Path("r.csv").exists()
    assert Path("clicks.csv").read_text() == before
