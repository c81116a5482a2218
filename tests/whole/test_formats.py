"""Every published layout, plain or packed, reads as the same interactions."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distrecvae.data.sources import read_table
from distrecvae.data.sources.columns import ColumnNames
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError

# grouped by item, as the Netflix Prize is; ids of both sides have gaps and do not begin at 0
ROWS = [(7, 1, 5.0), (30, 1, 3.5), (8, 1, 0.5), (7, 12, 4.0), (100, 12, 1.0), (30, 3, 2.0)]


def triples(table: InteractionTable) -> list[tuple[str, str, float]]:
    ratings = np.full(table.n_rows, np.nan) if table.ratings is None else table.ratings
    users, items = table.user_ids[table.users].tolist(), table.item_ids[table.items].tolist()
    return [(str(u), str(i), r) for u, i, r in zip(users, items, ratings.tolist(), strict=True)]


EXPECTED = [(str(u), str(i), r) for u, i, r in ROWS]


def lines(separator: str, header: str = "", tail: str = "", end: str = "\n") -> bytes:
    rows = [separator.join(map(str, row)) + tail for row in ROWS]
    return (end.join([header, *rows] if header else rows) + end).encode()


def netflix(end: str = "\n") -> bytes:
    frame = pd.DataFrame(ROWS, columns=["user", "item", "rating"])
    text = ""
    for item, own in frame.groupby("item", sort=False):
        rows = [f"{u},{r},2005-09-06" for u, r in zip(own["user"], own["rating"], strict=True)]
        text += end.join([f"{item}:", *rows]) + end
    return text.encode()


def parquet(path: Path) -> None:
    columns = list(zip(*ROWS, strict=True))
    table = {"user_id": columns[0], "note": ["x"] * 6, "item_id": columns[1], "rating": columns[2]}
    pq.write_table(pa.table({name: list(column) for name, column in table.items()}), path, row_group_size=4)


LAYOUTS: dict[str, Callable[[Path], object] | bytes] = {
    "ratings.csv": lines(",", "userId,movieId,rating,timestamp", ",964982703"),
    "windows.csv": lines(",", "userId,movieId,rating", end="\r\n"),
    "bom.csv": b"\xef\xbb\xbf" + lines(",", "userId,movieId,rating"),
    "semicolons.csv": lines(";", "User ID;Item ID;Stars"),
    "quoted.csv": lines(",", '"user_id","item_id","rating"'),
    "spaced.csv": lines(" , ", "user , item , rating"),
    "no_last_line_end.csv": lines(",", "user,item,rating").rstrip(b"\n"),
    "tabs.tsv": lines("\t", "uid\tsid\tcount"),
    "ml-1m.inter": lines("\t", "user_id:token\titem_id:token\trating:float\ttimestamp:float", "\t1.0"),
    "ratings.dat": lines("::", tail="::964982703"),
    "u.data": lines("\t", tail="\t881250949"),
    "train_triplets.txt": lines("\t"),
    "combined_data_1.txt": netflix(),
    "netflix_windows.txt": netflix("\r\n"),
    "ratings.parquet": parquet,
    "no_suffix": parquet,
}


def write(folder: Path, name: str) -> Path:
    content, path = LAYOUTS[name], folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
    return path


@pytest.mark.parametrize("packing", ["plain", "gzip", "zip", "gzip in zip"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_every_packing(name: str, packing: str, tmp_path: Path) -> None:
    path = write(tmp_path, name)
    if "gzip" in packing:
        packed = path.with_name(f"{name}.gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    if "zip" in packing.split():
        packed = tmp_path / "archive.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, f"folder/{path.name}")
        path = packed
    table = read_table(path)
    assert triples(table) == EXPECTED
    assert table.user_ids.tolist() == [7, 8, 30, 100], "numbers sort as numbers, whatever they were read from"
    assert table.source["path"].startswith(str(path))


@pytest.mark.parametrize(
    "names", [["combined_data_1.txt", "combined_data_2.txt"], ["mv_0001.txt", "mv_0002.txt"]]
)
@pytest.mark.parametrize("packed", [False, True])
def test_netflix_in_parts(names: list[str], packed: bool, tmp_path: Path) -> None:
    """A part may end without a line end; parts are read in the order of their names, others are left
    alone."""
    halves = netflix().split(b"12:\n")
    contents = [halves[0].rstrip(b"\n"), b"12:\n" + halves[1]]
    folder = tmp_path / "training_set"
    folder.mkdir()
    for name, content in zip(names, contents, strict=True):
        (folder / name).write_bytes(content)
    (folder / "probe.txt").write_text("1:\n30878\n")
    path = tmp_path
    if packed:
        path = tmp_path / "netflix.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(folder.iterdir(), reverse=True):
                archive.write(file, file.name)
    table = read_table(path)
    assert triples(table) == EXPECTED
    assert table.source["parts"] == 2


def test_a_folder_of_parquet_files(tmp_path: Path) -> None:
    """What Spark and friends write: the parts of one table."""
    columns = list(zip(*ROWS, strict=True))
    table = pa.table({"user_id": list(columns[0]), "item_id": list(columns[1]), "rating": list(columns[2])})
    pq.write_table(table.slice(0, 2), tmp_path / "part-0.parquet")
    pq.write_table(table.slice(2), tmp_path / "part-1.parquet")
    (tmp_path / "_SUCCESS").touch()
    assert triples(read_table(tmp_path)) == EXPECTED


def test_the_known_file_of_an_archive(tmp_path: Path) -> None:
    """ml-20m.zip has six tables; the ratings are meant, and --member reaches the others."""
    path = tmp_path / "ml-20m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ml-20m/ratings.csv", lines(",", "userId,movieId,rating"))
        archive.writestr("ml-20m/tags.csv", "userId,movieId,tag\n1,2,x\n")
        archive.writestr("__MACOSX/ml-20m/._ratings.csv", b"\0")
    assert triples(read_table(path)) == EXPECTED
    assert read_table(path, member="tags.csv").n_rows == 1
    with pytest.raises(DataError, match=r"no 'ratngs.csv' .* did you mean 'ml-20m/ratings.csv'"):
        read_table(path, member="ratngs.csv")


def test_text_ids_and_extra_columns(tmp_path: Path) -> None:
    """Quoted commas and line ends in columns that are not read don't matter; ids stay as they are written."""
    path = tmp_path / "reviews.csv"
    path.write_text('asin,review,reviewerID\n"B,1","so\nlong, ""well""",A\nB2,short,é\n', encoding="utf-8")
    table = read_table(path)
    assert [row[:2] for row in triples(table)] == [("A", "B,1"), ("é", "B2")]
    assert table.ratings is None
    assert table.source["columns"] == {"user": "reviewerID", "item": "asin"}


def test_columns_as_told(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("user_id,buyer,SKU,stars\nx,7,1,5\n")
    table = read_table(path, ColumnNames(user="buyer", item="sku", rating="stars"))
    assert triples(table) == [("7", "1", 5.0)]


def test_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read in blocks, each with its own dictionary of ids; rows keep their order across blocks."""
    monkeypatch.setattr("distrecvae.data.sources.delimited._BLOCK_BYTES", 1 << 12)
    random = np.random.default_rng(0)
    users, items = random.integers(5000, size=20_000), random.integers(900, size=20_000)
    for name, separator in (("many.csv", ","), ("many.dat", "::")):
        path = tmp_path / name
        rows = [separator.join((str(u), str(i), "1", "0")) for u, i in zip(users, items, strict=True)]
        path.write_text("\n".join(["user,item,rating,time", *rows] if separator == "," else rows))
        table = read_table(path)
        np.testing.assert_array_equal(table.user_ids[table.users], users)
        np.testing.assert_array_equal(table.item_ids[table.items], items)
