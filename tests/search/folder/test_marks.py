"""A ledger is held to what other files say of it: lines that are missing at its end are not believed away."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from distrecvae.errors import ResultsError
from distrecvae.layout import LEDGER_FILE, STATE_FILE, trial_folder
from distrecvae.saved.tensors import save_state
from distrecvae.search.core.chain import Mark
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.folder.marks import require_whole_ledger
from distrecvae.search.folder.search_json import Description
from tests.search.simulated import METRIC, open_conductor, run_serially, toy_search_config


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    config = toy_search_config(trials=3)
    conductor = open_conductor(tmp_path, config)
    run_serially(conductor, config)
    return conductor.ledger


def shorten(folder: Path, lines: int) -> None:
    path = folder / LEDGER_FILE
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-lines]))


def described(mark: Mark) -> Description:
    """What `search.json` says; nothing but its mark counts here."""
    return cast(Description, SimpleNamespace(ledger=mark))


def scores(mark: Mark) -> str:
    return json.dumps({"ledger": mark.to_dict()})


def state(folder: Path, mark: object) -> None:
    save_state(trial_folder(folder, 1) / STATE_FILE, {"x": torch.zeros(1)}, {"ledger": mark})


def published(folder: Path, content: str) -> None:
    (folder / "best").mkdir()
    (folder / "best" / "metrics.json").write_text(content, encoding="utf-8")


def test_a_ledger_that_is_as_long_as_everybody_says_is_taken(ledger: Ledger, tmp_path: Path) -> None:
    published(tmp_path, scores(ledger.mark))
    state(tmp_path, ledger.mark.to_dict())
    require_whole_ledger(tmp_path, described(ledger.mark))


def test_lines_after_the_newest_mark_are_what_a_kill_costs(ledger: Ledger, tmp_path: Path) -> None:
    mark = ledger.mark
    shorten(tmp_path, 4)
    shorter = Ledger(tmp_path, METRIC).mark
    assert shorter.lines == mark.lines - 4
    require_whole_ledger(tmp_path, described(shorter))


@pytest.mark.parametrize("said_by", ["search.json", "best/metrics.json", f"trials/00001/{STATE_FILE}"])
def test_a_ledger_that_was_longer_is_refused_by_whatever_knows(
    said_by: str, ledger: Ledger, tmp_path: Path
) -> None:
    mark, early = ledger.mark, Mark()
    if said_by.startswith("best"):
        published(tmp_path, scores(mark))
    elif said_by.startswith("trials"):
        state(tmp_path, mark.to_dict())
    shorten(tmp_path, 1)
    with pytest.raises(ResultsError) as refused:
        require_whole_ledger(tmp_path, described(mark if said_by == "search.json" else early))
    words = f"has {mark.lines - 1} lines, and had {mark.lines} when {tmp_path / said_by} was written"
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_ledger_that_is_gone_is_refused_and_one_that_was_never_begun_is_not(
    ledger: Ledger, tmp_path: Path
) -> None:
    (tmp_path / LEDGER_FILE).unlink()
    require_whole_ledger(tmp_path, described(Mark()))
    with pytest.raises(ResultsError, match=r"ledger\.jsonl is missing"):
        require_whole_ledger(tmp_path, described(ledger.mark))


def test_a_damaged_ledger_is_refused_where_nothing_says_how_long_it_was(
    ledger: Ledger, tmp_path: Path
) -> None:
    # As after a kill before `search.json` was written again.
    whole = (tmp_path / LEDGER_FILE).read_bytes()
    (tmp_path / LEDGER_FILE).write_bytes(whole[:9] + whole[10:])
    with pytest.raises(ResultsError, match="line 1 is damaged"):
        require_whole_ledger(tmp_path, described(Mark()))


def test_the_ledger_of_another_search_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    mark = ledger.mark
    (tmp_path / LEDGER_FILE).unlink()
    config = toy_search_config(trials=5)
    run_serially(open_conductor(tmp_path, config), config)
    with pytest.raises(ResultsError, match="is not the one that"):
        require_whole_ledger(tmp_path, described(mark))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"ledger": 3}', "[" * 100_000])
def test_a_published_model_whose_scores_say_nothing_of_a_ledger_is_refused(
    content: str, ledger: Ledger, tmp_path: Path
) -> None:
    published(tmp_path, content)
    with pytest.raises(ResultsError, match="is damaged, or not of the search in"):
        require_whole_ledger(tmp_path, described(ledger.mark))


def test_a_state_file_that_cannot_be_read_says_nothing(ledger: Ledger, tmp_path: Path) -> None:
    # Its trial begins again from nothing and repeats itself.
    state(tmp_path, "none")
    require_whole_ledger(tmp_path, described(ledger.mark))
    (trial_folder(tmp_path, 1) / STATE_FILE).write_bytes(b"half")
    require_whole_ledger(tmp_path, described(ledger.mark))


def test_nothing_is_written_while_it_is_looked_at(ledger: Ledger, tmp_path: Path) -> None:
    with (tmp_path / LEDGER_FILE).open("ab") as file:
        file.write(b'{"kind":"rep')
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    require_whole_ledger(tmp_path, described(ledger.mark))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_ledger_without_the_reports_that_a_state_has_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    """A night found it: half a ledger was taken, a trial was resumed from its state, and its history had a hole."""
    record = ledger.records[0]
    history = [dict(report) for report in record.reports]
    assert len(history) > 3
    metadata = {"ledger": Mark().to_dict(), "history": history, "identity": {"config": record.config}}
    save_state(trial_folder(tmp_path, 0) / STATE_FILE, {"x": torch.zeros(1)}, metadata)
    require_whole_ledger(tmp_path, described(Mark()))

    lines = (tmp_path / LEDGER_FILE).read_bytes().splitlines(keepends=True)
    its = [at for at, line in enumerate(lines) if b'"kind":"report","trial":0,' in line]
    (tmp_path / LEDGER_FILE).write_bytes(b"".join(lines[: its[-1]]))
    require_whole_ledger(tmp_path, described(Mark()))  # a kill may come between a state and its report
    (tmp_path / LEDGER_FILE).write_bytes(b"".join(lines[: its[-2]]))
    too_few = f"has {len(its) - 2} reports of trial 0, and its state in .* has {len(its)}"
    with pytest.raises(ResultsError, match=too_few):
        require_whole_ledger(tmp_path, described(Mark()))

    of_another = {**metadata, "identity": {"config": {**record.config, "width": 9}}}
    save_state(trial_folder(tmp_path, 0) / STATE_FILE, {"x": torch.zeros(1)}, of_another)
    require_whole_ledger(tmp_path, described(Mark()))  # its trial begins again
