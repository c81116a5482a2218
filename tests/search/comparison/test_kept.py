"""What a table is made from is read as it was written, and what is damaged is refused in a line."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distrecvae.errors import ResultsError
from distrecvae.evaluation import Evaluation
from distrecvae.search.comparison.kept import (
    PER_USER_FILES,
    ROWS_FILE,
    Table,
    read_table,
    table_of,
    write_table,
)
from distrecvae.search.comparison.row import ELSEWHERE, Row, Seeds
from tests.search.comparison.rows import row
from tests.search.comparison.tables import table


def evaluation(seed: int, n: int = 7) -> Evaluation:
    generator = np.random.default_rng(seed)
    values = {name: generator.random(n) for name in ("ndcg_100", "hit_5")}
    return Evaluation(values, np.arange(n) * 2, 3, {"gini_20": 0.25, "coverage_20": math.nan})


def same(one: Evaluation | None, other: Evaluation | None) -> bool:
    if one is None or other is None:
        return one is other
    return (
        {name: values.tolist() for name, values in one.per_user.items()}
        == {name: values.tolist() for name, values in other.per_user.items()}
        and one.users.tolist() == other.users.tolist()
        and one.n_skipped == other.n_skipped
        and repr(one.overall) == repr(other.overall)
    )


def a_table() -> Table:
    seeds = Seeds((3, 4), {"ndcg_100": (0.1, 0.2)}, {"ndcg_100": (0.1, math.nan)})
    mine = replace(row("mine", 0.4, np.zeros(1)), valid=evaluation(0), test=evaluation(1), seeds=seeds)
    theirs = Row(
        "théirs", ELSEWHERE, {"scores": ["a"]}, None, evaluation(2), None, None, None, None, None, ("note",)
    )
    return table("ml-1m", mine, theirs)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    written = a_table()
    for _ in range(2):  # each search that ends rewrites it
        write_table(tmp_path, written)
    found = read_table(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {ROWS_FILE, *PER_USER_FILES.values()}
    assert replace(found, rows=()) == replace(written, rows=())
    for one, other in zip(found.rows, written.rows, strict=True):
        nobody = evaluation(0, 0)
        assert repr(replace(one, valid=None, test=nobody, seeds=None)) == repr(
            replace(other, valid=None, test=nobody, seeds=None)
        )
        assert repr(one.seeds) == repr(other.seeds)
        assert same(one.valid, other.valid)
        assert same(one.test, other.test)


def test_a_table_without_a_single_user_is_kept_too(tmp_path: Path) -> None:
    nobody = replace(row("mine", 0.4, np.zeros(0)), valid=None)
    write_table(tmp_path, table("ml-1m", nobody))
    (found,) = read_table(tmp_path).rows
    assert found.test.n_evaluated == 0
    assert found.test.names == nobody.test.names


def test_it_says_with_which_versions_it_was_scored(tmp_path: Path) -> None:
    made = table_of(
        [row("a", 0.1, np.ones(3))], title="t", data="d", fingerprint="f", metric="ndcg_100", n_test_users=3
    )
    write_table(tmp_path, made)
    versions = json.loads((tmp_path / ROWS_FILE).read_text())["versions"]
    assert {"distrecvae", "python", "torch", "numpy", "scipy", "ray"} <= versions.keys()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (ROWS_FILE, b"{", "cannot be read"),
        (ROWS_FILE, b'{"format": 1}', "cannot be read"),
        ("test_per_user.parquet", b"PAR1", "cannot be read"),
    ],
)
def test_damaged_files_are_refused(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    write_table(tmp_path, a_table())
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ResultsError, match=words) as refused:
        read_table(tmp_path)
    assert "\n" not in str(refused.value)
    assert "--resume" in str(refused.value)


@pytest.mark.parametrize("name", [ROWS_FILE, *PER_USER_FILES.values()])
def test_a_file_that_is_missing_is_named(name: str, tmp_path: Path) -> None:
    write_table(tmp_path, a_table())
    (tmp_path / name).unlink()
    with pytest.raises(ResultsError, match=f"{name} is missing"):
        read_table(tmp_path)


def test_files_that_do_not_belong_together_and_other_formats_are_refused(tmp_path: Path) -> None:
    write_table(tmp_path, a_table())
    document = json.loads((tmp_path / ROWS_FILE).read_text())
    document["rows"][0]["test"]["metrics"] = ["absent_5"]
    (tmp_path / ROWS_FILE).write_text(json.dumps(document))
    with pytest.raises(ResultsError, match="absent_5"):
        read_table(tmp_path)
    (tmp_path / ROWS_FILE).write_text(json.dumps(document | {"format": 2}))
    with pytest.raises(ResultsError, match="of format 2; 1 is read"):
        read_table(tmp_path)
    (tmp_path / ROWS_FILE).write_text(json.dumps(document | {"rows": []}))
    with pytest.raises(ResultsError, match="has no row"):
        read_table(tmp_path)
