"""Finds which column of a file is the user, the item, the rating: by its usual names, or as given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from distrecvae.errors import ConfigError, DataError, nearest

# In order of preference, spelled without case, spaces and underscores: user_id, userId, "User ID" are one
# name.
_ALIASES = {
    "user": "userid user uid users customerid custid customer visitorid memberid reviewerid accountid profileid "
    "subscriberid buyerid consumerid username",
    "item": "itemid item iid items movieid movie productid product songid trackid articleid bookid videoid gameid "
    "recipeid courseid parentasin asin isbn businessid itemname",
    "rating": "rating ratings score stars overall count plays playcount listencount",
    "timestamp": "timestamp time date datetime ts unixreviewtime createdat eventtime reviewtime unixtime",
}
# Names that may well be the role and may well not: taken only where nothing else is there, and said to be a guess.
_PERHAPS = {
    "user": "email mail emailaddress buyer client clientid member account visitor reviewer profile steamid "
    "session sessionid basket basketid orderid order cookie cookieid deviceid",
    "item": "song track artist artistid artistname trackname songname album albumid title name book video article "
    "game app appid course recipe sku skuid stockcode ean gtin upc url page pageid content contentid business postid "
    "newsid adid listingid",
    "rating": "preference value weight quantity qty reviewscore",
    "timestamp": "",
}
_SESSION_OR_ITEM = "sid"
"""Song in Liang et al.'s files, beside `uid`; a session elsewhere."""

_NONE = "none"
"""Told as the rating's column: there is none."""

_DATA = re.compile(
    r"[+-]?(\d+([.,]\d*)?|\.\d+)([eE][+-]?\d+)?|\d{4}-\d\d?-\d\d?([T ].*)?|\d\d?[./]\d\d?[./]\d{2,4}"
)
"""Numbers and dates: what stands in rows, and not in headers."""


@dataclass(frozen=True, kw_only=True)
class ColumnNames:
    """Column names as given; None means: find it by its usual names.

    Attributes:
        user, item, rating, timestamp: a column's name, in any case; without a header its position, from 1. The
            rating's may be "none": then there is none.
    """

    user: str | None = None
    item: str | None = None
    rating: str | None = None
    timestamp: str | None = None


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is known of a source before it is read.

    Attributes:
        columns: columns as told.
        header: whether the first line of a text names the columns; None to tell by that line.
        missing: texts that stand for an id that is not there; rows with one are left out and counted.
        encoding: of a text; None for what it says itself, or UTF-8.
        max_rows: rows above which a source is refused before it fills the memory.
        times: whether times are read, where there are any.
    """

    columns: ColumnNames = field(default_factory=ColumnNames)
    header: bool | None = None
    missing: tuple[str, ...] = ()
    encoding: str | None = None
    max_rows: int | None = None
    times: bool = False

    @property
    def roles(self) -> tuple[str, ...]:
        """The columns that are read, where they exist."""
        return ("user", "item", "rating", "timestamp") if self.times else ("user", "item", "rating")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which column is what.

    Attributes:
        positions: of each role, from 0: always user and item, rating and timestamp where there are any.
        names: the columns' names by role.
        guessed: roles whose column was taken by a name that may mean something else.
        told: roles whose column was told.
    """

    positions: Mapping[str, int]
    names: Mapping[str, str]
    guessed: tuple[str, ...] = ()
    told: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """Return what is recorded of them, JSON-able."""
        facts: dict[str, Any] = {"columns": dict(self.names)}
        return facts | ({"guessed": list(self.guessed)} if self.guessed else {})


def find_columns(found: Sequence[str], wanted: ColumnNames) -> Columns:
    """Return which of the columns is the user, the item, and the rating and timestamp where there are any.

    Args:
        found: the table's column names, in order.
        wanted: names as told.

    Raises:
        DataError: a told column is missing, none looks like users or items or several may be, two have one name, or
            two roles fall on one column.
    """
    positions: dict[str, int] = {}
    guessed, told_roles = [], []
    for role in _ALIASES:
        told = getattr(wanted, role)
        if told is not None:
            if role == "rating" and told.casefold() == _NONE and _NONE not in map(str.casefold, found):
                continue
            positions[role] = _told(found, role, told)
            told_roles.append(role)
    for role, aliases in _ALIASES.items():
        if role in positions or getattr(wanted, role) is not None:
            continue
        taken = set(positions.values())
        position = _usual(found, aliases.split(), taken, role)
        if position is None and (position := _perhaps(found, role, taken, positions)) is not None:
            guessed.append(role)
        if position is None and role in ("user", "item"):
            position = _usual(found, aliases.split(), set(), role)  # one that is told to be another's
            if position is None:
                raise DataError(_no_column(found, role))
        if position is not None:
            positions[role] = position
    owner: dict[int, str] = {}
    for role in (role for role in _ALIASES if role in positions):
        position = positions[role]
        if position in owner:
            raise DataError(
                f"column {found[position]!r} is both {owner[position]} and {role}; name another with --{role}-column"
            )
        owner[position] = role
        if list(found).count(found[position]) > 1:
            raise DataError(f"there are two columns {found[position]!r}; rename one of them")
    ordered = {role: positions[role] for role in _ALIASES if role in positions}
    return Columns(
        positions=ordered,
        names={role: found[position] for role, position in ordered.items()},
        guessed=tuple(guessed),
        told=tuple(told_roles),
    )


