"""A whole search on a real Ray, as typed: what it leaves behind, and what interruptions of every kind do not change."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
import pytest
from tensorboard import context
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups
from tensorboard.plugins.scalar import metadata as scalar_metadata

from distrecvae.data.io import load_dataset
from distrecvae.evaluation import evaluate
from distrecvae.saved.model import load_model
from distrecvae.search.core.records import KEPT_TRIALS
from tests import HANGS_AFTER_S
from tests.results import n_reports, scores
from tests.sites import Site

pytestmark = pytest.mark.ray

STARTED = pytest.mark.usefixtures("cluster")
"""Of a search that runs in this process: what is looked at is what it finds, not how its process begins and ends."""

# One worker: only then is the order of reports, and with it the whole course of the search, determined.
SETTINGS = (
    "--trials",
    "7",
    "--max-passes",
    "24",
    "--min-passes",
    "4",
    "--concurrent",
    "1",
    "--checkpoint-every",
    "0.05",
)
TIMES = ["duration_s", "train_s", "evaluate_s"]


@dataclass(frozen=True)
class Whole:
    """A search that ran undisturbed in a process of its own.

    Attributes:
        folder: its results.
        stdout: what it printed.
        stderr: likewise.
        workers: ids of the processes that its trials ran in, as far as was seen.
    """

    folder: Path
    stdout: str
    stderr: str
    workers: frozenset[int]


@pytest.fixture(scope="module")
def whole(site: Site) -> Whole:
    seen: set[int] = set()
    out, err = site.folder / "whole.out", site.folder / "whole.err"
    with out.open("w") as said, err.open("w") as complained:
        process = subprocess.Popen(
            site.arguments(*SETTINGS, "--out", "whole"),
            cwd=site.folder, env=site.environment(), stdout=said, stderr=complained,
        )  # fmt: skip
        while process.poll() is None:
            seen |= {p.pid for p in psutil.Process(process.pid).children(recursive=True) if is_worker(p)}
            time.sleep(0.1)
    assert process.returncode == 0, out.read_text() + err.read_text()
    return Whole(site.folder / "whole", out.read_text(), err.read_text(), frozenset(seen))


def trials(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "trials.parquet").drop(columns=TIMES, errors="ignore")


def history(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "history.parquet").drop(columns=TIMES, errors="ignore")


def same_search(folder: Path, other: Path) -> None:
    pd.testing.assert_frame_equal(trials(folder), trials(other))
    pd.testing.assert_frame_equal(history(folder), history(other))
    assert scores(folder) == scores(other)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + HANGS_AFTER_S
    while not condition():
        assert process.poll() is None, f"the search ended too early: {process.communicate()[0]}"
        assert time.monotonic() < deadline, "the search does not get on"
        time.sleep(0.02)


def test_the_summary_says_what_was_found_and_what_to_do_next(whole: Whole) -> None:
    folder, done = whole.folder, whole
    assert (folder / "summary.txt").read_text().strip() in done.stdout
    for words in (
        "7 of 7 trials",
        "NDCG@100",
        "Recall@20",
        "Recall@50",
        "report.html",
        "tensorboard --logdir",
        "distrecvae train",
    ):
        assert words in done.stdout
    assert "7 of 7 trials" in (folder / "report.html").read_text(encoding="utf-8")
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr == "", "Ray's own words are for -v"


@STARTED
def test_a_warm_start_repeats_itself_without_the_search_that_it_came_from(site: Site, whole: Whole) -> None:
    earlier = trials(whole.folder).iloc[1:].sort_values(["score", "trial"], ascending=[False, True])
    names = [
        name
        for name in earlier
        if str(name).startswith(("latent", "learning", "mixture", "kl", "gamma", "beta"))
    ]
    shutil.copytree(whole.folder, site.folder / "lent")
    options = (
        "--warm-start",
        "lent",
        "--warm-start-trials",
        "2",
        "--max-passes",
        "8",
        "--concurrent",
        "1",
        "--out",
        "warm",
    )
    done = site.search_here(*options, "--trials", "2")
    assert done.returncode == 0, done.stderr
    assert "Warm start from lent: trials " in done.stdout
    shutil.rmtree(site.folder / "lent")
    assert site.search_here(*options, "--trials", "3", "--resume").returncode == 0
    later = trials(site.folder / "warm").iloc[1:3]
    pd.testing.assert_frame_equal(
        later[names].reset_index(drop=True), earlier[names].head(2).reset_index(drop=True)
    )


def test_the_first_trial_is_the_published_configuration_scaled_by_the_space(whole: Whole) -> None:
    first = trials(whole.folder).iloc[0]
    assert first["latent_dim"] == 8
    assert first["gamma"] == 0.005
    assert [first[f"mixture_weights.{c}"] for c in ("standard", "previous", "wide")] == pytest.approx(
        [0.15, 0.75, 0.1]
    )


def test_tables_agree_with_each_other(whole: Whole) -> None:
    table, points = trials(whole.folder), history(whole.folder)
    assert list(table["trial"]) == list(range(7))
    assert set(table["status"]) <= {"finished", "stopped"}
    assert "stopped" in set(table["status"]), "seven trials at factor 3 without one stopped: ASHA did nothing"
    best = points.groupby("trial")["valid/ndcg_100"].max()
    assert table["score"].tolist() == best.tolist()
    assert points.groupby("trial")["passes"].max().tolist() == table["passes"].tolist()
    assert len(pd.read_csv(whole.folder / "trials.csv")) == 7


def test_the_best_model_scores_what_the_summary_says(whole: Whole, site: Site) -> None:
    loaded = load_model(whole.folder / "best")
    split = load_dataset(site.folder / "data")
    described = json.loads((whole.folder / "search.json").read_text())
    assert loaded.data["fingerprint"] == described["dataset"]["fingerprint"]
    assert loaded.data["fingerprint"] in (whole.folder / "best" / "README.md").read_text()
    metrics = json.loads((whole.folder / "best" / "metrics.json").read_text())
    assert loaded.item_ids.tolist() == split.item_ids.tolist()
    assert evaluate(loaded.recommender, split.valid).mean("ndcg_100") == pytest.approx(
        metrics["valid"]["mean"]["ndcg_100"]
    )
    assert evaluate(loaded.recommender, split.test).mean("ndcg_100") == pytest.approx(
        metrics["test"]["mean"]["ndcg_100"]
    )
    table = trials(whole.folder)
    assert metrics["valid"]["mean"]["ndcg_100"] == pytest.approx(table["score"].max(), abs=1e-6)


def test_only_models_worth_keeping_are_kept(whole: Whole) -> None:
    kept = {int(path.parent.name) for path in (whole.folder / "trials").glob("*/*.safetensors")}
    best = (
        trials(whole.folder).sort_values("score", ascending=False, kind="stable")["trial"].head(KEPT_TRIALS)
    )
    assert kept == {0, *best}
    assert not (whole.folder / ".ray").exists()


def test_tensorboard_shows_curves_and_compares_hyperparameters(whole: Whole) -> None:
    # Read back by TensorBoard's own backend, as its pages ask for it.
    table, points = trials(whole.folder), pd.read_parquet(whole.folder / "history.parquet")
    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(whole.folder))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(whole.folder))
    asked = context.RequestContext()
    scalars = provider.read_scalars(
        asked, experiment_id="", plugin_name=scalar_metadata.PLUGIN_NAME, downsample=1000
    )
    backend = backend_context.Context(base_plugin.TBContext(data_provider=provider, multiplexer=multiplexer))
    experiment = backend.experiment_from_metadata(asked, "", True, backend.hparams_metadata(asked, ""), None)
    columns = {info.name: info.type for info in experiment.hparam_infos}
    request = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=100, include_metrics=True)
    request.allowed_statuses.extend([api_pb2.STATUS_SUCCESS])
    groups = {
        g.name: g for g in list_session_groups.Handler(asked, backend, "", request).run().session_groups
    }

    assert set(columns) == {"latent_dim", "learning_rate", "kl_weight", "gamma", "beta"} | {
        f"mixture_weights.{c}" for c in ("standard", "previous", "wide")
    }
    assert columns["beta"] == api_pb2.DATA_TYPE_FLOAT64
    assert columns["kl_weight"] == api_pb2.DATA_TYPE_STRING
    infos = {info.name: info for info in experiment.hparam_infos}
    assert list(infos["kl_weight"].domain_discrete) == ["gamma", "beta"]
    assert {name for name, info in infos.items() if not info.differs} == {"gamma", "beta"}, (
        "what only some trials have must not be shown from the start: the tab's plots would leave the others out"
    )
    rate = infos["learning_rate"].domain_interval
    assert rate.min_value < table["learning_rate"].min() <= table["learning_rate"].max() < rate.max_value
    assert [info.name.tag for info in experiment.metric_infos] == [
        "best/ndcg_100",
        "best/recall_20",
        "best/recall_50",
        "cost/passes",
        "cost/duration_s",
    ]
    assert set(scalars) == {f"trials/{number:05d}" for number in table["trial"]} == set(groups)
    for _, row in table.iterrows():
        mine = points[points["trial"] == row["trial"]]
        curve = scalars[f"trials/{row['trial']:05d}"]["valid/ndcg_100"]
        assert [point.step for point in curve] == mine["passes"].tolist()
        assert [point.value for point in curve] == pytest.approx(mine["valid/ndcg_100"].tolist())
        group = groups[f"trials/{row['trial']:05d}"]
        metrics = {value.name.tag: value.value for value in group.metric_values}
        for name in ("ndcg_100", "recall_20", "recall_50"):
            assert metrics[f"best/{name}"] == pytest.approx(row[f"valid/{name}"])
        assert metrics["cost/passes"] == row["passes"]
        assert metrics["cost/duration_s"] == pytest.approx(
            mine["train_s"].sum() + mine["evaluate_s"].sum(), rel=1e-4
        )
        assert group.hparams["learning_rate"].number_value == pytest.approx(row["learning_rate"])
        assert group.hparams["kl_weight"].string_value == row["kl_weight"]
        assert ("beta" in group.hparams) == (row["kl_weight"] == "beta")


@pytest.mark.slow
def test_killed_and_interrupted_again_and_again_it_ends_as_the_undisturbed_one(
    site: Site, whole: Whole
) -> None:
    # One search, for each further one costs two starts of Ray: what was taken up wrongly once is wrong at the end.
    folder, ledger = site.folder / "disturbed", site.folder / "disturbed" / "ledger.jsonl"
    settings = (*SETTINGS, "--out", "disturbed")

    def interrupt(process: subprocess.Popen[str], after: int, number: signal.Signals) -> str:
        """Send a signal after so many reports; return what was printed."""
        wait_for(lambda: n_reports(folder) >= after, process)
        assert n_reports(folder) < n_reports(whole.folder), "it was over before it was disturbed"
        process.send_signal(number)
        output, _ = process.communicate(timeout=HANGS_AFTER_S)
        assert process.returncode == 130, output
        assert "Traceback" not in output
        assert "--out disturbed --resume" in output
        state = json.loads((folder / "search.json").read_text())
        assert state["status"] == "interrupted"
        assert len(history(folder)) == n_reports(folder), "the tables have everything up to then"
        return output

    # A job starts it (--resume-or-start), and resumes it by itself where its driver is killed; interrupted, both end.
    with site.searching(*settings, module="distrecvae.job", environment=site.unhurried()) as job:
        # A trial's process dies: another one continues from its checkpoint.
        wait_for(lambda: n_reports(folder) >= 2, job)
        (worker,) = (p for p in psutil.Process(job.pid).children(recursive=True) if is_worker(p))
        worker.kill()
        reported = n_reports(folder)
        wait_for(lambda: n_reports(folder) >= reported + 2, job)
        (driver,) = psutil.Process(job.pid).children()
        driver.kill()
        driver.wait()
        written = ledger.read_bytes()
        output = interrupt(job, 7, signal.SIGTERM)
    assert output.count("the search ended by signal 9 (Killed); it restarts in 1 s (1 of 10)") == 1
    assert output.count("it restarts in") == 1
    assert output.count(" lost its process or its node; it continues from its last checkpoint") == 1
    assert ledger.read_bytes().startswith(written[: written.rfind(b"\n") + 1]), (
        "what was reported was not kept"
    )
    with site.searching(*settings, "--resume", environment=site.unhurried()) as process:
        interrupt(process, 13, signal.SIGINT)
    done = site.search(*settings, "--resume-or-start")
    assert done.returncode == 0, done.stdout + done.stderr
    same_search(folder, whole.folder)
    assert (folder / "best/model.safetensors").read_bytes() == (
        whole.folder / "best/model.safetensors"
    ).read_bytes()


def is_worker(process: psutil.Process) -> bool:
    try:
        return "ray::ImplicitFunc" in " ".join(process.cmdline()) or "ray::trainable" in " ".join(
            process.cmdline()
        )
    except psutil.Error:
        return False


def test_one_worker_process_runs_all_trials(whole: Whole) -> None:
    assert len(whole.workers) == 1


@STARTED
@pytest.mark.parametrize("option", ["--resume", "--resume-or-start"])
def test_resuming_a_finished_search_says_its_summary_again(site: Site, whole: Whole, option: str) -> None:
    before = (whole.folder / "trials.csv").read_text()
    again = site.search_here(*SETTINGS, "--out", "whole", option)
    assert again.returncode == 0
    assert "7 of 7 trials" in again.stdout
    assert (whole.folder / "trials.csv").read_text() == before


@STARTED
def test_a_diverging_trial_ends_with_its_reason_and_the_search_goes_on(site: Site) -> None:
    space = "model: recvae\nfixed: {latent_dim: 8, hidden_dim: 24, batch_size: 50}\nparameters:\n"
    space += (
        "  learning_rate: {type: categorical, choices: [1.0e-3, 1.0e+30]}\ndefault: {learning_rate: 1.0e-3}\n"
    )
    (site.folder / "wild.yaml").write_text(space, encoding="utf-8")
    settings = (
        "--space",
        "./wild.yaml",
        "--sampler",
        "random",
        "--trials",
        "6",
        "--max-passes",
        "8",
        "--min-passes",
        "4",
    )
    done = site.search_here(*settings, "--concurrent", "1", "--out", "wild")
    assert done.returncode == 0, done.stdout + done.stderr
    table = trials(site.folder / "wild")
    wild = table[table["learning_rate"] > 1]
    assert len(wild) > 0
    assert set(wild["status"]) == {"diverged"}
    assert set(wild["score"]) == {0.0}
    assert all("learning_rate" in reason for reason in wild["reason"])
    assert set(table[table["learning_rate"] < 1]["status"]) <= {"finished", "stopped"}
    assert f"{len(wild)} diverged: " in done.stdout


@STARTED
def test_a_model_without_parameters_is_one_trial_of_one_pass(site: Site) -> None:
    done = site.search_here("--model", "popularity", "--space", "popularity", "--out", "popular")
    assert done.returncode == 0, done.stdout + done.stderr
    assert trials(site.folder / "popular")[["status", "passes"]].to_numpy().tolist() == [["finished", 1]]


@STARTED
def test_a_model_solved_at_once_is_searched_one_pass_a_trial(site: Site) -> None:
    done = site.search_here(
        "--model", "ease", "--space", "ease", "--trials", "3", "--concurrent", "1", "--out", "solved"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = trials(site.folder / "solved")
    assert table[["status", "passes"]].to_numpy().tolist() == [["finished", 1]] * 3
    assert table["regularization"][0] == 500
    assert table[["regularization", "dropout", "xi"]].drop_duplicates().shape[0] == 3, (
        "no configuration twice"
    )
    assert "3 of 3 trials (3 finished)" in done.stdout


@STARTED
@pytest.mark.slow
def test_a_folder_in_use_is_not_entered_and_the_search_in_it_goes_on(site: Site) -> None:
    settings = (*SETTINGS, "--trials", "500", "--out", "busy")  # more than it gets time for
    with site.searching(*settings, environment=site.unhurried()) as process:
        wait_for(lambda: n_reports(site.folder / "busy") >= 1, process)
        second = site.search_here(*settings, "--resume")
        assert second.returncode == 2
        assert "in use" in second.stderr
        before = n_reports(site.folder / "busy")
        wait_for(lambda: n_reports(site.folder / "busy") > before, process)


@STARTED
def test_a_search_may_grow_but_not_change(site: Site, whole: Whole) -> None:
    first = site.search_here(*SETTINGS, "--out", "grown", "--trials", "4")
    assert first.returncode == 0, first.stdout + first.stderr
    changed = site.search_here(*SETTINGS, "--out", "grown", "--resume", "--max-passes", "48")
    assert changed.returncode == 2
    assert "max_passes=24, now it is 48" in changed.stderr
    grown = site.search_here(*SETTINGS, "--out", "grown", "--resume")
    assert grown.returncode == 0, grown.stdout + grown.stderr
    same_search(site.folder / "grown", whole.folder)
