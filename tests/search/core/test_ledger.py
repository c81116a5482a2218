"""The ledger is what happened: on disk before it counts, read back as it was, and refused where it cannot be true."""

from __future__ import annotations

import json
import shutil
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest

from distrecvae.errors import ResultsError
from distrecvae.layout import LEDGER_FILE
from distrecvae.search.core.chain import Chain, Mark, read_chain
from distrecvae.search.core.ledger import FORMAT, Ledger, read_records
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.core.samplers import make_sampler
from distrecvae.search.core.study import expressed_in
from tests.search.simulated import METRIC, SPACE, course, open_conductor, run_serially, toy_search_config


def ask(ledger: Ledger, **start: Any) -> TrialRecord:
    return ledger.ask(
        lambda number: make_sampler("random", seed=1, trial_number=number), SPACE.suggest, lambda _: start
    )


def report(passes: int, value: float) -> dict[str, Any]:
    return {"passes": passes, "cycle": passes // 4, METRIC: value, "train_s": 1.0, "evaluate_s": 0.5}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """One trial that ended, one that is under way, one that was only asked for."""
    made = Ledger(tmp_path, METRIC, {"fingerprint": "abc"})
    first, second, _ = ask(made), ask(made), ask(made)
    made.report(first.number, report(4, 0.1))
    made.report(first.number, report(8, 0.3))
    made.end(first.number, Status.STOPPED, "asha at 8 passes")
    made.report(second.number, report(4, 0.2))
    return made


def kinds(folder: Path) -> list[str]:
    return [line["kind"] for line in read_chain(folder / LEDGER_FILE).records]


def test_what_was_written_is_read_back(ledger: Ledger, tmp_path: Path) -> None:
    for again in (Ledger(tmp_path, METRIC).records, read_records(tmp_path, METRIC)):
        assert again == ledger.records
    assert kinds(tmp_path) == ["begun", "asked", "asked", "asked", "report", "report", "ended", "report"]
    assert ledger.mark.lines == 8
    assert [record.number for record in ledger.unfinished()] == [1, 2]


def test_a_search_says_what_it_began_and_goes_on_with(ledger: Ledger, tmp_path: Path) -> None:
    again = Ledger(tmp_path, METRIC, {"fingerprint": "another: only the first counts"})
    assert again.about["fingerprint"] == "abc"
    assert again.about["format"] == FORMAT
    assert datetime.fromisoformat(again.about["at"]) <= ledger.records[0].suggestion.at
    again.resumed({"environment": {"torch": "3"}})
    resumed = Ledger(tmp_path, METRIC).about
    assert resumed["environment"] == {"torch": "3"}
    assert datetime.fromisoformat(resumed["at"]) >= ledger.records[0].suggestion.at


def test_a_new_ledger_has_nothing_of_an_earlier_run(tmp_path: Path) -> None:
    assert Ledger(tmp_path, METRIC, {"fingerprint": "abc"}).about == {}


def test_times_are_moments_and_not_a_clock_on_some_wall(ledger: Ledger) -> None:
    first = ledger.records[0]
    assert first.ended_at is not None
    now = datetime.now(UTC)
    assert now - timedelta(hours=1) < first.suggestion.at <= first.ended_at <= now


def test_nothing_counts_before_it_is_on_disk(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(chain: Chain, line: bytes) -> None:
        raise OSError(28, "No space left on device")

    before, lines = course(ledger), ledger.mark
    monkeypatch.setattr(Chain, "write", full)
    for act in (
        lambda: ledger.report(1, report(8, 0.9)),
        lambda: ledger.end(1, Status.FINISHED, ""),
        lambda: ask(ledger),
    ):
        with pytest.raises(OSError, match="No space left"):
            act()
    assert course(ledger) == before
    assert ledger.mark == lines


def test_a_report_that_was_made_before_is_not_written_again(ledger: Ledger) -> None:
    # A trial that continues from a checkpoint passes by what it reported.
    assert not ledger.report(1, report(4, 0.2))
    assert ledger.report(1, report(8, 0.1))
    assert ledger.records[1].best == [0.2, 0.2]


def test_what_has_ended_stays_as_it_ended(ledger: Ledger, tmp_path: Path) -> None:
    before = len(kinds(tmp_path))
    ledger.end(0, Status.FAILED, "a second ending")
    assert not ledger.report(0, report(12, 0.9))
    assert len(kinds(tmp_path)) == before
    assert ledger.records[0].status is Status.STOPPED


def test_a_resumed_search_may_end_a_trial_before_it_asks_for_one(ledger: Ledger, tmp_path: Path) -> None:
    again = Ledger(tmp_path, METRIC)
    again.end(1, Status.FINISHED, "")
    ask(again)
    assert read_records(tmp_path, METRIC) == again.records
    assert again.records[1].status is Status.FINISHED


def test_curves_are_the_running_bests_of_all_that_did_not_fail(ledger: Ledger) -> None:
    assert {n: curve.points for n, curve in ledger.curves().items()} == {
        0: ((4, 0.1), (8, 0.3)), 1: ((4, 0.2),), 2: ()
    }  # fmt: skip
    ledger.report(1, report(8, 0.5))
    assert ledger.curves()[1].points == ((4, 0.2), (8, 0.5))
    ledger.end(1, Status.FAILED, "its process died")
    assert set(ledger.curves()) == {0, 2}


def test_the_best_is_the_highest_and_of_equals_the_earliest(ledger: Ledger) -> None:
    assert ledger.best() is ledger.records[0]
    ledger.report(2, report(4, 0.3))
    assert ledger.best() is ledger.records[0]
    ledger.report(1, report(8, 0.31))
    assert ledger.best() is ledger.records[1]


def test_a_trial_without_a_model_is_never_the_best(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, METRIC)
    for _ in range(3):
        ask(ledger)
    assert ledger.best() is None
    ledger.report(0, report(4, 0.3))
    ledger.report(1, report(4, 0.2))
    ledger.end(0, Status.FAILED, "no memory")
    # Its score is 0, and where all trials had that, the first one's model was published.
    ledger.end(1, Status.DIVERGED, "loss is nan")
    assert ledger.best() is None
    ledger.report(2, report(4, 0.0))
    assert ledger.best() is ledger.records[2]


def test_a_trial_starts_at_the_values_that_it_is_given(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, METRIC)
    assert ask(ledger, width=99).config["width"] == 99
    assert ask(ledger).config["width"] != 99


@pytest.mark.parametrize("sampler", ["tpe", "guided", "cmaes", "gp", "qmc", "random"])
def test_a_sampler_reads_the_same_study_after_a_restart(sampler: str, tmp_path: Path) -> None:
    # What it proposes after twelve trials is the same from memory and from the file.
    config = toy_search_config(sampler=sampler, trials=13)
    whole = open_conductor(tmp_path / "whole", config)
    run_serially(whole, config)
    first = toy_search_config(sampler=sampler, trials=12)
    run_serially(open_conductor(tmp_path / "again", first), first)
    again = open_conductor(tmp_path / "again", config)
    run_serially(again, config)
    assert again.ledger.records[12].config == whole.ledger.records[12].config


def test_a_sampler_that_weighs_seconds_proposes_the_same_after_a_restart(tmp_path: Path) -> None:
    """Of ended trials the study that is kept up had no seconds, and the one that is made anew had."""

    def guided(ledger: Ledger) -> TrialRecord:
        return ledger.ask(
            lambda number: make_sampler("guided", seed=1, trial_number=number), SPACE.suggest, lambda _: {}
        )

    whole = Ledger(tmp_path, METRIC)
    for number in range(6):
        guided(whole)
        whole.report(number, {**report(4, 0.1 * (number % 4)), "train_s": 1.0 + number})
        whole.end(number, Status.FINISHED, "")
    shutil.copytree(tmp_path, tmp_path / "again")
    again = Ledger(tmp_path / "again", METRIC)
    assert len(again.records) == 6
    assert guided(whole).config == guided(again).config


def test_an_optuna_that_reads_it_sees_what_was_drawn(ledger: Ledger) -> None:
    for record in ledger.records.values():
        drawn = optuna.trial.FixedTrial(dict(record.suggestion.params))
        assert SPACE.suggest(drawn) == record.config


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"kind": "report", "trial": 9, "metrics": {}}, "KeyError(9)"),
        ({"kind": "report", "trial": 1, "metrics": {"passes": 8}}, f"KeyError('{METRIC}')"),
        ({"kind": "ended", "trial": 1, "status": "banana", "reason": "", "at": "2026-01-01"}, "banana"),
        ({"kind": "ended", "trial": 1, "status": "failed", "reason": "", "at": "noon"}, "noon"),
        ({"kind": "asked", "trial": 7, "config": {}}, "trial 7"),
        ({"kind": "paused", "trial": 1}, "kind 'paused'"),
        ({"kind": "report", "trial": [1]}, "TypeError"),
        ({"n": 1}, "KeyError('kind')"),
    ],
)
def test_a_line_that_this_version_does_not_write_is_refused(
    ledger: Ledger, tmp_path: Path, record: dict[str, Any], words: str
) -> None:
    # A whole chain of a later version, or of somebody who knows how checks are made.
    Chain(tmp_path / LEDGER_FILE).append(record)
    with pytest.raises(ResultsError) as refused:
        Ledger(tmp_path, METRIC)
    assert "line 9 is not what this version writes" in str(refused.value)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "first",
    [{"kind": "begun", "format": 1}, {"kind": "asked", "trial": 0}, {"kind": "resumed", "format": FORMAT}],
)
def test_a_ledger_of_another_format_is_refused(tmp_path: Path, first: dict[str, Any]) -> None:
    Chain(tmp_path / LEDGER_FILE).append(first)
    with pytest.raises(ResultsError, match="line 1 is not what this version writes"):
        read_records(tmp_path, METRIC)


