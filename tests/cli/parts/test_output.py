"""Scores as they are printed: a line a group or a seed, means beside how well they are known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distrecvae.cli.parts.output import print_scores, print_seeds
from distrecvae.evaluation import Evaluation
from distrecvae.metrics import METRICS, title_of

# Each metric's values differ, so that one in another's place is seen.
VALUES = {
    "ndcg_100": [0.1, 0.2, 0.6, 0.7],
    "recall_20": [0.0, 0.25, 1.0, 0.5],
    "recall_50": [0.5, 0.5, 1.0, 1.0],
}


def evaluation(values: dict[str, list[float]], n_skipped: int = 0) -> Evaluation:
    n_users = len(values["ndcg_100"])
    arrays = {name: np.array(column, dtype=np.float64) for name, column in values.items()}
    return Evaluation(arrays, np.arange(n_users, dtype=np.int64), n_skipped)


def test_every_metric_has_a_title() -> None:
    assert [title_of(name) for name in METRICS] == ["NDCG@100", "Recall@20", "Recall@50"]


def test_a_groups_line_has_each_mean_and_its_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    print_scores({"test": evaluation(VALUES)})
    (line,) = capsys.readouterr().out.splitlines()
    expected = []
    for name, values in VALUES.items():
        mean = math.fsum(values) / 4
        # Over n, not n - 1: as published.
        error = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / 4) / math.sqrt(4)
        expected.append(f"{title_of(name)} {mean:.4f} ± {error:.4f}")
    assert line == f"test   {'   '.join(expected)}   (4 users)"


def test_groups_are_printed_in_their_order_and_stand_below_each_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = {name: [1.0] for name in VALUES}
    print_scores({"valid": evaluation(other), "test": evaluation(VALUES)})
    valid, test = capsys.readouterr().out.splitlines()
    assert valid.startswith("valid  NDCG@100 1.0000 ± 0.0000   Recall@20 1.0000 ± 0.0000   Recall@50 1.0000")
    assert test.startswith("test   NDCG@100 0.4000")
    assert valid.index("NDCG") == test.index("NDCG")


def test_users_that_were_left_out_are_said_only_where_there_are_any(
    capsys: pytest.CaptureFixture[str],
) -> None:
    many = {name: [0.5] * 1234 for name in VALUES}
    print_scores({"test": evaluation(many, n_skipped=5678)})
    print_scores({"test": evaluation(many, n_skipped=1)})
    print_scores({"test": evaluation(many)})
    tails = [line.rpartition("   ")[2] for line in capsys.readouterr().out.splitlines()]
    assert tails == ["(1,234 users, 5,678 left out)", "(1,234 users, 1 left out)", "(1,234 users)"]


def test_a_group_without_users_is_said_and_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    print_scores({"test": evaluation({name: [] for name in VALUES}, n_skipped=7)})
    line = capsys.readouterr().out
    assert "NDCG@100 n/a   Recall@20 n/a   Recall@50 n/a" in line
    assert line.endswith("(0 users, 7 left out)\n")


def summary(seeds: list[int], best: int) -> dict[str, Any]:
    """Return scores such that each can be told by its digits: metric, group, seed."""

    def score(group: int, metric: int, place: int) -> float:
        return 0.1 * (metric + 1) + 0.01 * group + 0.001 * (place + 1)

    groups = {
        group: {
            "mean": {name: 0.5 + 0.1 * m + 0.01 * g for m, name in enumerate(METRICS)},
            "standard_error": {name: 0.005 + 0.001 * m + 0.0001 * g for m, name in enumerate(METRICS)},
            "per_seed": {
                name: [score(g, m, place) for place in range(len(seeds))] for m, name in enumerate(METRICS)
            },
        }
        for g, group in enumerate(("valid", "test"))
    }
    return {"seeds": seeds, "best_seed": best, "selected_by": "valid/ndcg_100", **groups}


def test_seeds_have_a_row_each_and_their_mean_below_them(capsys: pytest.CaptureFixture[str]) -> None:
    print_seeds(Path("runs/five"), summary([5, 12], best=12))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:8]] == [
        ["valid", "NDCG@100", "Recall@20", "Recall@50"],
        ["seed", "5", "0.1010", "0.2010", "0.3010"],
        ["seed", "12", "0.1020", "0.2020", "0.3020"],
        ["mean", "0.5000", "±", "0.0050", "0.6000", "±", "0.0060", "0.7000", "±", "0.0070"],
        ["test", "NDCG@100", "Recall@20", "Recall@50"],
        ["seed", "5", "0.1110", "0.2110", "0.3110"],
        ["seed", "12", "0.1120", "0.2120", "0.3120"],
        ["mean", "0.5100", "±", "0.0051", "0.6100", "±", "0.0061", "0.7100", "±", "0.0071"],
    ]
    assert len({len(line) for line in lines[:8]}) == 1, "columns stand below each other"
    assert lines[8].startswith("± is the standard error over seeds")


def test_it_is_said_where_the_scores_and_the_best_seeds_model_lie(capsys: pytest.CaptureFixture[str]) -> None:
    print_seeds(Path("runs/five"), summary([5, 12, 13], best=12))
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "",
        "scores   runs/five/metrics.json",
        "model    runs/five/seed-12/best (the best seed on validation users)",
    ]
