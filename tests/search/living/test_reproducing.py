"""A trial is made again from the ledger: the same bits, or the cause is named; the folder is not touched."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from distrecvae.cli import main
from distrecvae.data.io import load_dataset, save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ResultsError
from distrecvae.search.core.chain import Chain, read_chain
from distrecvae.search.folder.search_json import read_description, write_description
from distrecvae.search.living.reproducing import Compared, reproduce
from tests import ROOT

KEPT = ROOT / "tests" / "kept"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A search that an earlier version ran on this data, and its data beside it."""
    shutil.copytree(KEPT / "data", tmp_path / "data")
    shutil.copytree(KEPT / "search-2", tmp_path / "mine")
    return tmp_path / "mine"


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def ran_here(folder: Path, **environment: str) -> None:
    """Let the ledger tell of reports that this machine made, and of an environment: the kept one was made elsewhere."""
    split = load_dataset(folder.parent / "data")
    lines = [dict(line) for line in read_chain(folder / "ledger.jsonl").records]
    (folder / "ledger.jsonl").unlink()
    chain = Chain(folder / "ledger.jsonl")
    made: dict[int, list[dict[str, Any]]] = {}
    for line in lines:
        if line["kind"] == "begun":
            # The tests compute in one thread, that search did in two; the bits depend on it.
            line["environment"] = {**line.get("environment", {}), "threads": "1", **environment}
        if line["kind"] == "report":
            if line["trial"] not in made:
                made[line["trial"]] = reports_of(folder, line["trial"], split)
            line["metrics"] = made[line["trial"]].pop(0)
        chain.append(line)
    described = read_description(folder)
    write_description(folder, replace(described, ledger=chain.mark))


def reports_of(folder: Path, trial: int, split: Any) -> list[dict[str, Any]]:
    from distrecvae.layout import STATE_FILE
    from distrecvae.runs.trial import run_trial
    from distrecvae.saved.places import StateFile
    from distrecvae.search.core.ledger import read_records
    from distrecvae.search.core.tasks import trial_task

    described = read_description(folder)
    record = read_records(KEPT / "search-2", "valid/ndcg_100")[trial]
    task = trial_task(
        record,
        described.settings,
        device="cpu",
        precision=described.plan.precision,
    )
    place = StateFile(folder.parent / "again" / STATE_FILE)
    reports = run_trial(task, place, split.train, split.valid)
    return [report for report, _ in zip(reports, record.reports, strict=False)]


def test_every_report_is_the_same_to_the_last_bit(mine: Path) -> None:
    ran_here(mine)
    before, seen = contents(mine), list[Compared]()
    for trial, reports in ((0, 4), (1, 1), (5, 4)):
        found = reproduce(mine, trial, tell=seen.append)
        assert found.same
        assert len(found.compared) == reports
        assert (
            f"{reports} report{'s' if reports > 1 else ''} made again, each the same to the last bit."
            in str(found)
        )
    assert [each.cycle for each in seen] == [1, 2, 3, 4, 1, 1, 2, 3, 4]
    assert contents(mine) == before


def test_a_part_is_compared_up_to_a_cycle(mine: Path) -> None:
    ran_here(mine)
    found = reproduce(mine, 3, until=2)
    assert found.same
    assert [each.cycle for each in found.compared] == [1, 2]
    assert "2 reports made again, of 4 that it made" in str(found)


def test_a_report_that_differs_is_shown_with_both_values_and_what_is_another(mine: Path) -> None:
    ran_here(mine, torch="0.1", processor="An old chip (AVX2)")
    lines = [dict(line) for line in read_chain(mine / "ledger.jsonl").records]
    (mine / "ledger.jsonl").unlink()
    chain = Chain(mine / "ledger.jsonl")
    for line in lines:
        if line["kind"] == "report" and line["trial"] == 3 and line["metrics"]["cycle"] == 2:
            line["metrics"] = {**line["metrics"], "valid/recall_20": line["metrics"]["valid/recall_20"] + 0.5}
        chain.append(line)
    found = reproduce(mine, 3)
    assert not found.same
    said = str(found)
    assert "it does not repeat itself here" in said
    assert "The same up to cycle 1; at cycle 2 valid/recall_20 is" in said
    assert "Greatest difference of a validation score: 0.5." in said
    assert f"torch {torch.__version__.partition('+')[0]}" in said
    assert "(was 0.1)" in said
    assert "(was An old chip (AVX2))" in said


