"""A comparison's folder: it keeps to what it was started with, and has the table in every form."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from distrecvae import __version__
from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ResultsError
from distrecvae.evaluation import Evaluation
from distrecvae.layout import COMPARISON_FILE
from distrecvae.search.comparison import files
from distrecvae.search.comparison.table import table_csv, table_markdown
from distrecvae.search.core.config import SearchConfig
from tests.search.comparison.rows import row

SETTINGS: dict[str, Any] = {"max_passes": 12, "seed": 5, "min_passes": None}


@pytest.fixture(scope="module")
def split() -> Split:
    return synthetic_split(n_users=60, n_items=50, seed=1)


class TestDescription:
    def test_it_says_what_begins_and_when(self, split: Split) -> None:
        before = datetime.now(UTC).replace(microsecond=0)
        described = files.describe(SETTINGS, split, "distrecvae compare", ["ease"])
        begun = datetime.fromisoformat(described.started)
        assert before <= begun <= datetime.now(UTC), "in universal time"
        assert described == files.Description(
            status="running",
            distrecvae=__version__,
            command="distrecvae compare",
            started=described.started,
            settings=SETTINGS,
            fingerprint=split.fingerprint,
            entrants=("ease",),
        )
        assert described.settings is not SETTINGS

    def test_what_is_written_is_read_again(self, tmp_path: Path, split: Split) -> None:
        described = files.describe(SETTINGS, split, "compare", ["ease", "pmf"])
        files.write_description(tmp_path, described)
        assert files.read_description(tmp_path) == described
        files.write_description(tmp_path, replace(described, status="finished"))
        assert files.read_description(tmp_path).status == "finished"
        assert [path.name for path in tmp_path.iterdir()] == [COMPARISON_FILE], "nothing half there"

    def test_a_folder_without_one_is_no_comparison(self, tmp_path: Path) -> None:
        with pytest.raises(ResultsError) as refusal:
            files.read_description(tmp_path)
        said = f"{tmp_path} holds no comparison (compare.json is missing); leave out --resume to start one"
        assert str(refusal.value) == said

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'"text"',
            b"\xff",
            b"{}",
            b'{"settings": {}}',
            b'{"fingerprint": "a"}',
            b"[" * 99_999,
        ],
    )
    def test_a_damaged_one_is_refused(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / COMPARISON_FILE).write_bytes(content)
        with pytest.raises(ResultsError) as refusal:
            files.read_description(tmp_path)
        assert str(refusal.value).startswith(f"{tmp_path / COMPARISON_FILE} cannot be read (")
        assert str(refusal.value).endswith("); restore it, or start over in another folder")
        assert "\n" not in str(refusal.value)

    def test_a_folder_in_its_place_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / COMPARISON_FILE).mkdir()
        with pytest.raises(ResultsError, match=r"cannot be read .*; restore it"):
            files.read_description(tmp_path)


class TestSame:
    def test_the_same_goes_on(self, tmp_path: Path, split: Split) -> None:
        described = files.describe(SETTINGS, split, "compare", ())
        files.check_same(described, SETTINGS, split, tmp_path)

    @pytest.mark.parametrize(
        ("name", "begun", "now"), [("max_passes", 12, 13), ("seed", 5, 0), ("min_passes", None, 4)]
    )
    def test_another_setting_is_refused(
        self, tmp_path: Path, split: Split, name: str, begun: object, now: object
    ) -> None:
        described = files.describe(SETTINGS, split, "compare", ())
        with pytest.raises(ResultsError) as refusal:
            files.check_same(described, {**SETTINGS, name: now}, split, tmp_path)
        assert str(refusal.value) == (
            f"{tmp_path} was started with {name}={begun!r}, now it is {now!r};"
            " resume with the same settings or start over in another folder"
        )

    def test_a_setting_that_it_knew_nothing_of_counts_as_unset(self, tmp_path: Path, split: Split) -> None:
        """An older version's comparison continues as long as what came since is left alone."""
        described = files.describe(SETTINGS, split, "compare", ())
        files.check_same(described, {**SETTINGS, "new": None}, split, tmp_path)
        with pytest.raises(ResultsError, match="was started with new=None, now it is 1;"):
            files.check_same(described, {**SETTINGS, "new": 1}, split, tmp_path)

    def test_other_data_is_refused(self, tmp_path: Path, split: Split) -> None:
        other = synthetic_split(n_users=60, n_items=50, seed=2)
        described = files.describe(SETTINGS, split, "compare", ())
        with pytest.raises(ResultsError) as refusal:
            files.check_same(described, SETTINGS, other, tmp_path)
        assert str(refusal.value) == (
            f"{tmp_path} was started on a data set with fingerprint {split.fingerprint}, this one has"
            f" {other.fingerprint}; resume with the same data, or start over"
        )


class TestTables:
    rows = (row("ease", 0.4, np.linspace(0, 1, 6)), row("pmf", 0.3, np.linspace(0, 0.5, 6)))

    def test_they_are_the_table_in_every_form(self, tmp_path: Path, split: Split) -> None:
        users = HeldOutUsers(split.test.fold_in.slice(0, 2), split.test.held_out.slice(0, 2))
        n_users = split.train.n_users + split.valid.n_users + 2
        split = replace(split, test=users, user_ids=split.user_ids[:n_users])
        for _ in range(2):  # each search that ends rewrites them
            files.write_tables(tmp_path, self.rows, split, SearchConfig(data="/some/where/ml-1m", trials=7))
        assert {path.name for path in tmp_path.iterdir()} == {
            "comparison.csv", "comparison_tests.csv", "comparison.md", "comparison.tex", "comparison.png",
            "rows.json", "test_per_user.parquet", "valid_per_user.parquet",
        }  # fmt: skip
        assert (tmp_path / "comparison.csv").read_text() == table_csv(self.rows, "ndcg_100")
        assert (tmp_path / "comparison.md").read_text() == (
            "# ml-1m: each model tuned with 7 trials of at most its space's passes\n\n"
            + table_markdown(self.rows, "ndcg_100", 2)
        )
        assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")

    def test_a_budget_of_time_is_said_as_such_and_made_up_data_too(
        self, tmp_path: Path, split: Split
    ) -> None:
        files.write_tables(tmp_path, self.rows, split, SearchConfig(time_budget_s=7200, metric="recall_20"))
        written = (tmp_path / "comparison.md").read_text()
        assert written.startswith(
            "# synthetic data: each model tuned with 2 h 00 min of at most its space's passes\n\n| model |"
        )
        head = pd.read_csv(io.StringIO((tmp_path / "comparison.csv").read_text())).columns
        assert "behind_recall_20" in head

    def test_every_test_user_is_there_under_every_model(self, tmp_path: Path, split: Split) -> None:
        per_user = {"ndcg_100": np.array([0.5, 0.25]), "recall_20": np.ones(2), "recall_50": np.zeros(2)}
        ease = replace(row("ease", 0.4, np.zeros(2)), test=Evaluation(per_user, np.array([3, 8]), 1))
        rows = [ease, row("pmf", 0.3, np.array([0.75, 0.125]))]
        files.write_tables(tmp_path, rows, split, SearchConfig())
        expected = pd.DataFrame(
            {
                "model": ["ease", "ease", "pmf", "pmf"],
                "user": [3, 8, 0, 1],
                "ndcg_100": [0.5, 0.25, 0.75, 0.125],
                "recall_20": [1.0, 1.0, 0.75, 0.125],
                "recall_50": [0.0, 0.0, 0.75, 0.125],
            }
        )
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "test_per_user.parquet"), expected)
