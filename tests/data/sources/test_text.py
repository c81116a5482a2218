"""How a text table begins: encodings, what stands before a header, the delimiter."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path

import pytest

from distrecvae.data.sources import text as text_module
from distrecvae.data.sources.opening import Part
from distrecvae.data.sources.text import text_of
from distrecvae.errors import DataError


def written(folder: Path, content: str | bytes) -> Part:
    path = folder / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Part(path)


ROWS = "user,item\n1,é\n2,b\n"


@pytest.mark.parametrize(
    "content",
    [
        ROWS.encode(),
        codecs.BOM_UTF8 + ROWS.encode(),
        ROWS.encode("utf-16"),
        codecs.BOM_UTF16_BE + ROWS.encode("utf-16-be"),
        ROWS.encode("utf-32"),
        ROWS.encode("utf-16-le"),
        ROWS.encode("utf-16-be"),
        gzip.compress(ROWS.encode("utf-16"), mtime=0),
    ],
)
def test_encodings_that_say_themselves(content: bytes, tmp_path: Path) -> None:
    text = text_of(written(tmp_path, content))
    assert text.names == ("user", "item")
    assert list(text.lines()) == ["1,é".encode(), b"2,b"]
    with text.open() as file:
        assert file.read() == "1,é\n2,b\n".encode()


def test_other_encodings_are_told(tmp_path: Path) -> None:
    part = written(tmp_path, ROWS.encode("latin-1"))
    assert list(text_of(part, encoding="latin-1").lines()) == ["1,é".encode(), b"2,b"]
    with pytest.raises(DataError, match="encoding 'latin-99' is not known"):
        text_of(part, encoding="latin-99")
    with pytest.raises(DataError, match="is not utf-16 text"):
        text_of(written(tmp_path, b"\x00\xd8\x41"), encoding="utf-16")


@pytest.mark.parametrize(
    ("content", "names", "delimiter", "first_line"),
    [
        ("user,item\n1,2\n", ("user", "item"), ",", 2),
        ("\n \nuser,item\n1,2\n", ("user", "item"), ",", 4),
        ("sep=;\r\nuser;item,s\r\n1;2\r\n", ("user", "item,s"), ";", 3),
        ('"sep=|"\nuser|item\n1|2\n', ("user", "item"), "|", 3),
        ("# made by\n% a tool\nuser\titem\n1\t2\n", ("user", "item"), "\t", 4),
        ('"a;b;c;d",user\n1,2\n', ("a;b;c;d", "user"), ",", 2),
        ('user,"the\nitem"\n1,2\n', ("user", "the\nitem"), ",", 3),
        ("user,item\r1,2\r", ("user", "item"), ",", 2),
    ],
)
def test_before_and_in_the_header(
    content: str, names: tuple[str, ...], delimiter: str, first_line: int, tmp_path: Path
) -> None:
    text = text_of(written(tmp_path, content))
    assert (text.names, text.delimiter, text.first_line) == (names, delimiter, first_line)
    assert list(text.lines()) == [delimiter.join("12").encode()]


def test_without_a_header_the_first_line_is_a_row(tmp_path: Path) -> None:
    text = text_of(written(tmp_path, "\n1,2\n3,4\n"), header=False)
    assert text.names is None
    assert text.first == ("1", "2")
    assert text.first_line == 2
    assert list(text.lines()) == [b"1,2", b"3,4"]


def test_spaces_divide_where_nothing_else_does(tmp_path: Path) -> None:
    assert text_of(written(tmp_path, "user item\n1 2\n"), spaces=True).delimiter == " "
    assert text_of(written(tmp_path, "user item,x\n1 2\n"), spaces=True).delimiter == ","


def test_a_wide_header_is_read_and_an_endless_one_refused(tmp_path: Path) -> None:
    wide = ",".join(["user", "item", *(f"feature {n:010d}" for n in range(5000))])
    assert len(wide) > 1 << 16
    assert len(text_of(written(tmp_path, f"{wide}\n1,2\n")).first) == 5002
    with pytest.raises(DataError, match="has a line 1 of more than 1 MiB"):
        text_of(written(tmp_path, "x" * (2 << 20)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n\r\n", "is empty"),
        (b"sep=;\n", "has no header"),
        (b"a\0b,c\n", "is not text"),
        (b"us\xe9r,item\n", "is not UTF-8 text .* --encoding"),
    ],
)
def test_what_begins_no_table(content: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        text_of(written(tmp_path, content))


def test_recoding_across_every_border(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes("aé€😀b".encode("utf-16-le"))
    for size in range(1, 6):
        with path.open("rb") as file:
            found = text_module.Recoded(file, codecs.getincrementaldecoder("utf-16-le")(), size)
            assert found.read() == "aé€😀b".encode()