def taken_columns(what: object, names: Sequence[str], told: Told) -> Columns:
    """Return which column of a text is what, if its first line does name columns.

    Raises:
        DataError: as `find_columns`; or the first line is a row: it has a number or a date in it.
    """
    if told.header is None and any(_DATA.fullmatch(name) for name in names) and not _names_both(names):
        raise DataError(
            f"{what}: the first line ({_listed(names)}) looks like data, not column names; add a header line such as"
            " user_id,item_id,rating, or give --no-header and positions: --user-column 1 --item-column 2"
            " (or --header, if these are names)"
        )
    return find_columns(names, told.columns)


def no_header_columns(what: object, first: Sequence[str], told: Told) -> Columns:
    """Return which column of a text without a header is what, by the given positions.

    Raises:
        ConfigError: users' and items' positions are not told, or one is no position.
    """
    positions: dict[str, int] = {}
    for role in _ALIASES:
        position = getattr(told.columns, role)
        if position is None or (role == "rating" and str(position).casefold() == _NONE):
            if role in ("user", "item"):
                raise ConfigError(
                    f"{what} is read without a header, so columns are named by position: give --user-column and"
                    " --item-column, 1 for the first"
                )
            continue
        text = str(position).strip()
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= len(first):
            raise ConfigError(
                f"--{role}-column is {text!r}; without a header it is a position from 1 to {len(first)}"
                f" ({_listed(first)})"
            )
        positions[role] = int(text) - 1
    if len(set(positions.values())) < len(positions):
        raise ConfigError(f"{what}: two columns have one position; give each its own")
    return Columns(
        positions=positions,
        names={role: str(position + 1) for role, position in positions.items()},
        told=tuple(positions),
    )


def _told(found: Sequence[str], role: str, name: str) -> int:
    if name in found:
        return list(found).index(name)
    lowered = [column.casefold() for column in found]
    if lowered.count(name.casefold()) == 1:
        return lowered.index(name.casefold())
    hint = nearest(name, found)
    raise DataError(f"no column {name!r} (--{role}-column); the columns are {_listed(found)}{hint}")


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def _usual(found: Sequence[str], aliases: Sequence[str], taken: set[int], role: str) -> int | None:
    plain = [_plain(column) for column in found]
    for alias in aliases:
        at = [position for position, name in enumerate(plain) if name == alias and position not in taken]
        if len({found[position] for position in at}) > 1:
            raise DataError(
                f"columns {' and '.join(repr(found[position]) for position in at)} may both be the {role}; say which"
                f" by --{role}-column"
            )
        if at:
            return at[0]
    return None


def _perhaps(found: Sequence[str], role: str, taken: set[int], positions: Mapping[str, int]) -> int | None:
    names = _PERHAPS[role].split()
    if role == "item" and "user" in positions and _plain(found[positions["user"]]) == "uid":
        names.append(_SESSION_OR_ITEM)
    at = [n for n, column in enumerate(found) if n not in taken and _plain(column) in names]
    if len(at) > 1 and role in ("user", "item"):
        raise DataError(
            f"{' or '.join(repr(found[n]) for n in at)} may be the {role}; say which by --{role}-column"
        )
    return at[0] if len(at) == 1 else None


def _names_both(names: Sequence[str]) -> bool:
    """Tell whether a line has usual names of users and of items, so that it is a header for all its numbers."""
    plain = {_plain(name) for name in names}
    return all(plain & set(_ALIASES[role].split()) for role in ("user", "item"))


def _no_column(found: Sequence[str], role: str) -> str:
    usual = f"{role}_id"
    session = ", and 'sid' may be a session" if role == "item" and "sid" in map(_plain, found) else ""
    return (
        f"no column looks like the {role} ({usual}, {role}, ...); the columns are {_listed(found)}{session}; name the"
        f" right one with --{role}-column, or give --no-header if this is a row"
    )


def _listed(found: Sequence[str], most: int = 12) -> str:
    names = [" ".join(name.split()) for name in found[:most]]
    shown = ", ".join(name if len(name) <= 40 else f"{name[:40]}..." for name in names)
    return f"{shown}, ... ({len(found)} in all)" if len(found) > most else shown
