"""What a report says of blending: the gain and the cost of the blend that is there, else how one is made."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from distrecvae.blending.facts import BlendFacts
from distrecvae.files import write_json
from distrecvae.search.report.blended import blend_command, blended
from distrecvae.search.report.data import read_results
from distrecvae.search.report.page import report_page
from tests import ROOT
from tests.blending.test_words import facts

KEPT = ROOT / "tests" / "kept" / "search-2"


@pytest.fixture
def search(tmp_path: Path) -> Path:
    return Path(shutil.copytree(KEPT, tmp_path / "mine"))


def put(search: Path, made: BlendFacts) -> None:
    """Put a blend of the search's data into its folder."""
    fingerprint = read_results(search).described.dataset.fingerprint
    (search / "blend").mkdir()
    write_json(search / "blend" / "blend.json", asdict(replace(made, fingerprint=fingerprint)))


def test_a_blend_that_is_there_is_told_with_its_gain_and_its_cost(search: Path) -> None:
    put(search, facts())
    results = read_results(search)
    gain, cost = blended(results)
    assert gain.startswith("0.70 x recvae + 0.30 x ease. Against ease, which validation users choose alone")
    assert "+0.0128" in gain
    assert cost.startswith("It takes 22.0 MiB")
    assert blend_command(results) == ""
    page = report_page(results)
    assert "0.70 x recvae + 0.30 x ease" in page
    assert "distrecvae blend" not in page


def test_a_blend_of_one_is_no_gain(search: Path) -> None:
    put(search, replace(facts(), members=facts().members[:1]))
    assert blended(read_results(search)) == ["No blend was better on validation users than recvae alone."]


def test_without_one_the_command_that_makes_it_is_shown(search: Path) -> None:
    results = read_results(search)
    assert blended(results) == []
    assert blend_command(results) == f"distrecvae blend {search} --data data"
    assert f"distrecvae blend {search} --data data" in report_page(results)


def test_a_blend_that_is_damaged_or_of_other_data_is_not_told(search: Path) -> None:
    put(search, facts())
    write_json(search / "blend" / "blend.json", asdict(facts()))
    assert blended(read_results(search)) == []
    (search / "blend" / "blend.json").write_text("{")
    assert blended(read_results(search)) == []


def test_what_is_not_over_or_has_one_model_is_not_to_be_blended(search: Path) -> None:
    results = read_results(search)
    assert blend_command(replace(results, scores=None)) == ""
    assert blend_command(replace(results, trials=results.trials[:1])) == ""
