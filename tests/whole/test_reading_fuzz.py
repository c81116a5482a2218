"""Whatever dialect a table is written in, the same rows come back, or a refusal that names a line.

A short run here; `python -m tests.whole.test_reading_fuzz --minutes 10` is a long one. What it found lies in
`tests/reading_corpus/`, a table a file, and is read first.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from distrecvae.data.ids import clean_ids, factorize
from distrecvae.data.sources import read_table
from distrecvae.data.sources.columns import ColumnNames
from distrecvae.errors import ConfigError, DataError
from tests import ROOT
from tests.dialects import Row, Table, tables

CORPUS = ROOT / "tests" / "reading_corpus"


def as_ids(texts: list[str]) -> list[Any]:
    """Return ids as the table must have them: told apart as Python tells texts apart, numbers where all are."""
    codes, ids = factorize(clean_ids(pa.chunked_array([pa.array(texts, pa.string())])), "id")
    found: list[Any] = ids[codes].tolist()
    return found


def expected(rows: list[Row]) -> list[tuple[Any, Any, float]]:
    users, items = (as_ids([row[place].strip() for row in rows]) for place in (0, 1))
    ratings = [float(row[2]) if row[2] else np.nan for row in rows]
    return list(zip(users, items, ratings, strict=True))


def told(table: Table) -> dict[str, Any]:
    if table.dialect.header:
        return {}
    places = {name: str(place) for place, name in enumerate(table.columns(), 1)}
    columns = ColumnNames(user=places["user_id"], item=places["item_id"], rating=places["rating"])
    return {"header": False, "columns": columns}


def check(table: Table, folder: Path) -> bool:
    """Read a table; return whether its rows came back. Fail where others did, or where a refusal names no line."""
    path = table.write(folder)
    try:
        found = read_table(path, **told(table))
    except (ConfigError, DataError) as error:
        said = str(error).replace(str(path), "")
        assert "\n" not in said
        assert re.search(
            r"line \d+|ids? (are|such)|position|first line|no rows|is empty|no column|both be", said
        ), said
        return False
    users, items = found.user_ids[found.users].tolist(), found.item_ids[found.items].tolist()
    assert found.ratings is not None
    rows = list(zip(users, items, found.ratings.tolist(), strict=True))
    assert repr(rows) == repr(expected(table.rows)), table.content()
    return True


def is_plain(table: Table) -> bool:
    """Tell whether a table is written so that every program reads it: then a refusal is a failure, too."""
    dialect = table.dialect
    quotes = any('"' in "".join(row) for row in table.rows) or any(
        set(title) & set('"\n') for title in table.titles
    )
    odd = any(dialect.delimiter in part for row in table.rows for part in row)
    return dialect.header and not quotes and not (odd and dialect.quoting == "none")


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.json")), ids=lambda path: path.stem)
def test_the_corpus(path: Path, tmp_path: Path) -> None:
    check(Table.from_json(path.read_text(encoding="utf-8")), tmp_path)


def test_the_corpus_is_there() -> None:
    assert len(list(CORPUS.glob("*.json"))) >= 10


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables())
def test_the_same_rows_come_back_or_a_line_is_named(table: Table) -> None:
    with tempfile.TemporaryDirectory() as folder:
        read = check(table, Path(folder))
    assert read or not is_plain(table), table.content()


def main() -> None:
    """Fuzz for some minutes; what fails, shrunk, is put into the corpus and ends the run."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    failed: list[Table] = []
    count, n_read, until = 0, 0, time.monotonic() + 60 * options.minutes

    @settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(tables())
    def run(table: Table) -> None:
        nonlocal count, n_read
        if time.monotonic() > until:
            return
        failed.append(table)
        with tempfile.TemporaryDirectory() as folder:
            read = check(table, Path(folder))
        assert read or not is_plain(table), table.content()
        failed.pop()
        count, n_read = count + 1, n_read + read

    try:
        while time.monotonic() < until:
            run()
    finally:
        if failed:  # the last one is the smallest
            text = failed[-1].to_json()
            path = CORPUS / f"found-{zlib.crc32(text.encode()):08x}.json"
            path.write_text(text + "\n", encoding="utf-8")
            print(f"{path}\n{text}\n{failed[-1].content()!r}")
    print(f"{count:,} tables: {n_read:,} read, {count - n_read:,} refused with a line")


if __name__ == "__main__":
    main()
