"""Several seeds of one configuration: their folders, and their mean with its standard error."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any

import pytest

from distrecvae.errors import CheckpointError
from distrecvae.metrics import METRICS
from distrecvae.runs.seeds import SEEDS_FILE, read_seeds, seed_folder, summarize, write_seeds

SCORES = {3: (0.30, 0.21), 4: (0.34, 0.20), 9: (0.32, 0.25)}
"""By seed: the scores on validation and on test users."""


def finished(folder: Path, selected_by: str = "valid/ndcg_100", **scores_of: dict[int, float]) -> Path:
    """Write what finished runs leave: all metrics of a group are one number, but for those given."""
    for seed, scores in SCORES.items():
        best = seed_folder(folder, seed) / "best"
        best.mkdir(parents=True)
        document: dict[str, Any] = {"selected_by": selected_by, "passes": 4}
        for group, score in zip(("valid", "test"), scores, strict=True):
            mean = dict.fromkeys(METRICS, score)
            if group == "valid":
                mean |= {name: values[seed] for name, values in scores_of.items()}
            document[group] = {"mean": mean, "standard_error": dict.fromkeys(METRICS, 0.5)}
        (best / "metrics.json").write_text(json.dumps(document))
    return folder


def test_each_seed_has_a_folder_of_its_own(tmp_path: Path) -> None:
    assert seed_folder(tmp_path, 0) == tmp_path / "seed-0"
    assert len({seed_folder(tmp_path, seed) for seed in (0, 1, 10, 11)}) == 4


@pytest.mark.parametrize("seeds", [[0, 1, 2], (7, 3), range(5, 8)])
def test_seeds_are_read_back_in_their_order(seeds: Any, tmp_path: Path) -> None:
    write_seeds(tmp_path, seeds)
    assert read_seeds(tmp_path) == tuple(seeds)


def test_a_folder_of_a_single_run_or_none_has_no_seeds(tmp_path: Path) -> None:
    assert read_seeds(tmp_path) is None
    assert read_seeds(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "no list of seeds"),
        ('{"seeds": []}', "no list of seeds"),
        ('{"seeds": 3}', "no list of seeds"),
        ('{"seeds": [1, "2"]}', "no list of seeds"),
        ('{"seeds": [1, 2.5]}', "no list of seeds"),
        ("[1, 2]", "not a JSON object"),
        ('{"seeds": [1,', "is damaged"),
    ],
)
def test_a_damaged_file_is_told(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / SEEDS_FILE).write_text(content)
    with pytest.raises(
        CheckpointError, match=f"{SEEDS_FILE} is damaged .*; restore it or train again"
    ) as caught:
        read_seeds(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_summary_is_means_over_seeds_and_their_standard_errors(tmp_path: Path) -> None:
    summary = summarize(finished(tmp_path), list(SCORES))
    assert summary["seeds"] == [3, 4, 9]
    assert summary["selected_by"] == "valid/ndcg_100"
    for number, group in enumerate(("valid", "test")):
        scores = [pair[number] for pair in SCORES.values()]
        assert set(summary[group]) == {"mean", "standard_error", "per_seed"}
        for name in METRICS:
            assert summary[group]["per_seed"][name] == scores
            assert summary[group]["mean"][name] == pytest.approx(statistics.mean(scores))
            # With n - 1, for the seeds are a sample: not the error over users that each run has.
            error = statistics.stdev(scores) / math.sqrt(3)
            assert summary[group]["standard_error"][name] == pytest.approx(error)
    assert json.loads((tmp_path / "metrics.json").read_text()) == summary


def test_the_best_seed_is_chosen_on_validation_users_by_what_chose_the_models(tmp_path: Path) -> None:
    assert summarize(finished(tmp_path / "a"), list(SCORES))["best_seed"] == 4, "9 is the best on test users"
    others = finished(tmp_path / "b", "valid/recall_50", recall_50={3: 0.5, 4: 0.1, 9: 0.2})
    assert summarize(others, list(SCORES))["best_seed"] == 3


def test_of_equal_seeds_the_first_is_the_best(tmp_path: Path) -> None:
    folder = finished(tmp_path, ndcg_100={3: 0.1, 4: 0.5, 9: 0.5})
    assert summarize(folder, [3, 9, 4])["best_seed"] == 9


def test_only_the_seeds_that_are_asked_for_count(tmp_path: Path) -> None:
    summary = summarize(finished(tmp_path), [9, 3])
    assert summary["seeds"] == [9, 3]
    assert summary["valid"]["per_seed"]["ndcg_100"] == [0.32, 0.30]


def test_a_seed_that_is_not_finished_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"seed-5/best/metrics\.json does not exist"):
        summarize(finished(tmp_path), [3, 5])
    assert not (tmp_path / "metrics.json").exists()


@pytest.mark.parametrize("content", ['{"seeds": [true]}', '{"seeds": [0, false]}'])
def test_true_and_false_are_no_seeds(content: str, tmp_path: Path) -> None:
    # Python counts them among whole numbers: a folder of seed `true` was looked for.
    (tmp_path / SEEDS_FILE).write_text(content)
    with pytest.raises(CheckpointError, match="no list of seeds"):
        read_seeds(tmp_path)


def test_one_seed_has_a_mean_and_no_error(tmp_path: Path) -> None:
    # `--seeds 1`: its deviation with n - 1 was 0 / 0, a warning and then a file that could not be written.
    summary = summarize(finished(tmp_path), [4])
    assert summary["valid"]["mean"] == dict.fromkeys(METRICS, 0.34)
    assert summary["valid"]["standard_error"] == dict.fromkeys(METRICS, None)
    assert summary["best_seed"] == 4


def test_test_users_that_no_seed_can_score_have_no_mean(tmp_path: Path) -> None:
    for seed in SCORES:
        path = seed_folder(finished(tmp_path) if seed == 3 else tmp_path, seed) / "best" / "metrics.json"
        document = json.loads(path.read_text())
        document["test"] = {name: dict.fromkeys(METRICS, None) for name in ("mean", "standard_error")}
        path.write_text(json.dumps(document))
    summary = summarize(tmp_path, list(SCORES))
    assert summary["test"]["mean"] == summary["test"]["standard_error"] == dict.fromkeys(METRICS, None)
    assert summary["valid"]["mean"]["ndcg_100"] == pytest.approx(0.32)
