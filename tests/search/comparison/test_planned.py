"""A comparison's plan: what its seeds and others' systems are is counted, and refused, as the comparison would."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from distrecvae.data.io import save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ConfigError, DataError, DistrecvaeError, ResultsError
from distrecvae.search import launch
from distrecvae.search.comparison.entrants import entrants
from distrecvae.search.comparison.files import Description, write_description
from distrecvae.search.comparison.planned import plans_of, plans_text
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.on_ray.session import Session
from distrecvae.search.planning.resources import Cluster
from distrecvae.training.device import DeviceFacts
from tests import ROOT
from tests.whole.test_bad_input import GIB, without_ray

SPLIT = synthetic_split(n_users=100, n_items=60, seed=1)
CONFIG = SearchConfig(data="data", trials=4, max_passes=12, min_passes=4, seed=5)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working directory with a data set and a table of others' scores; there is a cluster and no Ray."""
    save_dataset(SPLIT, tmp_path / "data", {})
    users = SPLIT.user_ids[SPLIT.train.n_users :].tolist()
    scores = [(user, item, -at) for user in users for at, item in enumerate(SPLIT.item_ids.tolist())]
    pd.DataFrame(scores, columns=["user_id", "item_id", "score"]).to_parquet(tmp_path / "theirs.parquet")
    monkeypatch.chdir(tmp_path)
    without_ray(monkeypatch, Cluster(((2.0, 0.0),), GIB, 8 * GIB))
    monkeypatch.setattr(launch, "survey", lambda *_: DeviceFacts("the CPU", "float32", 0))
    return tmp_path


def plan(*names: str, **asked: Any) -> str:
    return plans_text(entrants(names, CONFIG), folder=Path("out"), verbose=False, **asked)


def test_seeds_are_counted_beside_the_trials(here: Path) -> None:
    """`compare --seeds 3 --dry-run` said nothing of them: half of what it would do was not in its plan."""
    before = sorted(here.rglob("*"))
    text = plan("multvae", "ease", seeds=3, scores=["knn=theirs.parquet"])
    of_multvae, of_ease, whole = text.split("\n\n== ")
    assert "5, 6, 7: the chosen configuration trained again with each, at most 36 passes more" in of_multvae
    assert of_multvae.index("\nbudget ") < of_multvae.index("\nseeds ") < of_multvae.index("\ntime budget ")
    assert "seeds       3, and one training for all: nothing in it is random; " in of_ease
    # multvae: 4 trials and 3 trainings of 12 passes; ease: 4 trials and one training of 1 pass.
    whole, note = whole.split("\n\n")
    assert note.startswith("knn: "), "what of their scores does not count is said before anything is trained"
    assert "scores of test users' shown items masked" in " ".join(note.split())
    assert whole == (
        "in all\n2 searches, 8 trials, 4 trainings with seeds, 1 system trained elsewhere, at most 89 passes"
    )
    assert sorted(here.rglob("*")) == before


def test_without_seeds_it_is_the_searches(here: Path) -> None:
    text = plan("ease", "popularity")
    assert "seeds" not in text
    assert text.endswith("== in all\n2 searches, 5 trials, at most 5 passes")


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"seeds": 1}, ConfigError, "--seeds 1: one seed tells nothing"),
        ({"scores": ["ease=theirs.parquet"]}, ConfigError, "a search of this comparison has that name"),
        ({"scores": ["theirs.parquet"]}, ConfigError, "is not NAME=PATH"),
        ({"scores": ["knn=absent.parquet"]}, DataError, "absent.parquet does not exist"),
        ({"resume": True}, ResultsError, "out holds no comparison"),
    ],
)
def test_what_a_comparison_refuses_its_plan_refuses(
    asked: dict[str, Any], error: type[DistrecvaeError], words: str
) -> None:
    with pytest.raises(error, match=words):
        plan("ease", **asked)


def test_one_that_would_go_on_has_the_seeds_that_it_was_begun_with() -> None:
    begun = Description(
        status="running", distrecvae="0", command="", started="", settings={}, fingerprint="", entrants=("ease",),
        seeds=3, scores=("knn=theirs.parquet",),
    )  # fmt: skip
    Path("out").mkdir()
    write_description(Path("out"), begun)
    assert "1 training with seeds, 1 system trained elsewhere" in plan("ease", resume=True)
    with pytest.raises(ConfigError, match="started with 3 seeds, --seeds is 2"):
        plan("ease", resume=True, seeds=2)


def test_a_search_that_was_begun_keeps_its_precision_and_its_budget(here: Path) -> None:
    # Resumed on another machine a comparison trained its seeds in that one's precision, beside searches of the first's.
    place = here / "out" / "recvae"
    place.mkdir(parents=True)
    form = json.loads((ROOT / "tests" / "kept" / "search-2" / "search.json").read_text(encoding="utf-8"))
    form["plan"]["precision"] = "bfloat16"
    (place / "search.json").write_text(json.dumps(form), encoding="utf-8")
    listed = entrants(("recvae",), replace(CONFIG, max_passes=4))
    session = Session(Cluster(((2.0, 0.0),), GIB, 8 * GIB), SPLIT)
    assert plans_of(listed, session, here / "out")["recvae"].precision == "bfloat16"
    with pytest.raises(ConfigError, match="recvae: --max-passes is 4 and a cycle of recvae takes up to 7"):
        plans_of(listed, session, None)
    assert plans_of(entrants(("recvae",), CONFIG), session, None)["recvae"].precision == "float32"
