"""A search is described whole when it begins, and no other search continues in its folder."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import distrecvae
from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ResultsError
from distrecvae.search.core.chain import Mark
from distrecvae.search.core.config import CHANGEABLE, SearchConfig
from distrecvae.search.folder.description import check_same, describe
from distrecvae.search.folder.search_json import Description, WarmStart, read_description, write_description
from distrecvae.search.planning.plan import Plan, make_plan
from distrecvae.search.planning.resources import Slots
from distrecvae.search.space.space import SearchSpace
from distrecvae.training.device import DeviceFacts

SPACE = SearchSpace.load("ease")
CONFIG = SearchConfig(data="data/toy", model="ease", trials=5, max_passes=9, seed=3, time_budget_s=60.0)
FOLDER = Path("runs/mine")


@pytest.fixture(scope="module")
def split() -> Split:
    """A small split with one test user less than validation users, so that they can be told apart."""
    whole = synthetic_split(n_users=100, n_items=60, seed=2)
    n = whole.test.n_users - 1
    test = HeldOutUsers(whole.test.fold_in.slice(0, n), whole.test.held_out.slice(0, n))
    return replace(whole, test=test, user_ids=whole.user_ids[:-1])


@pytest.fixture(scope="module")
def plan(split: Split) -> Plan:
    return make_plan(CONFIG, SPACE, split, Slots(2, 1, 0.0), DeviceFacts("a CPU", "float32", 0))


def begun(split: Split, plan: Plan, warm: WarmStart | None = None) -> Description:
    return describe(
        CONFIG, SPACE, split, plan, folder=FOLDER, data="data/toy", command="distrecvae search", warm=warm
    )


def refusal(described: Description, split: Split, config: SearchConfig = CONFIG, space: Any = SPACE) -> str:
    with pytest.raises(ResultsError) as refused:
        check_same(described, config, space, split, FOLDER)
    said = str(refused.value)
    assert "\n" not in said
    assert str(FOLDER) in said
    return said


def test_the_description_is_whole_and_survives_the_disk(tmp_path: Path, split: Split, plan: Plan) -> None:
    described = begun(split, plan)
    write_description(tmp_path, described)  # refuses what is not JSON
    again = read_description(tmp_path)
    assert again == described
    assert again.settings == CONFIG
    assert again.searched() == SPACE
    assert (again.plan.concurrent, again.plan.device, again.plan.device_name) == (2, "cpu", "a CPU")
    assert (again.plan.trial_bytes, again.plan.storage_bytes) == (plan.trial_bytes, plan.storage_bytes)
    assert again.plan.rungs == plan.rule.rungs(0)
    assert (again.status, again.elapsed_s, again.ledger) == ("running", 0.0, Mark())
    assert (again.data, again.command) == (str(Path("data/toy").absolute()), "distrecvae search")
    assert (again.begun_in, again.results) == (str(Path.cwd()), str(FOLDER.absolute()))
    assert again.distrecvae == distrecvae.__version__


def test_the_data_set_is_told_by_its_fingerprint_and_counts(split: Split, plan: Plan) -> None:
    assert asdict(begun(split, plan).dataset) == {
        "fingerprint": split.fingerprint,
        "n_items": len(split.item_ids),
        "train_users": split.train.indptr.size - 1,
        "valid_users": split.valid.fold_in.indptr.size - 1,
        "test_users": split.test.fold_in.indptr.size - 1,
        "train_interactions": split.train.indices.size,
    }


def test_it_says_when_and_by_which_versions(split: Split, plan: Plan) -> None:
    described = begun(split, plan)
    started = datetime.fromisoformat(described.started)
    assert started.utcoffset() == timedelta(0), "readable anywhere: the zone is written"
    assert started <= datetime.now(UTC)
    versions = described.versions
    assert set(versions) == {"python", "ray", "optuna", "torch", "numpy", "scipy", "pandas", "pyarrow"}
    assert all(versions[name] == version(name) for name in versions if name != "python")


def test_what_is_taken_over_from_another_search_is_written_whole(split: Split, plan: Plan) -> None:
    assert begun(split, plan).warm_start is None
    warm = WarmStart("runs/earlier", (4, 2), ({"regularization": 70.0}, {"regularization": 90.0}), (1,))
    assert begun(split, plan, warm).warm_start == warm


def test_the_same_search_goes_on(split: Split, plan: Plan) -> None:
    check_same(begun(split, plan), CONFIG, SPACE, split, FOLDER)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "recvae"},
        {"seed": 4},
        {"max_passes": 10},
        {"min_passes": 2},
        {"reduction_factor": 4},
        {"metric": "recall_20"},
        {"sampler": "random"},
        {"scheduler": "none"},
        {"space": "ease"},
        {"precision": "float32"},
        {"warm_start": "runs/earlier"},
    ],
)
def test_a_setting_that_decides_what_is_found_must_stay(
    split: Split, plan: Plan, change: dict[str, Any]
) -> None:
    ((name, value),) = change.items()
    said = refusal(begun(split, plan), split, replace(CONFIG, **change))
    assert f"was started with {name}={getattr(CONFIG, name)!r}, now it is {value!r}" in said
    assert said.endswith("; resume with the same settings or start over in another folder")


def test_how_much_and_with_what_may_change(split: Split, plan: Plan) -> None:
    changes: dict[str, Any] = {
        "data": "elsewhere", "trials": 50, "time_budget_s": None, "concurrent": 7, "gpus_per_trial": 1,
        "cpus_per_trial": 2, "address": "auto", "elastic": True, "checkpoint_every_s": 1.0, "log_to": "mlflow",
        "storage": "sqlite:///study.db", "notify": "true", "price_per_hour": 0.5, "enough": 0.001, "widen": True,
        "keep_checkpoints": "all",
    }  # fmt: skip
    assert set(changes) == CHANGEABLE
    check_same(begun(split, plan), replace(CONFIG, **changes), SPACE, split, FOLDER)


def other_space(part: str) -> SearchSpace:
    form = SPACE.to_dict()
    if part == "range":
        form["parameters"]["regularization"]["high"] = 6000
    elif part == "start":
        form["base"]["regularization"] = 501.0
    else:
        form[part] = "other words"
    return SearchSpace.from_dict(form)


@pytest.mark.parametrize("part", ["range", "start", "model"])
def test_another_space_is_refused(split: Split, plan: Plan, part: str) -> None:
    said = refusal(begun(split, plan), split, space=other_space(part))
    assert said.endswith("was started with another search space; resume with the same one, or start over")


@pytest.mark.parametrize("part", ["description", "source"])
def test_what_a_space_says_of_itself_may_be_written_anew(split: Split, plan: Plan, part: str) -> None:
    check_same(begun(split, plan), CONFIG, other_space(part), split, FOLDER)


def test_other_data_is_refused_whatever_its_name(split: Split, plan: Plan) -> None:
    other = synthetic_split(n_users=100, n_items=60, seed=3)
    said = refusal(begun(split, plan), other)
    assert re.search(
        rf"fingerprint {split.fingerprint}, this one has {other.fingerprint}; resume with the same", said
    )


def test_a_search_may_grow_and_not_shrink(split: Split, plan: Plan) -> None:
    check_same(begun(split, plan), replace(CONFIG, trials=6), SPACE, split, FOLDER)
    said = refusal(begun(split, plan), split, replace(CONFIG, trials=4))
    assert said == f"--trials 4 is below the 5 that {FOLDER} was started with; a resumed search may only grow"
