"""Recognizes files that are not tables, by their first bytes, and refuses them with a remedy."""

from __future__ import annotations

from distrecvae.errors import DataError

_AS_CSV = "save it as CSV (UTF-8) there"
_BY_PANDAS = "read it in Python and give the DataFrame to distrecvae.prepare, or write it as Parquet"

_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive that is cut short", "fetch it again"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)", _AS_CSV),
    (b"\x93NUMPY", "a NumPy array", _BY_PANDAS),
    (b"\x80\x04", "a Python pickle", _BY_PANDAS),
    (b"\x80\x05", "a Python pickle", _BY_PANDAS),
    (b"ARROW1", "an Arrow (Feather) file", _BY_PANDAS),
    (b"ORC", "an ORC file", _BY_PANDAS),
    (b"Obj\x01", "an Avro file", _BY_PANDAS),
    (b"\x89HDF", "an HDF5 file", _BY_PANDAS),
    (b"SQLite format 3", "an SQLite database", _BY_PANDAS),
    (b"%PDF", "a PDF", "give a table"),
    (b"BZh", "packed by bzip2", "unpack it first (gzip and zip are read as they are)"),
    (b"\xfd7zXZ", "packed by xz", "unpack it first (gzip and zip are read as they are)"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", "unpack it first (gzip and zip are read as they are)"),
    (b"7z\xbc\xaf", "packed by 7-Zip", "unpack it first (gzip and zip are read as they are)"),
    (b"Rar!", "packed by RAR", "unpack it first (gzip and zip are read as they are)"),
)

_PYTHON_DICT = b"{'"


def refuse_other_kinds(part: object, head: bytes) -> None:
    """Refuse what is known not to be a table of text.

    Args:
        part: the file.
        head: its first bytes.

    Raises:
        DataError: it is; the message says what it is, and what to do.
    """
    for magic, kind, remedy in _KINDS:
        if head.startswith(magic):
            raise DataError(f"{part} is {kind}, which is not read; {remedy}")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if len(head) > 262 and head[257:262] == b"ustar":
        raise DataError(f"{part} is a tar archive, which is not read; unpack it first")
    if text[:1] == b"[":
        raise DataError(
            f"{part} is a JSON array, which is not read; write JSON lines, one object a line (jq -c '.[]')"
        )
    if text.startswith(_PYTHON_DICT):
        raise DataError(f"{part} has Python dicts, not JSON (single quotes); write JSON lines or CSV")
    if text[:9].lower() == b"<!doctype" or text[:5].lower() in (b"<html", b"<?xml"):
        raise DataError(
            f"{part} is HTML or XML, not a table; perhaps a login page was downloaded: fetch it again"
        )


def refuse_other_archives(path: object, names: list[str]) -> None:
    """Refuse a zip that is another program's file.

    Args:
        path: the zip.
        names: of what is in it.

    Raises:
        DataError: it is a workbook, or NumPy arrays.
    """
    if "[Content_Types].xml" in names or "mimetype" in names:
        raise DataError(
            f"{path} is a workbook or document of an office program, which is not read; {_AS_CSV}, or give"
            " pandas.read_excel(...) to distrecvae.prepare"
        )
    if names and all(name.endswith(".npy") for name in names):
        raise DataError(f"{path} holds NumPy arrays (.npz), which are not read; {_BY_PANDAS}")
