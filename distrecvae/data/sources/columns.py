"""Owns which column of a file is the user, the item, the rating: by its usual names, or as told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distrecvae.errors import DataError, nearest

# In order of preference, spelled without case, spaces and underscores: user_id, userId, "User ID" are one
# name.
_ALIASES = {
    "user": "userid user uid users customerid customer visitorid memberid reviewerid accountid username",
    "item": "itemid item iid items movieid movie productid product songid song trackid articleid "
    "bookid videoid parentasin asin isbn businessid sid itemname",
    "rating": "rating ratings score stars overall count plays playcount listencount preference",
    "timestamp": "timestamp time date datetime ts unixreviewtime createdat",
}


@dataclass(frozen=True, kw_only=True)
class ColumnNames:
    """Column names as told; None means: find it by its usual names.

    Attributes:
        user, item, rating, timestamp: a column's name, in any case.
    """

    user: str | None = None
    item: str | None = None
    rating: str | None = None
    timestamp: str | None = None


def find_columns(found: Sequence[str], wanted: ColumnNames) -> dict[str, int]:
    """Return the position in `found` of each role: always user and item, rating and timestamp where there are
    any.

    Args:
        found: the file's column names, in order.
        wanted: names as told.

    Raises:
        DataError: a told column is missing, none looks like users or items, or two roles fall on one column.
    """
    positions: dict[str, int] = {}
    for role, aliases in _ALIASES.items():
        told = getattr(wanted, role)
        position = (
            _told(found, role, told) if told is not None else _guessed(found, aliases.split(), positions)
        )
        if position is not None:
            positions[role] = position
        elif role in ("user", "item"):
            raise DataError(_no_column(found, role))
    taken: dict[int, str] = {}
    for role, position in positions.items():
        if position in taken:
            raise DataError(
                f"column {found[position]!r} is both {taken[position]} and {role}; name another with --{role}-column"
            )
        taken[position] = role
    return positions


def _told(found: Sequence[str], role: str, name: str) -> int:
    if name in found:
        return list(found).index(name)
    lowered = [column.casefold() for column in found]
    if lowered.count(name.casefold()) == 1:
        return lowered.index(name.casefold())
    hint = nearest(name, found)
    raise DataError(f"no column {name!r} (--{role}-column); the columns are {_listed(found)}{hint}")


def _guessed(found: Sequence[str], aliases: Sequence[str], taken: dict[str, int]) -> int | None:
    plain = ["".join(c for c in column.casefold() if c.isalnum()) for column in found]
    for alias in aliases:
        if alias in plain and plain.index(alias) not in taken.values():
            return plain.index(alias)
    return None


def _no_column(found: Sequence[str], role: str) -> str:
    if found and all(_looks_like_data(column) for column in found):
        return (
            f"the first line ({_listed(found)}) looks like data, not column names; add a header line such as "
            "user_id,item_id,rating"
        )
    usual = f"{role}_id"
    return (
        f"no column looks like the {role} ({usual}, {role}, ...); the columns are {_listed(found)}; name the right "
        f"one with --{role}-column"
    )


def _looks_like_data(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).isdigit()


def _listed(found: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(found[:most])
    return f"{shown}, ... ({len(found)} in all)" if len(found) > most else shown
