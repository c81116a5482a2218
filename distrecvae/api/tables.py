"""`distrecvae.tables`: a comparison's tables, remade from its folder, or those of several as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distrecvae.api.given import carried_out_by
from distrecvae.errors import ConfigError, ResultsError
from distrecvae.layout import COMPARISON_FILE

if TYPE_CHECKING:
    from distrecvae.api.results import Comparison

SEVERAL = Path("tables")
"""Where tables of several comparisons go, unless told otherwise."""


@dataclass(frozen=True)
class Tables:
    """What was made.

    Attributes:
        files: the files written.
        text: the table, for people.
    """

    files: tuple[Path, ...]
    text: str

    def __str__(self) -> str:
        return "\n".join([self.text, "", *map(str, self.files)])


def make_tables(
    folders: Sequence[Path], out: Path | None = None, metric: str | None = None, metrics: str | None = None
) -> Tables:
    """Make the tables of one comparison, or of several as one, and return what was made.

    Args:
        folders: the comparisons.
        out: where the tables go; None for the folder of the only one, or `SEVERAL`.
        metric: which one decides; None for that of the comparisons.
        metrics: the columns; None for all that they share.

    Raises:
        ResultsError: a folder has no table, two are of the same data, or `out` is another comparison's folder.
        ConfigError: a metric is none of theirs.
    """
    from distrecvae.search.comparison import views

    if not folders:
        raise ConfigError("there is no comparison to make a table of; give the folder of one")
    tables = views.tables_of(folders, metric)
    columns = None if metrics is None and len(tables) == 1 else views.columns_of(tables, metrics)
    place = out or (folders[0] if len(folders) == 1 else SEVERAL)
    if (place / COMPARISON_FILE).exists() and place.resolve() not in [each.resolve() for each in folders[:1]]:
        raise ResultsError(
            f"{place} is another comparison's folder, whose tables would be lost; give another --out"
        )
    if len(tables) == 1:
        return Tables(tuple(views.write_views(place, tables[0], columns)), views.one_text(tables[0]))
    if (place / COMPARISON_FILE).exists():
        raise ResultsError(
            f"{place} is a comparison's own folder, whose tables would be lost; give another --out"
        )
    written = views.write_several(place, tables, columns or ())
    return Tables(tuple(written), views.several_text(tables))


def _tables(given: dict[str, Any]) -> Tables:
    from distrecvae.api.results import Comparison

    folders = given["folders"]
    if isinstance(folders, Comparison | str | PathLike):
        folders = [folders]
    places = [each.folder if isinstance(each, Comparison) else Path(each) for each in folders]
    out = Path(given["out"]) if "out" in given else None
    return make_tables(places, out, given.get("metric"), given.get("metrics"))


@carried_out_by(_tables)
def tables(
    folders: Comparison | str | PathLike[str] | Sequence[Comparison | str | PathLike[str]],
    *,
    out: str | PathLike[str] | None = None,
    metric: str | None = None,
    metrics: str | None = None,
) -> Tables:
    """Make the tables of comparisons again, from their folders: LaTeX, CSV, Markdown, figures.

    Args:
        folders: a comparison or its folder, or several, one a data set, which become one table with mean ranks and a
            critical-difference diagram.
        out: where they go; None for the folder of the only one, else `tables`.
        metric: which one decides who is best; None for the one that was compared by.
        metrics: columns of the LaTeX table, such as "ndcg@100,recall@20"; None for all.

    Raises:
        ResultsError: a folder has no table, two are of the same data, or `out` is another comparison's folder.
        ConfigError: a metric is none of theirs.
    """
    raise NotImplementedError  # never run: `carried_out_by` takes the call
