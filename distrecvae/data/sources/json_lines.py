"""Reads JSON lines: an object a line, as Amazon's and Yelp's reviews are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from distrecvae.data.sources.columns import Columns, Told, find_columns
from distrecvae.data.sources.lines import LineError, physical_lines
from distrecvae.data.sources.opening import Part
from distrecvae.data.sources.rows import to_table
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError


def read_json_lines(part: Part, told: Told) -> InteractionTable:
    """Read a file with a JSON object a line; the first one names the columns.

    Ids are text or whole numbers. An object without a rating, or with null, has none.

    Raises:
        DataError: a line is no object, an id is missing or of another type, a rating is not a number.
    """
    lines: list[int] = []
    values: dict[str, list[Any]] = {}
    columns: Columns | None = None
    try:
        for number, record in _objects(part):
            if columns is None:
                columns = find_columns(list(record), told.columns)
                roles = [role for role in told.roles if role in columns.names]
                values = {role: [] for role in roles}
            lines.append(number)
            if told.max_rows is not None and len(lines) > told.max_rows:
                raise DataError(
                    f"{part} has more than {told.max_rows:,} rows; raise --max-rows, or give a part of it"
                )
            for role in roles:
                values[role].append(_value(record.get(columns.names[role]), role, number, part))
    except LineError as error:
        raise DataError(f"{part} {error}") from None
    if columns is None:
        raise DataError(f"{part} is empty; it must hold interactions")
    arrays = {role: _column(values.pop(role), role) for role in roles}
    numbers = np.array(lines, dtype=np.int64)
    source = {"path": str(part), "format": "jsonl", **columns.facts()}
    return to_table(
        pa.table(arrays),
        source,
        str(part),
        names=columns.names,
        place=lambda row: f"line {numbers[row]}",
        missing=told.missing,
    )


def _objects(part: Part) -> Iterator[tuple[int, dict[str, Any]]]:
    with part.open() as file:
        for number, line in enumerate(physical_lines(file), 1):
            if not line.strip(b" \t\xef\xbb\xbf"):
                continue
            try:
                found = json.loads(line.removeprefix(b"\xef\xbb\xbf"))
            except (ValueError, RecursionError):
                raise DataError(
                    f"{part} is not JSON in line {number}; every line must be an object of its own"
                ) from None
            if not isinstance(found, dict):
                raise DataError(f"{part} has a {type(found).__name__} in line {number}; it must be an object")
            yield number, found


def _value(value: Any, role: str, number: int, part: Part) -> Any:
    if value is None:
        return None
    if role == "timestamp":
        return str(value)
    if role == "rating":
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            raise DataError(
                f"{part} has rating {value!r:.80} in line {number}; ratings must be numbers"
            ) from None
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(value)
    raise DataError(f"{part} has {role} id {value!r:.80} in line {number}; ids must be text or whole numbers")


def _column(values: list[Any], role: str) -> pa.Array:
    if role == "rating":
        return pa.array([np.nan if value is None else value for value in values], pa.float64())
    texts = pa.array(values, pa.string())
    return texts if role == "timestamp" else texts.dictionary_encode()
