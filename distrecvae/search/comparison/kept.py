"""What a comparison's table is made from, as it lies in the folder: its rows, every held-out user's metrics, versions.

All tables and pictures are views of it, and can be made again by it alone: neither models nor data are needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from distrecvae.errors import ResultsError
from distrecvae.evaluation import Evaluation
from distrecvae.files import replacing, write_json
from distrecvae.search.comparison.row import Row, Seeds
from distrecvae.search.folder.environment import versions
from distrecvae.typed import MisfitError, read_typed
from distrecvae.words import first_line

ROWS_FILE = "rows.json"
PER_USER_FILES = {"valid": "valid_per_user.parquet", "test": "test_per_user.parquet"}
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Table:
    """A comparison's table.

    Attributes:
        title: what was compared, and how.
        data: what the data set is called.
        fingerprint: the data set's.
        metric: by which configurations were chosen.
        n_test_users: users of the data set's test group, those that cannot be scored included.
        rows: in the order asked for.
        versions: with which the rows were scored, by name.
    """

    title: str
    data: str
    fingerprint: str
    metric: str
    n_test_users: int
    rows: tuple[Row, ...]
    versions: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Scored:
    """What `rows.json` says of a row's evaluation; the users' values are in the Parquet file."""

    metrics: tuple[str, ...]
    n_skipped: int
    overall: dict[str, float | None]


@dataclass(frozen=True, kw_only=True)
class _Seeds:
    numbers: tuple[int, ...]
    valid: dict[str, tuple[float | None, ...]]
    test: dict[str, tuple[float | None, ...]]


@dataclass(frozen=True, kw_only=True)
class _Row:
    name: str
    model: str
    config: dict[str, Any]
    valid: _Scored | None
    test: _Scored
    trials: int | None
    search_s: float | None
    train_s: float | None
    n_parameters: int | None
    seeds: _Seeds | None
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _File:
    """What lies in `rows.json`."""

    format: int
    title: str
    data: str
    fingerprint: str
    metric: str
    n_test_users: int
    versions: dict[str, str]
    rows: tuple[_Row, ...]


def write_table(folder: Path, table: Table) -> None:
    """Write what the table is made from into the comparison's folder: `rows.json`, and each group's users."""
    for group, name in PER_USER_FILES.items():
        parts = [
            pd.DataFrame({"model": row.name, "user": scored.users, **scored.per_user})
            for row in table.rows
            if (scored := _of(row, group)) is not None
        ]
        with replacing(folder / name) as path:
            (pd.concat(parts) if parts else pd.DataFrame({"model": [], "user": []})).to_parquet(
                path, index=False
            )
    rows = tuple(
        _Row(
            name=row.name, model=row.model, config=row.config, valid=_written(row.valid), test=_written_of(row.test),
            trials=row.trials, search_s=row.search_s, train_s=row.train_s, n_parameters=row.n_parameters,
            seeds=None if row.seeds is None else _Seeds(numbers=row.seeds.numbers, valid=_nulls(row.seeds.valid),
                                                        test=_nulls(row.seeds.test)),
            notes=row.notes,
        )
        for row in table.rows
    )  # fmt: skip
    document = _File(
        format=FORMAT,
        title=table.title,
        data=table.data,
        fingerprint=table.fingerprint,
        metric=table.metric,
        n_test_users=table.n_test_users,
        versions=dict(table.versions),
        rows=rows,
    )
    write_json(folder / ROWS_FILE, asdict(document))


def read_table(folder: Path) -> Table:
    """Return the table of a comparison's folder.

    Raises:
        ResultsError: there is none, or a file is damaged or does not fit the others.
    """
    path = folder / ROWS_FILE
    try:
        for name in (ROWS_FILE, *PER_USER_FILES.values()):
            if not (folder / name).exists():
                raise ResultsError(
                    f"{folder} has no table to make again ({name} is missing); give the folder of a comparison,"
                    " or continue it with `distrecvae compare --resume`, which writes one"
                )
        found = read_typed(path, _File)
        users = {group: pd.read_parquet(folder / name) for group, name in PER_USER_FILES.items()}
        if found.format != FORMAT:
            raise ResultsError(
                f"{path} is of format {found.format}; {FORMAT} is read: use that version of distrecvae"
            )
        rows = tuple(_row(each, users) for each in found.rows)
    except (MisfitError, OSError, KeyError, ValueError) as error:
        raise ResultsError(
            f"{folder}: its table cannot be read ({first_line(error)}); continue it with `distrecvae compare --resume`"
        ) from None
    if not rows:
        raise ResultsError(f"{path} has no row; resume the comparison with --resume")
    return Table(
        title=found.title,
        data=found.data,
        fingerprint=found.fingerprint,
        metric=found.metric,
        n_test_users=found.n_test_users,
        rows=rows,
        versions=found.versions,
    )


def table_of(
    rows: Sequence[Row], *, title: str, data: str, fingerprint: str, metric: str, n_test_users: int
) -> Table:
    """Return the table of rows that were scored here and now."""
    return Table(
        title=title,
        data=data,
        fingerprint=fingerprint,
        metric=metric,
        n_test_users=n_test_users,
        rows=tuple(rows),
        versions=versions(),
    )


def _of(row: Row, group: str) -> Evaluation | None:
    return row.test if group == "test" else row.valid


def _written(scored: Evaluation | None) -> _Scored | None:
    return None if scored is None else _written_of(scored)


def _written_of(scored: Evaluation) -> _Scored:
    overall = {name: None if math.isnan(value) else value for name, value in scored.overall.items()}
    return _Scored(metrics=tuple(scored.per_user), n_skipped=scored.n_skipped, overall=overall)


def _nulls(means: Mapping[str, Sequence[float]]) -> dict[str, tuple[float | None, ...]]:
    return {
        name: tuple(None if math.isnan(value) else value for value in values)
        for name, values in means.items()
    }


def _numbers(means: Mapping[str, Sequence[float | None]]) -> dict[str, tuple[float, ...]]:
    return {
        name: tuple(math.nan if value is None else value for value in values)
        for name, values in means.items()
    }


def _row(found: _Row, users: Mapping[str, pd.DataFrame]) -> Row:
    def scored(group: str, kept: _Scored) -> Evaluation:
        frame = users[group]
        own = frame[frame["model"] == found.name]
        return Evaluation(
            {name: own[name].to_numpy(np.float64) for name in kept.metrics},
            own["user"].to_numpy(np.int64),
            kept.n_skipped,
            {name: math.nan if value is None else value for name, value in kept.overall.items()},
        )

    seeds = found.seeds
    return Row(
        name=found.name, model=found.model, config=found.config,
        valid=None if found.valid is None else scored("valid", found.valid), test=scored("test", found.test),
        trials=found.trials, search_s=found.search_s, train_s=found.train_s, n_parameters=found.n_parameters,
        seeds=None if seeds is None else Seeds(seeds.numbers, _numbers(seeds.valid), _numbers(seeds.test)),
        notes=found.notes,
    )  # fmt: skip