def test_a_ledger_of_format_2_is_read(tmp_path: Path) -> None:
    # A number here, not FORMAT: whoever raises that has to continue reading the ledgers of before.
    Chain(tmp_path / LEDGER_FILE).append({"kind": "begun", "format": 2})
    assert read_records(tmp_path, METRIC) == {}


def test_a_reader_touches_nothing_and_does_without_a_line_that_is_being_written(
    ledger: Ledger, tmp_path: Path
) -> None:
    path = tmp_path / LEDGER_FILE
    with path.open("ab") as file:
        file.write(b'{"kind":"report","tri')
    before = path.read_bytes()
    assert read_records(tmp_path, METRIC) == ledger.records
    assert path.read_bytes() == before
    again = Ledger(tmp_path, METRIC)
    assert again.cut_bytes == 21
    assert again.records == ledger.records


def test_every_damage_to_a_small_ledger_is_refused_or_gives_what_was(ledger: Ledger, tmp_path: Path) -> None:
    # The chain's own tests damage every bit of it; here: never other records in silence, by the marks or without.
    path, whole = tmp_path / LEDGER_FILE, (tmp_path / LEDGER_FILE).read_bytes()
    lines = whole.splitlines(keepends=True)
    n_refused = 0
    for position in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[position] ^= 0x20
        path.write_bytes(damaged)
        try:
            found = read_records(tmp_path, METRIC)
        except ResultsError:
            n_refused += 1
        else:
            pytest.fail(f"byte {position} was flipped: {found}")
    assert n_refused > 400
    for end in range(len(lines)):
        path.write_bytes(b"".join(lines[:end]))
        if end == 0:
            continue
        assert read_chain(path).mark != ledger.mark, "what is written elsewhere tells that it was longer"
        json.dumps(course(Ledger(tmp_path, METRIC)))


