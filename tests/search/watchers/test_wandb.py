"""What Weights & Biases is told: a run a trial, closed by how it ended. A double of its client listens."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.space.space import SearchSpace
from distrecvae.search.watchers.trackers import Tolerant, make_loggers
from tests.search.reported import make_search

SPACE = SearchSpace.load("recvae-demo")


def open_logger(folder: Path, ledger: Ledger, said: list[str]) -> Tolerant:
    config = SearchConfig(data="data/toy", trials=6, max_passes=20, log_to="wandb")
    *_, logger = make_loggers(  # the first one is the study's journal
        config, folder=folder, space=SPACE, ledger=ledger, started="2026", tell=said.append
    )
    return logger


@pytest.mark.filterwarnings("default")  # wandb's own
def test_wandb_writes_a_run_a_trial_into_the_results_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    ledger, said = make_search(tmp_path, space=SPACE, trials=2, max_passes=8), list[str]()
    open_logger(tmp_path, ledger, said).finish(complete=True, scores={"test/ndcg_100": 0.25})
    assert said == []
    written = sorted(path.name for path in (tmp_path / "wandb").glob("offline-run-*"))
    assert len(written) == 3, "two trials and the best model"
    files = b"".join(path.read_bytes() for path in (tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    for word in (b"valid/ndcg_100", b"learning_rate", b"test/ndcg_100"):
        assert word in files
    open_logger(tmp_path, ledger, said)
    assert sorted(path.name for path in (tmp_path / "wandb").glob("offline-run-*")) == written


class Run:
    """A double of wandb's run: it knows how far it was written before, and refuses to be used once closed."""

    def __init__(self, step: int, **opened_with: Any) -> None:
        self.step, self.opened_with = step, opened_with
        self.logged: list[tuple[int, float]] = []
        self.summary: dict[str, Any] = {}
        self.exit_code: int | None = None

    def log(self, values: dict[str, Any], step: int) -> None:
        assert self.exit_code is None
        self.logged.append((step, values["valid/ndcg_100"]))

    def finish(self, exit_code: int = 0) -> None:
        assert self.exit_code is None, "it is closed once"
        self.exit_code = exit_code


