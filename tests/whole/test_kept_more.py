"""Folders of version 0.2.0, kept as they were written: a model of every kind, a blend, a comparison, a steered search.

`models-1/NAME` is the `best/` of `train --data data --model NAME --seed 4 --max-passes 8` with `SMALL`'s settings
(`tests/training/test_registry.py`), `blend-1` of `blend recvae ease pmf`, `comparison-1` of `compare --models
ease,popularity,pmf --trials 2 --max-passes 4`; pages, pictures and trials' states are left out. In `steered-2` guided
searched while its ranges were narrowed, widened and fixed, a trial was added and one stopped; two were continued. None
is rewritten: where a later version cannot read it, that version is wrong. `test_kept.py` has the older ones.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import distrecvae
from distrecvae.blending import facts
from distrecvae.data import io
from distrecvae.evaluation import evaluate
from distrecvae.saved.model import load_model
from distrecvae.search.comparison import kept as comparison
from distrecvae.search.core.ledger import read_records
from distrecvae.search.core.records import Status
from distrecvae.training import registry
from tests.kept_here import KEPT, kept_here
from tests.whole.test_kept import typed

TOLERANCE = 1e-6
"""Scores are float32, summed in another order by other processors; a place in a ranking that changed shows as 1e-3."""
DATA = io.load_dataset(KEPT / "data")


def means(path: Path) -> dict[str, float]:
    """Return the test scores that a model's own version wrote beside it."""
    written: dict[str, float] = json.loads((path / "metrics.json").read_text(encoding="utf-8"))["test"][
        "mean"
    ]
    return written


@pytest.mark.parametrize("name", registry.models())
def test_a_model_of_every_kind_scores_as_its_version_said(name: str) -> None:
    path = KEPT / "models-1" / name
    assert path.is_dir(), f"keep a folder of {name} as this file's first lines say"
    loaded = load_model(path)
    assert loaded.model == name
    assert evaluate(loaded.recommender, DATA.test).means() == pytest.approx(means(path), abs=TOLERANCE)


def test_a_blend_scores_as_its_version_said() -> None:
    path = KEPT / "blend-1" / "best"
    found = evaluate(load_model(path).recommender, DATA.test).means()
    assert found == pytest.approx(means(path), abs=TOLERANCE)
    assert json.loads((KEPT / "blend-1/blend.json").read_text())["format"] == facts.FORMAT


def test_the_tables_of_a_comparison_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(KEPT / "comparison-1", "mine")
    texts = ("comparison.csv", "comparison_tests.csv", "comparison.md", "comparison.tex")
    for name in texts:
        Path("mine", name).unlink()
    typed("tables", "mine")
    for name in texts:
        assert Path("mine", name).read_bytes() == (KEPT / "comparison-1" / name).read_bytes()
    assert json.loads(Path("mine/rows.json").read_text(encoding="utf-8"))["format"] == comparison.FORMAT


@pytest.fixture
def steered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy beside its data; trials are run in this process."""
    return kept_here("steered-2", tmp_path, monkeypatch)


def test_a_steered_search_is_read_as_what_it_was(steered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = read_records(steered, "valid/ndcg_100")
    assert [number for number, record in records.items() if record.status is Status.FINISHED] == [1, 3, 7]
    assert (records[0].reason, records[0].passes) == ("by hand at 0 passes", 0)
    assert {record.config.get("hidden_dim") for record in list(records.values())[2:]} == {12}, "fixed by hand"
    typed("why", "mine", "--trial", "7")
    told = " ".join(capsys.readouterr().out.split())
    assert (
        "Later the search continued it: worth more than a new trial 9: trial 7 continues from 36 passes."
        in told
    )
    assert distrecvae.load(steered).config.latent_dim == records[3].config["latent_dim"] == 4


def test_a_steered_search_may_grow_and_keeps_what_was_asked_of_it(
    steered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (steered / "ledger.jsonl").read_bytes()
    typed("search", "--extend", "mine", "--trials", "12")
    assert "12 of 12 trials" in capsys.readouterr().out
    assert (steered / "ledger.jsonl").read_bytes().startswith(before), "what was written stands"
    records = read_records(steered, "valid/ndcg_100")
    assert [records[number].config["hidden_dim"] for number in (10, 11)] == [12, 12]
