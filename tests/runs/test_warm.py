"""A run that begins where an earlier one ended: items that both have, moments, what is written down and said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.io import save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import CheckpointError, ConfigError, DataError
from distrecvae.layout import STATE_FILE
from distrecvae.runs.refit import RefitRun
from distrecvae.runs.training_run import Run, RunSettings, TrainingRun
from distrecvae.runs.warm import earlier_config, flattered
from distrecvae.saved.tensors import load_state
from distrecvae.training import registry
from tests.training.test_registry import SMALL

SPLIT = synthetic_split(n_users=150, n_items=60, seed=4)
NEW, GONE = "a new one", 3
"""Today's first item is new and yesterday's fourth is gone; the others have moved."""


def tomorrow(split: Split) -> Split:
    """Return the data set with items in another order, one of them exchanged for a new one."""
    order = np.random.default_rng(1).permutation(split.n_items)
    place = np.argsort(order)

    def moved(matrix: InteractionMatrix) -> InteractionMatrix:
        users = np.repeat(np.arange(matrix.n_users), matrix.counts())
        return InteractionMatrix.from_pairs(
            users, place[matrix.indices], n_users=matrix.n_users, n_items=matrix.n_items
        )

    ids = np.array([str(id_) for id_ in split.item_ids.tolist()], dtype=object)[order]
    ids[place[GONE]] = NEW
    valid, test = (
        HeldOutUsers(moved(group.fold_in), moved(group.held_out)) for group in (split.valid, split.test)
    )
    return Split(moved(split.train), valid, test, split.user_ids, ids)


TODAY = tomorrow(SPLIT)


def settings(model: str, split: Split, **changed: Any) -> RunSettings:
    config = registry.config_to_dict(
        registry.config_from_dict(model, SMALL.get(model, {}) | changed.pop("config", {}))
    )
    given: dict[str, Any] = {"data": "data", "max_passes": 4, "patience": None} | changed
    return RunSettings(model=model, config=config, fingerprint=split.fingerprint, **given)


def trained(folder: Path, model: str, **changed: Any) -> Path:
    run = TrainingRun(folder, settings(model, SPLIT, **changed), SPLIT)
    list(run.cycles())
    run.finish()
    return folder


def today(folder: Path, model: str, earlier: Path, **changed: Any) -> TrainingRun:
    return TrainingRun(folder, settings(model, TODAY, warm_weights=str(earlier), **changed), TODAY)


def state_of(run: Run) -> dict[str, torch.Tensor]:
    run.save()
    return load_state(run._folder / STATE_FILE)[0]


NEURAL = [model for model in registry.models() if not registry.solved_at_once(model)]


@pytest.mark.parametrize("model", NEURAL)
def test_items_that_both_have_are_taken_over_with_their_moments(model: str, tmp_path: Path) -> None:
    earlier = trained(tmp_path / "old", model)
    fresh = state_of(TrainingRun(tmp_path / "fresh", settings(model, TODAY), TODAY))
    run = today(tmp_path / "new", model, earlier)
    begun = state_of(run)
    best, _ = load_state(earlier / "best" / "model.safetensors")
    kept, _ = load_state(earlier / STATE_FILE)
    at = {id_: place for place, id_ in enumerate(map(str, SPLIT.item_ids.tolist()))}
    here = [place for place, id_ in enumerate(map(str, TODAY.item_ids)) if id_ in at]
    there = [at[str(TODAY.item_ids[place])] for place in here]
    new = next(place for place, id_ in enumerate(TODAY.item_ids) if id_ == NEW)
    now = {
        name.removeprefix("trainer/"): value for name, value in begun.items() if name.startswith("trainer/")
    }
    was = {
        name.removeprefix("trainer/"): value for name, value in kept.items() if name.startswith("trainer/")
    }
    loaded = run._training.trainer.model_state()
    rows = [name for name, value in best.items() if value.shape[:1] == (SPLIT.n_items,)]
    assert rows, "a model has parameters of items"
    for name, value in best.items():
        if name in rows:
            assert torch.equal(loaded[name][here], value[there]), name
            assert not torch.equal(loaded[name][new], value[GONE]), f"{name}: a new item begins fresh"
        else:
            assert torch.equal(loaded[name], value), name
    moments = {name for name in now if name.startswith("adam/")}
    assert bool(moments) == ("; Adam's" in run.remark)
    for name in moments:
        of_items = now[name].shape[:1] == (SPLIT.n_items,)
        if of_items:
            assert torch.equal(now[name][here], was[name][there]), name
            assert not now[name][new].any(), name
        else:
            assert torch.equal(now[name], was[name]), name
    assert begun["trainer/cycle"] == fresh["trainer/cycle"] == 0


@pytest.mark.parametrize("model", NEURAL)
def test_it_trains_on_and_goes_on_after_an_interruption_without_the_earlier_run(
    model: str, tmp_path: Path
) -> None:
    earlier = trained(tmp_path / "old", model)
    whole = today(tmp_path / "whole", model, earlier)
    list(whole.cycles())
    begun = today(tmp_path / "new", model, earlier)
    assert f"begins with the weights of {earlier}: 59 items taken over, 1 new, 1 gone" in begun.remark
    next(begun.cycles())
    begun.save()
    earlier.rename(tmp_path / "elsewhere")
    again = today(tmp_path / "new", model, earlier)
    assert "begins with" not in again.remark
    list(again.cycles())
    one, other = state_of(whole), state_of(again)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    again.finish()
    recorded = json.loads((tmp_path / "new" / "best" / "metrics.json").read_text())["begun_from"]
    assert {name: recorded[name] for name in ("shared", "new", "gone")} == {"shared": 59, "new": 1, "gone": 1}
    assert recorded["fingerprints"] == [SPLIT.fingerprint]


def test_a_run_that_ends_before_its_first_cycle_still_has_what_it_began_with(tmp_path: Path) -> None:
    earlier = trained(tmp_path / "old", "multvae")
    begun = state_of(today(tmp_path / "new", "multvae", earlier))
    earlier.rename(tmp_path / "elsewhere")
    assert torch.equal(
        state_of(today(tmp_path / "new", "multvae", earlier))["trainer/model/first.weight"],
        begun["trainer/model/first.weight"],
    )


def test_where_no_checkpoint_was_kept_adam_begins_anew_and_it_is_said(tmp_path: Path) -> None:
    earlier = trained(tmp_path / "old", "recvae")
    (earlier / STATE_FILE).unlink()
    run = today(tmp_path / "new", "recvae", earlier)
    assert "; Adam starts over, no checkpoint was kept" in run.remark
    state = state_of(run)
    assert not any(value.any() for name, value in state.items() if "/adam/" in name)


def test_a_checkpoint_of_another_run_is_no_ones(tmp_path: Path) -> None:
    earlier = trained(tmp_path / "old", "recvae")
    other = trained(tmp_path / "other", "recvae", config={"learning_rate": 1e-2})
    (other / STATE_FILE).replace(earlier / STATE_FILE)
    assert "Adam starts over" in today(tmp_path / "new", "recvae", earlier).remark


def test_a_best_folder_alone_will_do(tmp_path: Path) -> None:
    earlier = trained(tmp_path / "old", "multdae")
    assert (
        "Adam's moments from its last checkpoint" in today(tmp_path / "a", "multdae", earlier / "best").remark
    )
    assert earlier_config(earlier) == earlier / "best" / "config.json"


def test_a_refit_begins_so_too(tmp_path: Path) -> None:
    earlier = trained(tmp_path / "old", "recvae")
    chosen = settings("recvae", TODAY, warm_weights=str(earlier), refit=True)
    assert "59 items taken over" in RefitRun(tmp_path / "new", chosen, TODAY).remark


def test_scores_that_flatter_are_said(tmp_path: Path) -> None:
    earlier = trained(tmp_path / "old", "wmf")
    assert (
        "note: the earlier model may have been trained on users who are held out"
        in today(tmp_path / "a", "wmf", earlier).remark
    )
    save_dataset(TODAY, tmp_path / "data", {"like": {"fingerprints": [SPLIT.fingerprint]}})
    assert "note" not in today(tmp_path / "b", "wmf", earlier, data=str(tmp_path / "data")).remark


def test_a_chain_of_days_is_recorded(tmp_path: Path) -> None:
    earlier = trained(tmp_path / "old", "pmf")
    run = today(tmp_path / "new", "pmf", earlier)
    list(run.cycles())
    run.finish()
    third = TrainingRun(tmp_path / "third", settings("pmf", SPLIT, warm_weights=str(tmp_path / "new")), SPLIT)
    list(third.cycles())
    third.finish()
    recorded = json.loads((tmp_path / "third" / "best" / "metrics.json").read_text())["begun_from"]
    assert recorded["fingerprints"] == [TODAY.fingerprint, SPLIT.fingerprint]
    assert flattered(recorded, {"fingerprint": SPLIT.fingerprint}).startswith("note")
    assert flattered(recorded, {"fingerprint": SPLIT.fingerprint, "like": [TODAY.fingerprint]}) == ""


def test_what_does_not_fit_is_refused_in_a_line(tmp_path: Path) -> None:
    earlier = trained(tmp_path / "old", "recvae")
    with pytest.raises(
        CheckpointError, match=r"--warm-weights .*old: encoder\.fc1\.weight is of shape \(60, 8\)"
    ):
        today(tmp_path / "a", "recvae", earlier, config={"hidden_dim": 9})
    with pytest.raises(ConfigError, match="is a recvae, and multvae cannot begin with its weights"):
        today(tmp_path / "b", "multvae", earlier)
    with pytest.raises(ConfigError, match=r"ease is solved at once .* leave --warm-weights out"):
        today(tmp_path / "c", "ease", earlier)
    strange = replace(TODAY, item_ids=np.array([f"other {n}" for n in range(60)], dtype=object))
    with pytest.raises(DataError, match="knows none of the 60 items of the data"):
        TrainingRun(tmp_path / "d", settings("recvae", strange, warm_weights=str(earlier)), strange)
    with pytest.raises(CheckpointError, match="does not exist"):
        today(tmp_path / "e", "recvae", tmp_path / "absent")