class Wandb(ModuleType):
    """A double of the package: its runs by id."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.runs: dict[str, Run] = {}
        self.known_steps: dict[str, int] = {}
        self.torn_down = 0

    def init(self, *, id: str, **about: Any) -> Run:
        self.runs[id] = Run(self.known_steps.get(id, 0), **about)
        return self.runs[id]

    def Settings(self, **settings: Any) -> dict[str, Any]:
        return settings

    def teardown(self) -> None:
        assert all(run.exit_code is not None for run in self.runs.values()), "a run is still open"
        self.torn_down += 1


MODULE = "distrecvae.search.watchers.wandb"


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wandb]:
    double = Wandb()
    before = sys.modules.pop(MODULE, None)
    monkeypatch.setitem(sys.modules, "wandb", double)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    yield double
    sys.modules.pop(MODULE, None)  # or others would get the module that knows the double
    if before is not None:
        sys.modules[MODULE] = before


def opened(folder: Path) -> Any:
    from distrecvae.search.watchers.wandb import WandbLog

    return WandbLog(folder=folder, space=SPACE, config=SearchConfig(), search_id="s1")


def record(number: int, *scores: float, status: Status = Status.RUNNING, reason: str = "") -> TrialRecord:
    trial = TrialRecord(number, SPACE.default_config(), status, reason=reason)
    for n, score in enumerate(scores, 1):
        trial.reports.append({"passes": 4 * n, "cycle": n, "valid/ndcg_100": score})
        trial.best.append(max(scores[:n]))
    return trial


def test_a_trials_run_has_its_values_its_search_and_an_id_that_stays(wandb: Wandb, tmp_path: Path) -> None:
    opened(tmp_path).started(record(7))
    assert list(wandb.runs) == ["s1-00007"]
    about = wandb.runs["s1-00007"].opened_with
    expected = {
        name: value for name, value in SPACE.flatten(SPACE.default_config()).items() if value is not None
    }
    assert about["config"] == expected
    assert "beta" not in expected, "a branch that was not chosen has no value"
    assert (about["project"], about["group"], about["name"]) == ("distrecvae", tmp_path.name, "trial 7")
    assert (about["job_type"], about["dir"], about["resume"]) == ("recvae", str(tmp_path.resolve()), "allow")
    assert about["reinit"] == "create_new", "several trials run at once"


def test_the_project_is_the_one_that_wandbs_variable_names(
    wandb: Wandb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    opened(tmp_path).started(record(0))
    assert wandb.runs["s1-00000"].opened_with["project"] == "mine"


def test_trials_that_run_at_once_report_each_into_its_own_run(wandb: Wandb, tmp_path: Path) -> None:
    log = opened(tmp_path)
    for trial in (record(0), record(1)):
        log.started(trial)
    for trial in (record(0, 0.1), record(1, 0.3), record(0, 0.1, 0.2)):
        log.reported(trial)
    assert wandb.runs["s1-00000"].logged == [(4, 0.1), (8, 0.2)]
    assert wandb.runs["s1-00001"].logged == [(4, 0.3)]


def test_a_trial_that_goes_on_reports_what_its_run_lacks(wandb: Wandb, tmp_path: Path) -> None:
    wandb.known_steps["s1-00000"] = 9  # the step after the one of the last report there
    opened(tmp_path).started(record(0, 0.1, 0.2, 0.3))
    assert wandb.runs["s1-00000"].logged == [(12, 0.3)]


@pytest.mark.parametrize(
    ("status", "exit_code", "score"),
    [
        (Status.FINISHED, 0, 0.4),
        (Status.STOPPED, 0, 0.4),
        (Status.DIVERGED, 1, 0.0),
        (Status.FAILED, 1, None),
    ],
)
def test_a_run_is_closed_by_how_its_trial_ended(
    wandb: Wandb, tmp_path: Path, status: Status, exit_code: int, score: float | None
) -> None:
    log = opened(tmp_path)
    log.started(record(0, 0.4, 0.3))
    log.ended(record(0, 0.4, 0.3, status=status, reason="so it was"))
    run = wandb.runs["s1-00000"]
    assert run.exit_code == exit_code
    assert run.summary == {"status": str(status), "reason": "so it was", "score": score}
    log.finish(complete=False, scores={})
    assert wandb.torn_down == 1


def test_the_end_of_a_complete_search_writes_the_best_models_scores(wandb: Wandb, tmp_path: Path) -> None:
    opened(tmp_path).finish(complete=True, scores={"test/ndcg_100": 0.25})
    assert list(wandb.runs) == ["s1-best"]
    assert wandb.runs["s1-best"].summary == {"test/ndcg_100": 0.25}
    assert (wandb.runs["s1-best"].exit_code, wandb.torn_down) == (0, 1)


@pytest.mark.parametrize(("complete", "scores"), [(False, {"test/ndcg_100": 0.25}), (True, {})])
def test_a_search_without_an_end_or_a_score_has_no_such_run(
    wandb: Wandb, tmp_path: Path, complete: bool, scores: dict[str, float]
) -> None:
    log = opened(tmp_path)
    log.started(record(0, 0.1))
    log.finish(complete=complete, scores=scores)
    assert list(wandb.runs) == ["s1-00000"]
    assert (wandb.runs["s1-00000"].exit_code, wandb.torn_down) == (1, 1)


def test_what_was_written_before_is_known_by_the_files_in_the_results_folder(
    wandb: Wandb, tmp_path: Path
) -> None:
    for name in ("offline-run-20261125_100000-s1-00003", "run-20261125_100000-s1-00004", "run-2026-s2-00005"):
        (tmp_path / "wandb" / name).mkdir(parents=True)
    log = opened(tmp_path)
    assert [number for number in range(7) if log.knows_end(record(number))] == [3, 4]
