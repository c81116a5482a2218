"""Tables as people's programs write them: rows, and the many dialects of text that they are written in."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Row = tuple[str, str, str]
"""A user, an item and a rating as they are written."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a table is written.

    Attributes:
        delimiter: between fields.
        end: of a line.
        quoting: of Python's csv; `none` writes fields as they are, quotes or not.
        encoding: of the bytes; `bom` is UTF-8 with a mark.
        header: whether names are written.
        before: lines before the header.
        title: a column of free text; its place among the columns, None for none.
        last_end: whether the last line is ended.
        blank: whether blank lines stand between rows.
        packed: gzip, zip or neither.
    """

    delimiter: str = ","
    end: str = "\n"
    quoting: str = "minimal"
    encoding: str = "utf-8"
    header: bool = True
    before: str = ""
    title: int | None = None
    last_end: bool = True
    blank: bool = False
    packed: str = ""


@dataclass(frozen=True)
class Table:
    """Rows, free text a row, and the dialect."""

    rows: list[Row]
    titles: list[str]
    dialect: Dialect

    def to_json(self) -> str:
        """Return it as a seed of the corpus."""
        return json.dumps(
            {"rows": self.rows, "titles": self.titles, "dialect": asdict(self.dialect)}, ensure_ascii=True
        )

    @classmethod
    def from_json(cls, text: str) -> Table:
        """Return what `to_json` wrote."""
        found = json.loads(text)
        rows = [(user, item, rating) for user, item, rating in found["rows"]]
        return cls(rows, found["titles"], Dialect(**found["dialect"]))

    def columns(self) -> list[str]:
        """Return the columns in their order."""
        names = ["user_id", "item_id", "rating"]
        if self.dialect.title is not None:
            names.insert(self.dialect.title, "title")
        return names

    def content(self) -> bytes:
        """Return the bytes of the file, unpacked."""
        dialect = self.dialect
        table = []
        for row, title in zip(self.rows, self.titles, strict=True):
            fields = list(row)
            if dialect.title is not None:
                fields.insert(dialect.title, title)
            table.append(fields)
        if dialect.header:
            table.insert(0, self.columns())
        lines = [_line(fields, dialect) for fields in table]
        if dialect.blank:
            lines = [part for line in lines for part in (line, "")]
        text = dialect.before.replace("\n", dialect.end) + dialect.end.join(lines)
        text += dialect.end if dialect.last_end else ""
        if dialect.encoding == "bom":
            return codecs.BOM_UTF8 + text.encode()
        return text.encode(dialect.encoding)

    def write(self, folder: Path) -> Path:
        """Write the file, and return its path."""
        suffix = ".tsv" if self.dialect.delimiter == "\t" else ".csv"
        path = folder / f"table{suffix}"
        if self.dialect.packed == "gzip":
            path = folder / f"{path.name}.gz"
            path.write_bytes(gzip.compress(self.content(), 1))
        elif self.dialect.packed == "zip":
            name, path = path.name, folder / "table.zip"
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr(name, self.content())
        else:
            path.write_bytes(self.content())
        return path


_QUOTING: dict[str, Any] = {
    "minimal": csv.QUOTE_MINIMAL,
    "all": csv.QUOTE_ALL,
    "nonnumeric": csv.QUOTE_NONNUMERIC,
}


def _line(fields: list[str], dialect: Dialect) -> str:
    if dialect.quoting == "none":
        return dialect.delimiter.join(fields)
    text = io.StringIO(newline="")
    writer = csv.writer(
        text, delimiter=dialect.delimiter, lineterminator="\r\n", quoting=_QUOTING[dialect.quoting]
    )
    writer.writerow(fields)
    return text.getvalue().removesuffix("\r\n")


def _texts(alphabet: str, most: int) -> st.SearchStrategy[str]:
    return st.text(st.sampled_from(alphabet), max_size=most)


IDS = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.integers(0, 50).map(lambda number: f"{number}.0"),
    st.sampled_from(
        ["NA", "null", "None", "nan", "007", "1e5", "é", "😀", "#1", "=1+1", "-", '"', 'a"b', '"a', 'a"']
    ),
    _texts("ab\"',;\t| #%é0.", 6).filter(lambda text: bool(text.strip())),
)
RATINGS = st.sampled_from(["1", "5", "3.5", "0.5", "-1", "", "1e2"])
TITLES = _texts('ab"\n,;\t| 1', 12)


def _bare(text: str, delimiter: str) -> str:
    """Return a text that can stand in a file without quoting: from quote to quote it would be a quoted one."""
    text = text.replace(delimiter, "_").replace("\n", "_")
    return f"{text}_" if len(text) > 1 and text.startswith('"') and text.endswith('"') else text


@st.composite
def tables(draw: Any) -> Table:
    """Draw a table in a dialect, some of them such as nobody could read."""
    rows = draw(st.lists(st.tuples(IDS, IDS, RATINGS), min_size=1, max_size=8))
    titles = [draw(TITLES) for _ in rows]
    delimiter = draw(st.sampled_from([",", "\t", ";", "|"]))
    dialect = Dialect(
        delimiter=delimiter,
        end=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        quoting=draw(st.sampled_from(["minimal", "minimal", "all", "nonnumeric", "none"])),
        encoding=draw(st.sampled_from(["utf-8", "utf-8", "bom", "utf-16", "utf-32"])),
        header=draw(st.sampled_from([True, True, True, False])),
        before=draw(st.sampled_from(["", "", "", "\n", "# made by a tool\n", f"sep={delimiter}\n"])),
        title=draw(st.none() | st.integers(0, 3)),
        last_end=draw(st.booleans()),
        blank=draw(st.sampled_from([False, False, True])),
        packed=draw(st.sampled_from(["", "", "", "gzip", "zip"])),
    )
    if not dialect.header:
        dialect = Dialect(**{**asdict(dialect), "before": ""})
    if dialect.quoting == "none":  # then nothing can hold what divides fields and rows
        rows = [(_bare(user, delimiter), _bare(item, delimiter), rating) for user, item, rating in rows]
        titles = [_bare(title, delimiter) for title in titles]
    return Table(rows, titles, dialect)
