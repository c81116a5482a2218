"""A comparison as typed, on a real Ray: one table from whole searches, the same after a kill; and its numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from distrecvae.blending.facts import read_facts
from distrecvae.data.io import load_dataset
from distrecvae.data.prepared import prepare_data
from distrecvae.errors import ConfigError, DataError
from distrecvae.evaluation import evaluate
from distrecvae.metrics import METRICS
from distrecvae.saved.model import load_model
from distrecvae.search.comparison import comparison
from distrecvae.search.comparison.entrants import entrants
from distrecvae.search.comparison.files import Description, write_description
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.planning.resources import Cluster
from tests.results import n_reports
from tests.sites import Site, typed_here
from tests.whole.test_search import wait_for

BUDGET = ("--trials", "3", "--max-passes", "12", "--min-passes", "4", "--concurrent", "1", "--seed", "5")
TIMES = ["search_s", "best_trial_s"]


def arguments(*options: str) -> list[str]:
    return [
        sys.executable, "-m", "distrecvae", "compare", "--data", "data",
        "--models", "popularity,./space.yaml,ease", "--checkpoint-every", "0.05", *BUDGET, *options,
    ]  # fmt: skip


def compare(site: Site, *options: str) -> subprocess.CompletedProcess[str]:
    """Compare in this process, on the file's Ray."""
    return typed_here(site.folder, *arguments(*options)[3:])


@pytest.fixture(scope="module")
def whole(site: Site, cluster: Cluster) -> tuple[Path, subprocess.CompletedProcess[str]]:
    done = compare(site, "--out", "compared")
    assert done.returncode == 0, done.stdout + done.stderr
    return site.folder / "compared", done


@pytest.mark.ray
def test_the_table_has_each_models_own_scores(whole: tuple[Path, Any], site: Site) -> None:
    folder, done = whole
    table = pd.read_csv(folder / "comparison.csv").set_index("name")
    assert set(table.index) == {"popularity", "space", "ease"}
    assert table["valid_ndcg_100"].is_monotonic_decreasing
    assert table["trials"].to_dict() == {"popularity": 1, "space": 3, "ease": 3}
    split = load_dataset(site.folder / "data")
    for name in table.index:
        scored = evaluate(load_model(folder / name / "best").recommender, split.test)
        saved = json.loads((folder / name / "best" / "metrics.json").read_text())["test"]
        for metric in METRICS:
            assert table.loc[name, f"test_{metric}"] == pytest.approx(scored.mean(metric))
            assert saved["mean"][metric] == pytest.approx(scored.mean(metric))
            assert table.loc[name, f"test_{metric}_standard_error"] == pytest.approx(
                scored.standard_error(metric)
            )
    users = pd.read_parquet(folder / "test_per_user.parquet")
    assert users.groupby("model")["ndcg_100"].mean().to_dict() == pytest.approx(
        table["test_ndcg_100"].to_dict()
    )
    assert done.stderr == ""
    assert (folder / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "comparison.md").read_text().count("\n| ") >= 8
    assert (folder / "summary.txt").read_text().strip() in done.stdout
    assert "Blended: " in done.stdout or "No blend is better" in done.stdout
    candidates = {each.name.split()[0] for each in read_facts(folder / "blend").candidates}
    assert candidates == {"popularity", "space", "ease"}


@pytest.mark.ray
def test_killed_and_resumed_it_ends_with_the_same_table(whole: tuple[Path, Any], site: Site) -> None:
    process = subprocess.Popen(
        arguments("--out", "killed"), cwd=site.folder, env=site.environment(), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        wait_for(lambda: n_reports(site.folder / "killed" / "space") >= 2, process)
    finally:
        process.kill()
        process.communicate()
    killed = site.folder / "killed"
    assert (killed / "popularity" / "best").exists()
    assert not (killed / "ease").exists()
    done = compare(site, "--out", "killed", "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    resumed = pd.read_csv(killed / "comparison.csv").drop(columns=TIMES)
    pd.testing.assert_frame_equal(resumed, pd.read_csv(whole[0] / "comparison.csv").drop(columns=TIMES))


@pytest.mark.ray
def test_a_finished_comparison_takes_another_model_and_no_other_budget(
    whole: tuple[Path, Any], site: Site
) -> None:
    more = compare(site, "--out", "compared", "--resume", "--models", "popularity,ease,./space.yaml,multvae",
                   "--trials", "3")  # fmt: skip
    assert more.returncode == 0, more.stdout + more.stderr
    assert len(pd.read_csv(whole[0] / "comparison.csv")) == 4
    refused = compare(site, "--out", "compared", "--resume", "--max-passes", "13")
    assert refused.returncode == 2
    assert "max_passes=12" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_seeds_and_systems_of_others_are_checked_before_anything_runs(tmp_path: Path) -> None:
    listed = entrants(["ease"], SearchConfig(data="data"))
    with pytest.raises(ConfigError, match="--seeds 1: one seed tells nothing"):
        comparison.compare(listed, tmp_path / "new", resume=False, command="", seeds=1)
    with pytest.raises(ConfigError, match="a search of this comparison has that name"):
        comparison.compare(listed, tmp_path / "new", resume=False, command="", scores=["ease=a.csv"])
    assert not (tmp_path / "new").exists()
    begun = Description(
        status="running", distrecvae="0", command="", started="", settings={}, fingerprint="", entrants=("ease",),
        seeds=3, scores=("knn=a.csv",),
    )  # fmt: skip
    write_description(tmp_path, begun)
    with pytest.raises(ConfigError, match="started with 3 seeds, --seeds is 2; they may only grow"):
        comparison.compare(listed, tmp_path, resume=True, command="", seeds=2)
    clash = entrants(["popularity"], SearchConfig(data="data"))
    write_description(tmp_path, replace(begun, scores=("popularity=a.csv",)))
    with pytest.raises(ConfigError, match="a search of this comparison has that name"):
        comparison.compare(clash, tmp_path, resume=True, command="")


def test_a_system_that_cannot_be_compared_is_refused_before_ray_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("Ray was started")

    monkeypatch.setattr(comparison, "ray_session", never)
    data = prepare_data(None, users=100, items=60)
    (tmp_path / "theirs.csv").write_text("user_id,item_id,score\n1,2,3\n")
    listed = entrants(["ease"], SearchConfig(data=str(tmp_path / "data")))
    with pytest.raises(DataError, match=r"theirs\.csv has scores of"):
        comparison.compare(
            listed, tmp_path / "out", resume=False, command="", data=data,
            scores=[f"knn={tmp_path / 'theirs.csv'}"],
        )  # fmt: skip