def test_a_ledger_that_was_removed_is_noticed_by_its_writer(ledger: Ledger, tmp_path: Path) -> None:
    ledger.require_in_place()
    (tmp_path / LEDGER_FILE).unlink()
    with pytest.raises(ResultsError, match="was removed by another program"):
        ledger.require_in_place()


def test_a_study_that_is_made_in_other_words_takes_the_place_of_the_one_before(ledger: Ledger) -> None:
    for _ in range(3):
        study = ledger.study(expressed_in(SPACE))
    storage = ledger._storage
    assert optuna.get_all_study_names(storage) == [study.study_name], "a long search kept one for each trial"


def test_what_optuna_notes_while_it_proposes_is_kept_back(tmp_path: Path) -> None:
    def noting(number: int) -> optuna.samplers.BaseSampler:
        warnings.warn("this sampler is new", optuna.exceptions.ExperimentalWarning, stacklevel=1)
        return make_sampler("random", seed=1, trial_number=number)

    # A warning that is shown is an error here.
    Ledger(tmp_path, METRIC).ask(noting, SPACE.suggest, lambda _: {})


def test_the_mark_is_of_what_is_on_disk(ledger: Ledger, tmp_path: Path) -> None:
    assert read_chain(tmp_path / LEDGER_FILE).mark == ledger.mark
    ledger.report(1, report(8, 0.5))
    assert read_chain(tmp_path / LEDGER_FILE).mark == ledger.mark != Mark()
