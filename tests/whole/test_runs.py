"""Runs in their folders: a slow disk gets few checkpoints, of a training and of a refit alike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import DivergedError, ResultsError
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.runs.refit import RefitRun
from distrecvae.runs.training_run import RunSettings, TrainingRun, read_settings, write_settings
from distrecvae.saved.tensors import read_metadata, save_state
from distrecvae.training import registry
from distrecvae.training.trainer import fit

SPLIT = synthetic_split(n_users=120, n_items=50, seed=4)
Kind = type[TrainingRun] | type[RefitRun]
BOTH = pytest.mark.parametrize("kind", [TrainingRun, RefitRun])


def settings(**changes: Any) -> RunSettings:
    config = {"hidden_dim": 8, "latent_dim": 3, "batch_size": 60}
    whole = registry.config_to_dict(registry.config_from_dict("recvae", config))
    given: dict[str, Any] = {"model": "recvae", "config": whole, "data": "data", "max_passes": 240}
    return RunSettings(**(given | {"fingerprint": SPLIT.fingerprint, "patience": None} | changes))


class Clock:
    """A clock that moves as cycles are trained and states are saved; no second of it is waited for."""

    def __init__(self, patch: pytest.MonkeyPatch, *, cycle_s: float, save_s: float) -> None:
        self.now, self.saved_after, cycles = 0.0, list[int](), [0]

        def slow_fit(*arguments: Any) -> Iterator[Any]:
            for report in fit(*arguments):
                self.now += cycle_s
                cycles[0] += 1
                yield report

        def slow_save(*arguments: Any) -> None:
            save_state(*arguments)
            self.now += save_s
            self.saved_after.append(cycles[0])

        patch.setattr("distrecvae.runs.resumable.time", SimpleNamespace(monotonic=lambda: self.now))
        patch.setattr("distrecvae.runs.resumable.fit", slow_fit)
        patch.setattr("distrecvae.saved.places.save_state", slow_save)


@BOTH
def test_checkpoints_cost_two_percent_of_the_time_however_slow_the_disk(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, cycle_s=0.25, save_s=0.125)
    run = kind(tmp_path, settings(), SPLIT, checkpoint_every_s=0.01)
    assert len(list(run.cycles())) == 60
    # An eighth of a second may be spent every 6.25 s, which are 25 cycles; and the last state is always written.
    assert clock.saved_after == [1, 26, 51, 60]
    assert len(read_metadata(tmp_path / "state.safetensors")["history"]) == 60


@BOTH
def test_a_fast_disk_gets_one_as_often_as_was_asked(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, cycle_s=0.5, save_s=0.0)
    list(kind(tmp_path, settings(max_passes=40), SPLIT, checkpoint_every_s=1.5).cycles())
    assert clock.saved_after == [3, 6, 9, 10]


@BOTH
def test_a_loss_that_is_no_number_ends_a_run_in_one_line(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = registry.make_trainer("recvae", RecVAEConfig(), SPLIT.train, seed=0)
    monkeypatch.setattr(type(trainer), "step", lambda _self: {"kl": math.inf})
    with pytest.raises(
        DivergedError, match=r"train/kl is inf after cycle \d+; a lower learning rate may help"
    ):
        list(kind(tmp_path, settings(), SPLIT).cycles())


@BOTH
def test_nothing_trained_and_other_data_are_refused(kind: Kind, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="has no model yet; train at least one cycle"):
        kind(tmp_path, settings(), SPLIT).finish()
    with pytest.raises(ResultsError, match="is not the data that"):
        kind(tmp_path, settings(fingerprint="other"), SPLIT)


@BOTH
def test_why_a_run_ended(kind: Kind, tmp_path: Path) -> None:
    assert kind(tmp_path / "budget", settings(max_passes=10), SPLIT).ended is None
    run = kind(tmp_path / "budget", settings(max_passes=10), SPLIT)
    list(run.cycles())
    assert run.ended == "8 of 10 passes are done"
    solved = settings(model="popularity", config={})
    run = kind(tmp_path / "solved", solved, SPLIT)
    list(run.cycles())
    assert run.ended == "solved, there is nothing to train further"


def test_a_refit_is_never_out_of_patience_because_nothing_is_scored(tmp_path: Path) -> None:
    # Patience of no pass at all: training is over with its first score.
    impatient = settings(max_passes=12, patience=0)
    trained = TrainingRun(tmp_path / "trained", impatient, SPLIT)
    refitted = RefitRun(tmp_path / "refitted", impatient, SPLIT)
    assert [len(list(run.cycles())) for run in (trained, refitted)] == [1, 3]
    assert trained.ended == "no better NDCG@100 for 0 passes"
    assert trained.best is not None
    assert {"valid/ndcg_100", "evaluate_s"} <= trained.best.keys()
    assert refitted.best is not None
    assert not {"valid/ndcg_100", "evaluate_s"} & refitted.best.keys()


def test_settings_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_settings(tmp_path, settings(seed=3))
    assert read_settings(tmp_path) == settings(seed=3)
    with pytest.raises(ResultsError, match="holds no training run"):
        read_settings(tmp_path / "nowhere")
