"""What is no table of ours is called by its name, with what to do."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from distrecvae.data.sources import read_table
from distrecvae.data.sources.kinds import refuse_other_archives, refuse_other_kinds
from distrecvae.errors import DataError


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, users=np.arange(3), items=np.arange(3))
    return file.getvalue()


def workbook() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (workbook(), ["workbook", "save it as CSV"]),
        (npz(), [".npz", "distrecvae.prepare"]),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ["Excel workbook"]),
        (b"\x93NUMPY\x01", ["NumPy array"]),
        (b"SQLite format 3\0", ["SQLite"]),
        (b"ARROW1\0\0", ["Feather"]),
        (b"\x28\xb5\x2f\xfdxx", ["zstd", "unpack it first"]),
        (b'[{"user_id": 1}]', ["JSON array", "JSON lines"]),
        (b"{'reviewerID': 'A'}\n", ["Python dicts"]),
        (b"\n<!DOCTYPE html><html>", ["HTML"]),
        (b"\0" * 257 + b"ustar\0" + b"\0" * 20, ["tar archive", "unpack it first"]),
    ],
)
def test_it_is_called_by_its_name(content: bytes, words: list[str], tmp_path: Path) -> None:
    for name, packed in (("a.csv", content), ("a.csv.gz", gzip.compress(content))):
        if name.endswith(".gz") and content[:2] == b"PK":
            continue
        (tmp_path / name).write_bytes(packed)
        with pytest.raises(DataError) as refused:
            read_table(tmp_path / name)
        assert all(word in str(refused.value) for word in words), refused.value
        assert "\n" not in str(refused.value)


def test_tables_are_let_through() -> None:
    refuse_other_kinds("a.csv", b"user,item\n1,2\n")
    refuse_other_archives("a.zip", ["ratings.csv", "x.npy"])
