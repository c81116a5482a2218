"""A trial is a function of its task: wherever it is cut off, whatever its files look like, its reports are the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from distrecvae.data.dataset import Split
from distrecvae.data.synthetic import synthetic_split
from distrecvae.runs.trial import TrialTask, best_model, run_trial
from distrecvae.saved.places import StateFile
from distrecvae.training import registry

METRIC = "valid/ndcg_100"


@pytest.fixture(scope="module")
def split() -> Split:
    return synthetic_split(n_users=150, n_items=60, seed=2)


@dataclass(frozen=True)
class Trial:
    """A trial and where its state lies."""

    task: TrialTask
    path: Path

    def run(self, split: Split, **named: Any) -> Iterator[dict[str, Any]]:
        return run_trial(self.task, StateFile(self.path), split.train, split.valid, **named)

    def best(self, cycle: int, split: Split) -> dict[str, torch.Tensor]:
        return best_model(self.task, self.path, cycle, split.train, split.valid)


def trial(folder: Path, **changes: Any) -> Trial:
    config = {"hidden_dim": 16, "latent_dim": 4, "batch_size": 40, "learning_rate": 0.01}
    settings: dict[str, Any] = {
        "model": "recvae",
        "config": config,
        "seed": 7,
        "max_passes": 24,
        "metric": METRIC,
    }
    return Trial(TrialTask(number=3, checkpoint_every_s=1e-9, **(settings | changes)), folder / "state")


def scores(reports: Any) -> list[tuple[int, float]]:
    return [(report["passes"], report[METRIC]) for report in reports]


def test_a_trial_spends_its_budget_and_no_more(split: Split, tmp_path: Path) -> None:
    passes = [p for p, _ in scores(trial(tmp_path, max_passes=23).run(split))]
    assert passes == [4, 8, 12, 16, 20]


def test_a_budget_below_one_cycle_gives_one_cycle(split: Split, tmp_path: Path) -> None:
    assert len(list(trial(tmp_path, max_passes=1).run(split))) == 1


@pytest.mark.parametrize("taken", [1, 3, 6])
def test_a_trial_cut_off_goes_on_and_repeats_the_report_that_may_be_lost(
    split: Split, tmp_path: Path, taken: int
) -> None:
    whole = scores(trial(tmp_path / "whole").run(split))
    cut = trial(tmp_path / "cut")
    first = scores(islice(cut.run(split), taken))
    rest = scores(cut.run(split))
    assert first == whole[:taken]
    # It continues from its last checkpoint (they are rationed by their cost), and the checkpoint's own report comes
    # first: the state is written before the report is given, whose reader may have died before taking it in.
    assert rest == whole[len(whole) - len(rest) :]
    assert len(rest) >= len(whole) - taken + 1
    if taken in (1, len(whole)):
        assert rest[0] == first[-1]


@pytest.mark.cuda
def test_a_trial_that_goes_on_on_another_kind_of_device_says_so_and_goes_on(
    split: Split, tmp_path: Path
) -> None:
    # A trial of a search whose nodes are mixed drew other values from there on, and nobody heard of it.
    said: list[str] = []
    there = trial(tmp_path, device="cuda", max_passes=8)
    list(islice(there.run(split, remark=said.append), 1))
    list(islice(there.run(split, remark=said.append), 1))
    assert not said, "it went on where it was"
    here = Trial(dataclasses.replace(there.task, device="cpu"), there.path)
    assert [passes for passes, _ in scores(here.run(split, remark=said.append))] == [4, 8]
    assert said == [
        f"Continues on cpu, was on {torch.cuda.get_device_name(0)} until now: random values and rounding differ, and"
        " so will the scores"
    ]


@pytest.mark.parametrize("damage", ["torn", "empty", "another trial's"])
def test_a_state_that_cannot_be_used_means_starting_again(split: Split, tmp_path: Path, damage: str) -> None:
    whole = scores(trial(tmp_path / "whole").run(split))
    hurt = trial(tmp_path / "hurt")
    list(islice(hurt.run(split), 3))
    state = hurt.path.read_bytes()
    if damage == "another trial's":
        hurt = trial(tmp_path / "hurt", seed=8)
        whole = scores(trial(tmp_path / "eight", seed=8).run(split))
    else:
        hurt.path.write_bytes(state[: len(state) // 2] if damage == "torn" else b"")
    assert scores(hurt.run(split)) == whole


def test_the_best_model_is_had_from_the_state_or_made_again(split: Split, tmp_path: Path) -> None:
    done = trial(tmp_path)
    reports = list(done.run(split))
    best = max(reports, key=lambda report: report[METRIC])["cycle"]
    kept = done.best(best, split)
    done.path.unlink()
    again = done.best(best, split)
    assert kept.keys() == again.keys()
    assert all(torch.equal(kept[name], again[name]) for name in kept)


def test_the_best_model_is_read_without_a_trainer_where_the_state_has_it(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = trial(tmp_path)
    reports = list(done.run(split))
    best = max(reports, key=lambda report: report[METRIC])["cycle"]
    trainer = registry.make_trainer(
        "recvae", registry.config_from_dict("recvae", done.task.config), split.train, seed=done.task.seed
    )
    while trainer.cycle < best:
        trainer.step()
    expected, makings = trainer.model_state(), []

    def counted(*arguments: Any, **named: Any) -> Any:
        makings.append(arguments)
        return make_trainer(*arguments, **named)

    make_trainer = registry.make_trainer
    monkeypatch.setattr(registry, "make_trainer", counted)
    kept = done.best(best, split)
    assert makings == []
    assert kept.keys() == expected.keys()
    assert all(torch.equal(kept[name], expected[name]) for name in kept)
    # Another trial's state, a damaged one, and one whose best is of another cycle are not believed.
    cut = done.path.read_bytes()
    trial(tmp_path, seed=8).best(1, split)
    assert len(makings) == 2, "one that cannot be restored, one that starts over"
    done.path.write_bytes(cut[:-1] + bytes([cut[-1] ^ 1]))
    again = done.best(best, split)
    assert all(torch.equal(again[name], expected[name]) for name in kept)
    assert len(makings) == 4


def test_a_state_whose_best_is_of_another_cycle_is_not_taken(split: Split, tmp_path: Path) -> None:
    done = trial(tmp_path)
    reports = list(done.run(split))
    best = max(reports, key=lambda report: report[METRIC])["cycle"]
    assert best > 1, "or the test says nothing"
    first = done.best(1, split)
    short = trial(tmp_path / "short", max_passes=1)
    list(short.run(split))
    expected = short.best(1, split)
    assert all(torch.equal(first[name], expected[name]) for name in first)


def test_storage_that_refuses_a_state_is_told_and_a_model_that_is_made_again_does_without(
    split: Split, tmp_path: Path
) -> None:
    # Results lie on the driver's disk, which is full for all trials alike: continuing would lose what comes.
    refused = trial(tmp_path / "file")
    (tmp_path / "file").write_text("where the folder should be", encoding="utf-8")
    with pytest.raises(OSError, match="file"):
        list(refused.run(split))
    done = trial(tmp_path / "done")
    list(islice(done.run(split), 1))
    made, kept = refused.best(1, split), done.best(1, split)
    assert all(torch.equal(made[name], kept[name]) for name in kept)


def test_a_long_step_tells_how_far_it_is(split: Split, tmp_path: Path) -> None:
    shares: list[float] = []
    solved = trial(tmp_path, model="slim", config={"l1": 0.5, "l2": 1.0})
    list(solved.run(split, progress=shares.append))
    assert shares[-1] == 1.0
    # A model that does not tell is not asked.
    list(trial(tmp_path / "other").run(split, progress=shares.append))
    assert shares[-1] == 1.0


def test_a_solved_model_reports_once(split: Split, tmp_path: Path) -> None:
    solved = trial(tmp_path, model="popularity", config={})
    assert [p for p, _ in scores(solved.run(split))] == [1]
