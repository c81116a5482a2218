"""What is shown while training continues, on a terminal and in a log, and what a first and a second Ctrl-C do."""

from __future__ import annotations

import io
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from rich.progress import Progress

from distrecvae.api.train import loop as train_loop
from distrecvae.api.train.loop import say, train_seeds_to_end, train_to_end
from distrecvae.cli import main
from distrecvae.data.io import save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.evaluation import Evaluation
from distrecvae.models import slim
from distrecvae.pacing import before_batch
from distrecvae.runs.history import write_history
from distrecvae.runs.training_run import Run, RunSettings
from distrecvae.search.planning.resources import Slots
from distrecvae.signals import handled

SPLIT = synthetic_split(n_users=100, n_items=60, seed=1)


@pytest.fixture(autouse=True)
def unheard_signals() -> Iterator[None]:
    """A signal that training does not hear fails the test, not the process that runs all of them."""

    def fail(number: int, _: object) -> None:
        raise AssertionError(f"signal {number} was not heard")

    with handled(fail, (signal.SIGINT, signal.SIGTERM)):
        yield


def settings(model: str = "recvae", **changes: Any) -> RunSettings:
    return RunSettings(model=model, config={}, data="data", fingerprint="", **changes)


def report(passes: int, score: float | None, **losses: float) -> dict[str, Any]:
    scores = {} if score is None else {"valid/ndcg_100": score}
    return {"passes": passes, "cycle": passes // 4, "train_s": 1.25, **scores, **losses}


def train(told: Told, settings: RunSettings) -> bool:
    return train_to_end(cast(Run, told), settings)


class Told:
    """A run that trains nothing: it gives these reports, and calls `during` with each one's place before it does."""

    def __init__(
        self,
        *reports: dict[str, Any],
        during: Callable[[Told, int], None] = lambda *_: None,
        metric: str = "ndcg_100",
    ) -> None:
        self.progress: Callable[[float], None] = lambda _: None
        self.best: dict[str, Any] | None = None
        self.ended: str | None = None
        self.passes, self.passes_per_cycle, self.remark = 0, 4, ""
        self.saved, self.n_saves = True, 0
        self.given = 0
        self._reports, self._during, self._key = reports, during, f"valid/{metric}"

    def cycles(self) -> Iterator[dict[str, Any]]:
        key = self._key
        for place, each in enumerate(self._reports):
            self._during(self, place)
            if key in each and (self.best is None or each[key] > self.best[key]):
                self.best = each
            self.passes, self.given = each["passes"], place + 1
            if place == len(self._reports) - 1:
                self.ended = "over"
            yield each

    def save(self) -> None:
        self.n_saves += 1

    def finish(self) -> dict[str, Evaluation]:
        raise AssertionError("whoever asked for the training finishes")


def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")


def plain(shown: str) -> str:
    """Return what a terminal shows, without colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


def test_a_log_has_a_line_a_report_with_the_best_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    run = Told(report(4, 0.25), report(8, 0.5, **{"train/loss": 123.456}), report(12, 0.125))
    assert train(run, settings()) is False
    assert capsys.readouterr().out.splitlines() == [
        "passes    4  NDCG@100 0.2500  best 0.2500  1.2 s",
        "passes    8  NDCG@100 0.5000  best 0.5000  loss 123.46  1.2 s",
        "passes   12  NDCG@100 0.1250  best 0.5000  1.2 s",
    ]


def test_a_line_shows_the_score_that_chooses(capsys: pytest.CaptureFixture[str]) -> None:
    reports = [{**report(4, 0.25), "valid/recall_20": 0.75}, {**report(8, 0.5), "valid/recall_20": 0.625}]
    train(Told(*reports, metric="recall_20"), settings(metric="recall_20"))
    assert "Recall@20 0.6250  best 0.7500" in capsys.readouterr().out.splitlines()[1]


def test_a_refits_line_has_a_loss_only(capsys: pytest.CaptureFixture[str]) -> None:
    # It has no validation users, so no scores.
    train(Told(report(4, None, **{"train/loss": 2.0}), report(8, None)), settings())
    assert capsys.readouterr().out.splitlines() == ["passes    4  loss 2.00  1.2 s", "passes    8    1.2 s"]


def test_a_log_hears_of_a_long_step_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def solve(run: Told, place: int) -> None:
        # A share every four seconds, a line every ten at most: at 12 s, and then at 24 s.
        for tenth in range(1, 7):
            clock[0] = 100.0 + 4 * tenth
            run.progress(tenth / 10)

    train(Told(report(1, 0.5), during=solve), settings("slim"))
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("solved")] == [
        "solved 30% (28 s to go)",
        "solved 60% (16 s to go)",
    ]


def test_a_long_step_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    save_dataset(synthetic_split(n_users=400, n_items=120, seed=0), tmp_path / "data", {})
    monkeypatch.setattr(train_loop, "SHARE_EVERY_S", 0.0)
    monkeypatch.setattr(slim, "BATCH_ITEMS", 40)
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--model", "slim"])
    assert stopped.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("Gram matrix 100%") for line in lines)
    assert [line.partition(" (")[0] for line in lines if line.startswith("solved ")] == [
        "solved 33%",
        "solved 67%",
        "solved 100%",
    ]
    assert len((tmp_path / "out/history.csv").read_text().splitlines()) == 2, "a header and a report"


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    at_a_terminal(monkeypatch)
    run = Told(report(4, 0.25), report(8, 0.5))
    assert train(run, settings(max_passes=20)) is False
    shown = plain(capsys.readouterr().out)
    assert "8/20 passes" in shown
    assert "NDCG@100 0.5000  best 0.5000" in shown
    assert "1.2 s" not in shown, "the bar has the time that is left"


def test_the_bar_of_a_model_that_one_pass_solves_fills_with_its_share(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_a_terminal(monkeypatch)
    filled: list[float] = []
    monkeypatch.setattr(Progress, "update", lambda *_, completed, **__: filled.append(completed))
    run = Told(report(1, 0.5), during=lambda run, _: run.progress(0.5))
    train(run, settings("ease", max_passes=200))
    assert filled == [0.5, 1]
    shown = plain(capsys.readouterr().out)
    assert "0/1 passes" in shown
    assert "/200" not in shown


def test_the_bar_of_a_run_that_goes_on_begins_where_it_stood(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_a_terminal(monkeypatch)
    run = Told()
    run.passes = 12
    train(run, settings(max_passes=20))
    assert "12/20 passes" in plain(capsys.readouterr().out)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_ends_training_after_the_cycle_that_it_met(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(run: Told, place: int) -> None:
        if place == 1:
            signal.raise_signal(number)

    run = Told(*(report(4 * cycle, 0.25) for cycle in range(1, 5)), during=interrupt)
    assert train(run, settings()) is True
    assert run.given == 2
    out, err = capsys.readouterr()
    assert out.count("\n") == 2, "the cycle that it met is shown"
    assert err == "\nstopping; a second signal stops at once and keeps the last checkpoint\n"
    assert run.n_saves == 1


def cycle_of_batches(n_passes: int, n_batches: int) -> None:
    """Be a trainer that goes through a cycle's batches."""
    for _ in range(n_passes):
        for batch in range(n_batches):
            before_batch(batch, n_batches)


def test_a_signal_within_a_long_cycle_ends_training_at_the_next_batch() -> None:
    # A cycle takes minutes on a large set; a batch system waits for seconds.
    batches: list[int] = []

    def interrupt(run: Told, place: int) -> None:
        for batch in range(5):
            if batch == 2:
                signal.raise_signal(signal.SIGTERM)
            before_batch(batch, 5)
            batches.append(batch)

    run = Told(report(4, 0.25), report(8, 0.5), during=interrupt)
    assert train(run, settings()) is True
    assert (batches, run.given) == ([0, 1], 0)
    assert run.n_saves == 0, "in the middle of a cycle there is nothing that could be resumed"


def test_a_signal_does_not_cost_cycles_that_were_not_saved_yet() -> None:
    def interrupt(run: Told, place: int) -> None:
        run.saved = False
        signal.raise_signal(signal.SIGTERM)
        cycle_of_batches(4, 3)

    run = Told(report(4, 0.25), report(8, 0.5), during=interrupt)
    assert train(run, settings()) is True
    assert (run.given, run.n_saves) == (1, 1)


def test_a_log_has_a_line_a_minute_within_a_cycle(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def step(run: Told, place: int) -> None:
        for _ in range(4):
            for batch in range(5):
                clock[0] += 8.0  # 160 s a cycle
                before_batch(batch, 5)

    train(Told(report(4, 0.25), report(8, 0.5), during=step), settings())
    assert [line.split("  NDCG")[0] for line in capsys.readouterr().out.splitlines()] == [
        "passes    0  and 35% of a cycle",
        "passes    0  and 75% of a cycle",
        "passes    4",
        "passes    4  and 35% of a cycle",
        "passes    4  and 75% of a cycle",
        "passes    8",
    ]


def test_a_bar_moves_within_a_cycle(monkeypatch: pytest.MonkeyPatch) -> None:
    at_a_terminal(monkeypatch)
    monkeypatch.setattr(train_loop, "BAR_EVERY_S", 0.0)
    filled: list[float] = []
    monkeypatch.setattr(Progress, "update", lambda *_, completed, **__: filled.append(completed))
    train(Told(report(4, 0.5), during=lambda *_: cycle_of_batches(4, 2)), settings())
    assert filled == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4]


def test_a_signal_in_the_last_cycle_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    # There is nothing left to continue with: the model is scored, as without the signal.
    run = Told(report(4, 0.25), during=lambda *_: signal.raise_signal(signal.SIGINT))
    assert train(run, settings()) is False
    assert run.ended == "over"


def test_a_second_signal_stops_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(run: Told, place: int) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)

    run = Told(report(4, 0.25), report(8, 0.25), during=interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(run, settings())
    assert run.given == 0
    assert capsys.readouterr().err.count("stopping") == 1


def test_signals_do_afterwards_what_they_did_before(capsys: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def fail(run: Told, place: int) -> None:
        raise ValueError("diverged")

    train(Told(report(4, 0.25)), settings())
    with pytest.raises(ValueError, match="diverged"):
        train(Told(report(4, 0.25), during=fail), settings())
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


Work = Callable[[Callable[[], bool]], bool]


@pytest.fixture
def seeds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., bool]:
    """Return what trains seeds 5 and 6 in seed-5 and seed-6 of `tmp_path`; `work` stands for Ray and its workers."""

    def train(work: Work, slots: Slots | None = None, **changes: Any) -> bool:
        def side_by_side(
            runs: Mapping[Path, RunSettings], folder: Path, split: Any, *, tell: Any, look: Any, **named: Any
        ) -> bool:
            assert (folder, split) == (tmp_path, SPLIT)
            assert named == {"device": "cpu", "threads": 2, "checkpoint_every_s": 7.0, "address": "auto"}
            tell(slots or Slots(2, 3, 0.0))
            return work(look)

        monkeypatch.setattr("distrecvae.search.on_ray.side_by_side.train_seeds", side_by_side)
        runs = {tmp_path / f"seed-{seed}": settings(seed=seed, **changes) for seed in (5, 6)}
        return train_seeds_to_end(
            tmp_path, runs, SPLIT, device="cpu", threads=2, checkpoint_every_s=7.0, address="auto"
        )

    return train


def test_it_is_said_how_seeds_are_laid_out(
    seeds: Callable[..., bool], capsys: pytest.CaptureFixture[str]
) -> None:
    seeds(lambda _: False)
    seeds(lambda _: False, Slots(1, 4, 0.5))
    assert capsys.readouterr().out.splitlines() == [
        "2 seeds, 2 at once, each on 3 CPU",
        "2 seeds, 1 at once, each on 4 CPU and 0.5 GPU",
    ]


def test_a_seeds_new_report_is_a_line_once(
    seeds: Callable[..., bool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = [report(4, 0.25)], [report(4, 0.25), report(8, 0.5)]

    def work(look: Callable[[], bool]) -> bool:
        look()  # no history yet
        write_history(tmp_path / "seed-6", first)
        look()
        look()
        write_history(tmp_path / "seed-5", first)
        write_history(tmp_path / "seed-6", second)
        return look()

    assert seeds(work) is False
    assert capsys.readouterr().out.splitlines()[1:] == [
        "seed 6  passes    4  NDCG@100 0.2500",
        "seed 5  passes    4  NDCG@100 0.2500",
        "seed 6  passes    8  NDCG@100 0.5000",
    ]


def test_a_history_with_a_header_only_is_none_yet(
    seeds: Callable[..., bool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "seed-5").mkdir()
    for content in ("", "cycle,passes,valid/ndcg_100\n"):
        (tmp_path / "seed-5/history.csv").write_text(content)
        seeds(lambda look: look())
    assert "seed 5" not in capsys.readouterr().out


def test_seeds_have_a_bar_each_on_a_terminal(
    seeds: Callable[..., bool],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    at_a_terminal(monkeypatch)

    def work(look: Callable[[], bool]) -> bool:
        write_history(tmp_path / "seed-6", [report(8, 0.5)])
        return look()

    seeds(work, max_passes=20)
    shown = plain(capsys.readouterr().out)
    assert "seed 6  NDCG@100 0.5000" in shown
    assert "8/20" in shown
    assert "0/20" in shown, "the seed that has not begun has a bar, too"


def test_seeds_are_asked_to_stop_by_a_signal_and_shown_until_then(
    seeds: Callable[..., bool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers: list[bool] = []

    def work(look: Callable[[], bool]) -> bool:
        answers.append(look())
        signal.raise_signal(signal.SIGTERM)
        write_history(tmp_path / "seed-5", [report(4, 0.25)])
        answers.extend([look(), look()])
        return True

    before = signal.getsignal(signal.SIGTERM)
    assert seeds(work) is True
    assert answers == [False, True, True]
    assert "seed 5  passes    4" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_thread_trains_without_hearing_signals() -> None:
    # Only a process's main thread may; a notebook's widget or a web server calls from another one.
    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(train(Told(report(4, 0.25)), settings())))
    thread.start()
    thread.join()
    assert ended == [False]


def test_a_line_is_said_at_once() -> None:
    class Watched(io.StringIO):
        flushed = 0

        def flush(self) -> None:
            self.flushed += 1

    file = Watched()
    say("here", file=file)
    assert (file.getvalue(), file.flushed) == ("here\n", 1)


def test_what_people_must_know_of_going_on_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    run = Told(report(4, 0.25))
    run.remark = "Continues on cpu, was on cuda until now"
    train(run, settings())
    assert capsys.readouterr().out.splitlines()[0] == run.remark