def test_threads_that_are_others_are_named(mine: Path) -> None:
    ran_here(mine)
    before = torch.get_num_threads()
    found = reproduce(mine, 1, threads=2)
    assert "threads 2 (was 1)" in found.differs
    assert torch.get_num_threads() == before, "the caller's threads are given back"
    assert not any("threads" in each for each in reproduce(mine, 1).differs)


def test_a_trial_that_diverges_does_so_again(mine: Path) -> None:
    path = mine / "ledger.jsonl"
    lines = [dict(line) for line in read_chain(path).records]
    path.unlink()
    chain = Chain(path)
    for line in lines:
        if line["kind"] == "ended" and line["trial"] == 1:
            line |= {"status": "diverged", "reason": "loss is nan"}
        chain.append(line)
    ran_here(mine)
    found = reproduce(mine, 1)
    assert not found.same
    assert found.ended == "It continued where the trial diverged (loss is nan)."
    assert found.ended in str(found)


def test_data_that_moved_is_found_and_other_data_is_refused(mine: Path, tmp_path: Path) -> None:
    (tmp_path / "data").rename(tmp_path / "far")
    with pytest.raises(ResultsError, match=r"was started with data .* give --data"):
        reproduce(mine, 0)
    assert reproduce(mine, 0, until=1, data=str(tmp_path / "far")).compared
    save_dataset(synthetic_split(n_users=100, n_items=60, seed=9), tmp_path / "other", {})
    with pytest.raises(ResultsError, match="give the same data"):
        reproduce(mine, 0, data=str(tmp_path / "other"))


def test_what_cannot_be_compared_is_refused_in_a_line(mine: Path) -> None:
    with pytest.raises(ResultsError, match="has no trial 17; it has 6 trials"):
        reproduce(mine, 17)
    lines = [dict(line) for line in read_chain(mine / "ledger.jsonl").records]
    (mine / "ledger.jsonl").unlink()
    chain = Chain(mine / "ledger.jsonl")
    for line in lines:
        if line["kind"] != "report" or line["trial"] != 2:
            chain.append(line)
    with pytest.raises(ResultsError, match="has no report; there is nothing to compare with"):
        reproduce(mine, 2)


def test_the_command_says_each_report_and_its_status_is_whether_all_are_the_same(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran_here(mine)

    def run(*options: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["reproduce", str(mine), *options])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    assert run("--trial", "3", "--until", "2") == 0
    assert "cycle 1, 4 passes: the same\ncycle 2, 8 passes: the same\n" in capsys.readouterr().out
    text = (mine / "ledger.jsonl").read_text(encoding="utf-8")
    (mine / "ledger.jsonl").write_text(text.replace("0.1", "0.2", 1), encoding="utf-8")
    assert run("--trial", "3") == 2, "an edited ledger is refused, not compared with"
    assert "ledger.jsonl" in capsys.readouterr().err
    assert json.loads((mine / "search.json").read_text(encoding="utf-8"))["status"] == "finished"


def test_a_search_at_a_uri_is_reproduced_and_named_by_it(mine: Path) -> None:
    ran_here(mine)
    uri = f"file://{mine}"
    found = reproduce(uri, 0, until=2, data=str(mine.parent / "data"))
    assert found.same
    assert str(found).startswith(f"Trial 0 of {uri}: 2 reports made again")
    with pytest.raises(ResultsError, match=f"^trial 9|^{uri} has no trial 9"):
        reproduce(uri, 9)
