"""A trial is a function of its task: wherever it is cut off, whatever its files look like, its reports are the same."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from distrecvae.data.dataset import Split
from distrecvae.data.synthetic import synthetic_split
from distrecvae.runs.trial import TrialTask, best_model, run_trial
from distrecvae.training import registry

METRIC = "valid/ndcg_100"


@pytest.fixture(scope="module")
def split() -> Split:
    return synthetic_split(n_users=150, n_items=60, seed=2)


def task(folder: Path, **changes: Any) -> TrialTask:
    config = {"hidden_dim": 16, "latent_dim": 4, "batch_size": 40, "learning_rate": 0.01}
    settings: dict[str, Any] = {
        "model": "recvae",
        "config": config,
        "seed": 7,
        "max_passes": 24,
        "metric": METRIC,
    }
    return TrialTask(number=3, folder=str(folder), checkpoint_every_s=1e-9, **(settings | changes))


def scores(reports: Any) -> list[tuple[int, float]]:
    return [(report["passes"], report[METRIC]) for report in reports]


def test_a_trial_spends_its_budget_and_no_more(split: Split, tmp_path: Path) -> None:
    passes = [p for p, _ in scores(run_trial(task(tmp_path, max_passes=23), split.train, split.valid))]
    assert passes == [4, 8, 12, 16, 20]


def test_a_budget_below_one_cycle_gives_one_cycle(split: Split, tmp_path: Path) -> None:
    assert len(list(run_trial(task(tmp_path, max_passes=1), split.train, split.valid))) == 1


@pytest.mark.parametrize("taken", [1, 3, 6])
def test_a_trial_cut_off_goes_on_and_repeats_the_report_that_may_be_lost(
    split: Split, tmp_path: Path, taken: int
) -> None:
    whole = scores(run_trial(task(tmp_path / "whole"), split.train, split.valid))
    cut = task(tmp_path / "cut")
    first = scores(islice(run_trial(cut, split.train, split.valid), taken))
    rest = scores(run_trial(cut, split.train, split.valid))
    assert first == whole[:taken]
    # It goes on from its last checkpoint (they are rationed by their cost), and the checkpoint's own report comes
    # first: the state is written before the report is given, whose reader may have died before taking it in.
    assert rest == whole[len(whole) - len(rest) :]
    assert len(rest) >= len(whole) - taken + 1
    if taken in (1, len(whole)):
        assert rest[0] == first[-1]


@pytest.mark.parametrize("damage", ["torn", "empty", "another trial's"])
def test_a_state_that_cannot_be_used_means_starting_again(split: Split, tmp_path: Path, damage: str) -> None:
    whole = scores(run_trial(task(tmp_path / "whole"), split.train, split.valid))
    hurt = task(tmp_path / "hurt")
    list(islice(run_trial(hurt, split.train, split.valid), 3))
    state = hurt.state_file.read_bytes()
    if damage == "another trial's":
        hurt = task(tmp_path / "hurt", seed=8)
        whole = scores(run_trial(task(tmp_path / "eight", seed=8), split.train, split.valid))
    else:
        hurt.state_file.write_bytes(state[: len(state) // 2] if damage == "torn" else b"")
    assert scores(run_trial(hurt, split.train, split.valid)) == whole


def test_the_best_model_is_had_from_the_state_or_made_again(split: Split, tmp_path: Path) -> None:
    done = task(tmp_path)
    reports = list(run_trial(done, split.train, split.valid))
    best = max(reports, key=lambda report: report[METRIC])["cycle"]
    kept = best_model(done, best, split.train, split.valid)
    done.state_file.unlink()
    again = best_model(done, best, split.train, split.valid)
    assert kept.keys() == again.keys()
    assert all(torch.equal(kept[name], again[name]) for name in kept)


def test_the_best_model_is_read_without_a_trainer_where_the_state_has_it(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = task(tmp_path)
    reports = list(run_trial(done, split.train, split.valid))
    best = max(reports, key=lambda report: report[METRIC])["cycle"]
    trainer = registry.make_trainer(
        "recvae", registry.config_from_dict("recvae", done.config), split.train, seed=done.seed
    )
    while trainer.cycle < best:
        trainer.step()
    expected, makings = trainer.model_state(), []

    def counted(*arguments: Any, **named: Any) -> Any:
        makings.append(arguments)
        return make_trainer(*arguments, **named)

    make_trainer = registry.make_trainer
    monkeypatch.setattr(registry, "make_trainer", counted)
    kept = best_model(done, best, split.train, split.valid)
    assert makings == []
    assert kept.keys() == expected.keys()
    assert all(torch.equal(kept[name], expected[name]) for name in kept)
    # Another trial's state, a damaged one, and one whose best is of another cycle are not believed.
    cut = done.state_file.read_bytes()
    best_model(task(tmp_path, seed=8), 1, split.train, split.valid)
    assert len(makings) == 2, "one that cannot be restored, one that begins anew"
    done.state_file.write_bytes(cut[:-1] + bytes([cut[-1] ^ 1]))
    again = best_model(done, best, split.train, split.valid)
    assert all(torch.equal(again[name], expected[name]) for name in kept)
    assert len(makings) == 4


def test_a_state_whose_best_is_of_another_cycle_is_not_taken(split: Split, tmp_path: Path) -> None:
    done = task(tmp_path)
    reports = list(run_trial(done, split.train, split.valid))
    best = max(reports, key=lambda report: report[METRIC])["cycle"]
    assert best > 1, "or the test says nothing"
    first = best_model(done, 1, split.train, split.valid)
    short = task(tmp_path / "short", max_passes=1)
    list(run_trial(short, split.train, split.valid))
    expected = best_model(short, 1, split.train, split.valid)
    assert all(torch.equal(first[name], expected[name]) for name in first)


def test_a_long_step_tells_how_far_it_is(split: Split, tmp_path: Path) -> None:
    shares: list[float] = []
    solved = task(tmp_path, model="slim", config={"l1": 0.5, "l2": 1.0})
    list(run_trial(solved, split.train, split.valid, progress=shares.append))
    assert shares[-1] == 1.0
    # A model that does not tell is not asked.
    list(run_trial(task(tmp_path / "other"), split.train, split.valid, progress=shares.append))
    assert shares[-1] == 1.0


def test_a_solved_model_reports_once(split: Split, tmp_path: Path) -> None:
    solved = task(tmp_path, model="popularity", config={})
    assert [p for p, _ in scores(run_trial(solved, split.train, split.valid))] == [1]
