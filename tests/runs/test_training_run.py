"""A run's folder: its settings are kept, its reports are there to be read, and it ends when it should."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from distrecvae import __version__
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import CheckpointError, ResultsError
from distrecvae.evaluation import evaluate
from distrecvae.layout import RUN_FILE, STATE_FILE
from distrecvae.runs.history import HISTORY_FILE
from distrecvae.runs.training_run import (
    Run,
    RunSettings,
    TrainingRun,
    read_settings,
    require_same_data,
    write_settings,
)
from distrecvae.saved.model import load_model
from distrecvae.training import registry
from tests.soft_cuda import soft_cuda

SPLIT = synthetic_split(n_users=150, n_items=60, seed=4)
SMALL: dict[str, Any] = {"hidden_dim": 8, "latent_dim": 4, "batch_size": 60, "encoder_passes": 1}


def settings(model: str = "recvae", **changed: Any) -> RunSettings:
    config = registry.config_to_dict(
        registry.config_from_dict(model, changed.pop("config", SMALL if model == "recvae" else {}))
    )
    given: dict[str, Any] = {
        "data": "data",
        "fingerprint": SPLIT.fingerprint,
        "max_passes": 8,
        "patience": None,
    }
    return RunSettings(model=model, config=config, **given | changed)


def run_in(folder: Path, given: RunSettings | None = None, **options: Any) -> TrainingRun:
    return TrainingRun(folder, settings() if given is None else given, SPLIT, **options)


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / HISTORY_FILE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_settings_come_back_and_say_who_wrote_them(tmp_path: Path) -> None:
    given = settings(seed=7, patience=12, metric="recall_20", precision="bfloat16", refit=True)
    write_settings(tmp_path, given)
    assert read_settings(tmp_path) == given
    document = json.loads((tmp_path / RUN_FILE).read_text())
    assert (document["format"], document["distrecvae"]) == (1, __version__)


def test_settings_that_an_older_version_did_not_know_are_as_they_were_then(tmp_path: Path) -> None:
    write_settings(tmp_path, settings())
    document = json.loads((tmp_path / RUN_FILE).read_text())
    for name in ("refit", "precision"):
        del document[name]
    (tmp_path / RUN_FILE).write_text(json.dumps(document))
    found = read_settings(tmp_path)
    assert (found.refit, found.precision) == (False, "float32")


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="holds no training run; start one without --resume") as caught:
        read_settings(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 99_999, '{"format": 1, "model": 3}'])
def test_settings_that_cannot_be_read_are_told(content: str, tmp_path: Path) -> None:
    (tmp_path / RUN_FILE).write_text(content)
    with pytest.raises(
        ResultsError, match=r"run\.json cannot be read \(.*; restore it, or start over"
    ) as caught:
        read_settings(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", [0, 2])
def test_settings_of_another_format_are_told(version: int, tmp_path: Path) -> None:
    write_settings(tmp_path, settings())
    document = json.loads((tmp_path / RUN_FILE).read_text())
    (tmp_path / RUN_FILE).write_text(json.dumps(document | {"format": version}))
    message = f"run.json is of format {version}; 1 is read here: start over"
    with pytest.raises(ResultsError, match=message) as caught:
        read_settings(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model", "fingerprint"])
def test_settings_with_one_missing_or_one_too_many_are_refused(name: str, tmp_path: Path) -> None:
    write_settings(tmp_path, settings())
    document = json.loads((tmp_path / RUN_FILE).read_text())
    value = document.pop(name)
    for damaged in (document, document | {name: value, "more": 1}):
        (tmp_path / RUN_FILE).write_text(json.dumps(damaged))
        with pytest.raises(ResultsError, match="start over"):
            read_settings(tmp_path)


def test_other_data_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    require_same_data(tmp_path, settings(), SPLIT)
    with pytest.raises(ResultsError, match=f"fingerprint {SPLIT.fingerprint}, was 0123") as caught:
        run_in(tmp_path, settings(fingerprint="0123"))
    assert "data is not the data that" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_run_goes_on_until_its_passes_are_done_and_scores_its_best_model(tmp_path: Path) -> None:
    run: Run = run_in(tmp_path, settings(max_passes=7))
    assert (run.passes, run.best, run.ended) == (0, None, None)
    reports = list(run.cycles())
    assert [report["passes"] for report in reports] == [2, 4, 6]
    assert (run.passes, run.ended) == (6, "6 of 7 passes are done")
    assert run.best == max(reports, key=lambda report: report["valid/ndcg_100"])
    scores = run.finish()
    loaded = load_model(tmp_path / "best")
    for group, users in (("valid", SPLIT.valid), ("test", SPLIT.test)):
        assert scores[group].means() == evaluate(loaded.recommender, users).means()
        assert loaded.metrics[group] == scores[group].summary()
    assert scores["valid"].mean("ndcg_100") == run.best["valid/ndcg_100"]
    assert loaded.metrics["selected_by"] == "valid/ndcg_100"
    assert (loaded.metrics["cycle"], loaded.metrics["passes"]) == (run.best["cycle"], run.best["passes"])
    assert loaded.data["fingerprint"] == SPLIT.fingerprint
    assert loaded.item_ids.tolist() == SPLIT.item_ids.tolist()


def test_the_metric_that_is_asked_for_chooses(tmp_path: Path) -> None:
    given = settings(max_passes=20, metric="recall_20", config=SMALL | {"learning_rate": 0.05})
    run = run_in(tmp_path, given)
    reports = list(run.cycles())
    assert run.best == max(reports, key=lambda report: report["valid/recall_20"])
    run.finish()
    assert load_model(tmp_path / "best").metrics["selected_by"] == "valid/recall_20"


def test_patience_ends_a_run_whose_scores_stand_still(tmp_path: Path) -> None:
    still = settings(patience=4, max_passes=100, config=SMALL | {"learning_rate": 1e-30})
    run = run_in(tmp_path, still)
    list(run.cycles())
    assert run.ended == "no better NDCG@100 for 4 passes"
    assert (run.passes, run.best and run.best["cycle"]) == (6, 1), "the first of equals"


def test_a_model_that_is_solved_is_over_after_its_first_step(tmp_path: Path) -> None:
    run = run_in(tmp_path, settings("popularity", max_passes=100))
    assert len(list(run.cycles())) == 1
    assert run.ended == "solved, there is nothing to train further"
    assert list(run.cycles()) == []


def test_whoever_iterates_may_stop_and_another_goes_on_to_the_same_end(tmp_path: Path) -> None:
    whole = run_in(tmp_path / "whole")
    list(whole.cycles())
    whole.finish()
    first = run_in(tmp_path / "parts", checkpoint_every_s=1e9)
    next(first.cycles())
    first.save()
    second = run_in(tmp_path / "parts")
    assert (second.passes, second.ended) == (2, None)
    list(second.cycles())
    second.finish()

    def told(folder: Path) -> list[dict[str, str]]:
        return [{k: v for k, v in row.items() if not k.endswith("_s")} for row in history(folder)]

    assert told(tmp_path / "parts") == told(tmp_path / "whole")
    one, other = (load_model(tmp_path / name / "best") for name in ("whole", "parts"))
    assert one.metrics == other.metrics
    assert torch.equal(one.recommender.score(SPLIT.test.fold_in), other.recommender.score(SPLIT.test.fold_in))


def test_a_finished_run_is_over_and_goes_on_with_more_passes(tmp_path: Path) -> None:
    list(run_in(tmp_path).cycles())
    assert list(run_in(tmp_path).cycles()) == []
    more = run_in(tmp_path, settings(max_passes=12))
    assert [report["cycle"] for report in more.cycles()] == [5, 6]


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"precision": "bfloat16"}, {"config": SMALL | {"latent_dim": 5}}], ids=str
)
def test_the_state_of_another_run_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    list(run_in(tmp_path, settings(max_passes=2)).cycles())
    before = (tmp_path / STATE_FILE).read_bytes()
    with pytest.raises(CheckpointError, match="is of another run"):
        run_in(tmp_path, settings(**change))
    assert (tmp_path / STATE_FILE).read_bytes() == before


def test_a_run_without_a_cycle_has_no_model(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="has no model yet; train at least one cycle"):
        run_in(tmp_path).finish()
    assert not (tmp_path / "best").exists()


def test_the_history_is_there_after_every_report_and_again_where_it_was_lost(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    assert not (tmp_path / HISTORY_FILE).exists(), "nothing before the first report"
    for number, report in enumerate(run.cycles(), start=1):
        rows = history(tmp_path)
        assert len(rows) == number
        assert float(rows[-1]["valid/ndcg_100"]) == report["valid/ndcg_100"]
    before = (tmp_path / HISTORY_FILE).read_text()
    (tmp_path / HISTORY_FILE).unlink()
    run_in(tmp_path)
    assert (tmp_path / HISTORY_FILE).read_text() == before


def test_progress_is_told_to_whoever_asks_after_the_run_was_made(tmp_path: Path) -> None:
    run = run_in(tmp_path, settings("slim"))
    shares: list[float] = []
    run.progress = shares.append
    list(run.cycles())
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_settings_are_not_changed_once_made() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings().seed = 3  # type: ignore[misc]


def test_a_run_that_goes_on_on_another_kind_of_device_says_so(tmp_path: Path) -> None:
    # It went on with the other kind's random values, silently.
    run = run_in(tmp_path)
    next(run.cycles())
    run.save()
    assert run_in(tmp_path).remark == ""
    with soft_cuda():
        assert run_in(tmp_path, device="cuda").remark.startswith(
            f"Continues on {torch.cuda.get_device_name(0)}, was on cpu until now: "
        )
