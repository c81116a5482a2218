"""Published numbers are those of docs/published.md and of the talk; a data set is told by its sizes."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from distrecvae.data.presets import PRESETS
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ConfigError
from distrecvae.metrics import METRICS
from distrecvae.papers.numbers import PAPERS, ROWS, SETS, PublishedSet, rows_of, set_of
from distrecvae.runs.configuration import read_config
from distrecvae.training.registry import models
from tests import ROOT

TALK = {
    "wmf": (0.386, 0.351, 0.257), "multvae": (0.426, 0.386, 0.316), "ract": (0.434, 0.392, 0.319),
    "ease": (0.420, 0.393, 0.389), "recvae": (0.442, 0.394, 0.326),
}  # fmt: skip
"""The talk's table (DESIGN, section 3): NDCG@100 on MovieLens-20M, Netflix, MSD."""


def test_the_talks_table_is_in_it() -> None:
    for model, wanted in TALK.items():
        assert tuple(ROWS[model].score(name, "ndcg_100") for name in SETS) == wanted


def test_the_docs_have_the_same_numbers() -> None:
    text = (ROOT / "docs" / "published.md").read_text(encoding="utf-8")
    section = text.split("## Numbers\n")[1].split("\n## ")[0]
    found = {}
    for line in section.splitlines():
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        if (match := re.match(r"`(\w+)`", name)) and line.startswith("| "):
            found[match[1]] = [[cell.strip() for cell in each.split("[")[0].split("/")] for each in cells]
    for model, row in ROWS.items():
        for name, cell in zip(SETS, found[model], strict=True):
            wanted = [row.score(name, metric) for metric in METRICS]
            said = [None if value == "-" else float(value) for value in cell]
            assert said == wanted or (cell == ["-"] and wanted == [None] * 3), (model, name)


def test_every_row_has_a_model_settings_that_fit_it_and_a_paper() -> None:
    assert set(ROWS) <= set(models())
    for row in ROWS.values():
        assert row.paper
        assert row.settings.keys() <= SETS.keys()
        for config in row.settings.values():
            assert read_config(None, config, ())[0] == row.model
        assert row.settings or row.remark or row.model == "popularity", "unknown settings are said"
    assert all(name in ROWS for names in PAPERS.values() for name in names)


def test_data_sets_are_those_of_the_presets() -> None:
    for name, each in SETS.items():
        assert PRESETS[name]["held_out_users"] == each.n_held_out


def test_rows_are_the_papers_or_those_that_are_named() -> None:
    assert [row.model for row in rows_of("recvae", "recvae, ease,recvae")] == ["recvae", "ease"]
    assert len(rows_of("recvae")) == 6
    with pytest.raises(ConfigError, match=r"paper='recvea' is not one of .*did you mean 'recvae'"):
        rows_of("recvea")
    with pytest.raises(ConfigError, match="'slim' is not a row of that paper"):
        rows_of("multvae", "slim")
    with pytest.raises(ConfigError, match="names no row"):
        rows_of("multvae", " ,")


def test_a_data_set_is_told_by_its_users_held_out_users_and_items(monkeypatch: pytest.MonkeyPatch) -> None:
    split = synthetic_split(n_users=100, n_items=60, seed=1)
    own = PublishedSet("small", "Small", 100, split.n_items, split.test.n_users)
    assert own.is_it(split)
    for other in (replace(own, n_users=99), replace(own, n_items=61), replace(own, n_held_out=9)):
        assert not other.is_it(split)
    with pytest.raises(
        ConfigError, match=r"data/mine has 100 users x .* not one of the published data sets"
    ) as refused:
        set_of(split, None, "data/mine")
    assert "--settings" in str(refused.value)
    assert "136,677 x 20,108" in str(refused.value)
    assert set_of(split, "netflix", "data/mine") == (SETS["netflix"], False)
    with pytest.raises(ConfigError, match="settings='ml20m' is not one of"):
        set_of(split, "ml20m", "data/mine")
    monkeypatch.setattr("distrecvae.papers.numbers.SETS", {"small": own})
    assert set_of(split, None, "data/mine") == (own, True)
