"""Training that continues: the same reports and the same best model, wherever it was interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distrecvae.errors import CheckpointError
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.runs.resumable import ResumableTraining, best_report
from distrecvae.saved.places import StateFile
from distrecvae.training import registry
from tests.training.checkerboard import checkerboard

CYCLES = 5


def training(path: Path, *, seed: int = 1, checkpoint_every_s: float = 0.0) -> ResumableTraining:
    train, valid = checkerboard()
    config = RecVAEConfig(hidden_dim=8, latent_dim=3, learning_rate=1e-2)
    return ResumableTraining(
        StateFile(path),
        registry.make_trainer("recvae", config, train, seed=seed),
        valid,
        identity={"seed": seed},
        metric="valid/ndcg_100",
        checkpoint_every_s=checkpoint_every_s,
    )


def finish(run: ResumableTraining) -> list[dict[str, float]]:
    for _ in run.cycles(lambda: run.trainer.cycle >= CYCLES):
        pass
    return [{k: v for k, v in report.items() if not k.endswith("_s")} for report in run.history]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    run = training(tmp_path_factory.mktemp("whole") / "state")
    return finish(run), run.best_state


@pytest.mark.parametrize("cycles", range(1, CYCLES + 1))
def test_interrupted_anywhere_it_ends_the_same(
    whole: tuple[list[dict[str, float]], dict[str, torch.Tensor]], tmp_path: Path, cycles: int
) -> None:
    before = training(tmp_path / "state")
    for report in before.cycles(lambda: before.trainer.cycle >= CYCLES):
        if report["cycle"] == cycles:
            break
    after = training(tmp_path / "state")
    after.restore()
    history = finish(after)
    assert history == whole[0]
    assert all(torch.equal(after.best_state[name], value) for name, value in whole[1].items())


def test_the_best_model_is_that_of_the_best_report(tmp_path: Path) -> None:
    run = training(tmp_path / "state")
    finish(run)
    assert run.best is not None
    again = training(tmp_path / "other")
    while again.trainer.cycle < run.best["cycle"]:
        again.trainer.step()
    assert all(
        torch.equal(run.best_state[name], value) for name, value in again.trainer.model_state().items()
    )


def test_the_state_is_written_at_the_end_whatever_the_clock(tmp_path: Path) -> None:
    finish(training(tmp_path / "state", checkpoint_every_s=1e9))
    again = training(tmp_path / "state")
    again.restore()
    assert again.trainer.cycle == CYCLES


def test_nothing_to_restore_changes_nothing(tmp_path: Path) -> None:
    run = training(tmp_path / "state")
    run.restore()
    assert (run.trainer.cycle, run.history, run.best) == (0, [], None)


def test_another_runs_state_is_refused_untouched(tmp_path: Path) -> None:
    finish(training(tmp_path / "state"))
    other = training(tmp_path / "state", seed=2)
    with pytest.raises(CheckpointError, match="is of another run"):
        other.restore()
    assert other.trainer.cycle == 0


def test_the_best_report_is_the_first_of_equals_and_without_a_metric_the_last() -> None:
    history = [{"cycle": 1, "score": 0.1}, {"cycle": 2, "score": 0.3}, {"cycle": 3, "score": 0.3}]
    assert best_report(history, "score") == history[1]
    assert best_report(history, None) == history[2]
    assert best_report([], "score") is None
    assert best_report([], None) is None
