"""Candidates of a blend from results folders: whatever holds a model of the same data, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distrecvae.blending.candidate import Trained
from distrecvae.blending.choice import Wish, choose_blend
from distrecvae.blending.files import write_blend
from distrecvae.blending.outcome import score
from distrecvae.data.dataset import Split
from distrecvae.data.io import load_dataset
from distrecvae.data.summary import facts
from distrecvae.errors import CheckpointError, DataError, ResultsError
from distrecvae.models.popularity import PopularityConfig
from distrecvae.runs.seeds import seed_folder, write_seeds
from distrecvae.runs.training_run import RunSettings, write_settings
from distrecvae.saved.model import load_model, save_model
from distrecvae.saved.tensors import read_metadata
from distrecvae.search.folder.members import Place, candidates_in
from tests import ROOT

KEPT = ROOT / "tests" / "kept"


@pytest.fixture(scope="module")
def split() -> Split:
    return load_dataset(KEPT / "data")


@pytest.fixture
def search(tmp_path: Path) -> Path:
    """Return a copy of a finished search, which keeps the states of its trials 0 and 5; 5 is the best."""
    return Path(shutil.copytree(KEPT / "search-2", tmp_path / "mine"))


def popularity(folder: Path, split: Split, **changes: Any) -> Path:
    """Write a model of the data, or one that something is wrong with."""
    given: dict[str, Any] = {
        "state": {"counts": torch.from_numpy(split.train.item_counts()).float()},
        "item_ids": split.item_ids,
        "metrics": {},
        "data": facts(split, {}),
    }
    save_model(folder, model="popularity", config=PopularityConfig(), **{**given, **changes})
    return folder


def names(*folders: Path, split: Split, best_trials: int = 5) -> list[str]:
    return [each.name for each in candidates_in(folders, Place(split, "the data", best_trials))]


def test_a_search_gives_its_best_trials_whose_states_are_kept(search: Path, split: Split) -> None:
    assert names(search, split=split) == ["mine trial 5", "mine trial 0"]
    assert names(search, split=split, best_trials=1) == ["mine trial 5"]
    found = candidates_in([search], Place(split, "the data"))
    best = load_model(search).recommender.score(split.test.fold_in)
    assert torch.equal(found[0].recommender.score(split.test.fold_in), best)
    assert not torch.equal(found[1].recommender.score(split.test.fold_in), best)
    assert found[1].source == str(search / "trials" / "00000")


def test_where_the_best_trials_state_is_gone_its_model_is_taken(search: Path, split: Split) -> None:
    shutil.rmtree(search / "trials")
    assert names(search, split=split) == ["mine trial 5"]
    shutil.rmtree(search / "best")
    with pytest.raises(CheckpointError, match="has no trial whose model is kept"):
        names(search, split=split)


def test_a_damaged_state_costs_its_trial_alone(search: Path, split: Split) -> None:
    for number in ("00000", "00005"):
        (search / "trials" / number / "state.safetensors").write_bytes(b"")
    assert names(search, split=split) == ["mine trial 5"]
    with pytest.raises(CheckpointError, match="is damaged"):
        names(search / "trials" / "00000", split=split)  # but who asks for it hears of it


def test_a_single_trial_can_be_given(search: Path, split: Split) -> None:
    assert names(search / "trials" / "00000", split=split) == ["mine trial 0"]


def test_what_is_given_twice_is_one_candidate(search: Path, split: Split) -> None:
    given = [search, search / "best", search / "trials" / "00005"]
    assert names(*given, split=split) == ["mine trial 5", "mine trial 0"]


def test_a_model_a_training_of_seeds_and_a_comparison(tmp_path: Path, search: Path, split: Split) -> None:
    popularity(tmp_path / "pop" / "best", split)
    write_seeds(tmp_path / "seeds", [3, 4])
    for seed in (3, 4):
        counts = torch.arange(split.n_items).float() + seed
        popularity(seed_folder(tmp_path / "seeds", seed) / "best", split, state={"counts": counts})
    compared = tmp_path / "compared"
    compared.mkdir()
    (compared / "compare.json").write_text("{}")
    shutil.copytree(search, compared / "recvae")
    found = names(tmp_path / "pop", tmp_path / "pop" / "best", tmp_path / "seeds", compared, split=split)
    assert found == ["pop", "seeds seed 3", "seeds seed 4", "recvae trial 5", "recvae trial 0"]


def test_how_a_model_was_trained_is_known_where_its_folder_says_so(
    tmp_path: Path, search: Path, split: Split
) -> None:
    place = Place(split, "the data")
    metadata = read_metadata(search / "trials" / "00000" / "state.safetensors")
    by_name = {each.name: each for each in candidates_in([search], place)}
    first = by_name["mine trial 0"].trained
    assert first is not None
    assert first.seed == metadata["identity"]["seed"]
    assert first.precision == metadata["identity"]["precision"]
    best = max(metadata["history"], key=lambda report: report["valid/ndcg_100"])
    assert first.passes == best["passes"]
    shutil.rmtree(search / "trials")  # its best model says its passes, and any seed will do
    (alone,) = candidates_in([search], place)
    assert alone.trained == Trained(passes=load_model(search).metrics["passes"])

    settings = RunSettings(
        model="popularity", config={}, data="d", fingerprint=split.fingerprint, seed=7, precision="bfloat16"
    )
    run = popularity(tmp_path / "run" / "best", split, metrics={"passes": 1}).parent
    write_settings(run, settings)
    warm = popularity(tmp_path / "warm", split, metrics={"passes": 1, "begun_from": {"model": "x"}})
    unknown = popularity(tmp_path / "unknown", split)
    found = [candidates_in([folder], place)[0].trained for folder in (run, run / "best", warm, unknown)]
    known = Trained(passes=1, seed=7, precision="bfloat16")
    assert found == [known, known, None, None]


def test_a_comparison_without_a_model_is_refused(tmp_path: Path, split: Split) -> None:
    (tmp_path / "compare.json").write_text("{}")
    with pytest.raises(CheckpointError, match="has no model yet: no search in it is over"):
        names(tmp_path, split=split)


def test_a_blend_gives_its_members(tmp_path: Path, search: Path, split: Split) -> None:
    place = Place(split, "the data")
    pop = popularity(tmp_path / "pop", split)
    chosen = choose_blend(candidates_in([search, pop], place), split.valid, Wish(rule="standardized"))
    write_blend(tmp_path / "blend", score(chosen, split.test), item_ids=split.item_ids, data=facts(split, {}))
    found = candidates_in([tmp_path / "blend"], place)
    assert [each.name for each in found] == [each.name for each in chosen.members]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"item_ids": np.arange(59) + 7}, "knows 59 items and the data has 59, not the same ones"),
        (
            {"item_ids": np.arange(3), "state": {"counts": torch.ones(3)}},
            "knows 3 items and the data has 59, not the same ones",
        ),
        ({"metrics": {"refit": True}}, r"was trained on the validation users, too \(--refit\)"),
        (
            {"data": {"fingerprint": "0123456789abcdef"}},
            "with fingerprint 0123456789ab, the data has 07cd9cfa23b8",
        ),
    ],
)
def test_a_model_of_other_data_is_refused_in_one_line(
    tmp_path: Path, split: Split, changes: dict[str, Any], said: str
) -> None:
    folder = popularity(tmp_path / "pop", split, **changes)
    with pytest.raises(DataError, match=said) as caught:
        names(folder, split=split)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_search_or_a_trial_of_other_data_is_refused(search: Path, split: Split) -> None:
    described = json.loads((search / "search.json").read_text())
    described["dataset"]["fingerprint"] = "f" * 32
    (search / "search.json").write_text(json.dumps(described))
    for folder in (search, search / "trials" / "00000"):
        with pytest.raises(DataError, match="with fingerprint ffffffffffff, the data has 07cd9cfa23b8"):
            names(folder, split=split)


def test_a_folder_that_holds_nothing_is_refused(tmp_path: Path, search: Path, split: Split) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        names(tmp_path / "nothing", split=split)
    (search / "search.json").write_text("{}")
    with pytest.raises(ResultsError, match="cannot be read"):
        names(search, split=split)
