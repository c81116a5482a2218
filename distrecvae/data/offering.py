"""Reads what may be recommended: allow and deny lists of item ids over the items of a model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distrecvae.data.days.matching import KnownIds, positions_among
from distrecvae.errors import ConfigError, DataError
from distrecvae.regular import read_regular
from distrecvae.words import counted, first_line


def offered(
    item_ids: npt.NDArray[Any] | KnownIds, allow: Iterable[Any] | None, deny: Iterable[Any] | None
) -> npt.NDArray[np.int64] | None:
    """Return the positions of what may be recommended, rising: int64; None for all of a model's items.

    Ids that the model does not know change nothing.

    Args:
        item_ids: the model's.
        allow: ids of what may be recommended; None for all.
        deny: ids of what may not; None for none.

    Raises:
        ConfigError: nothing is left.
        DataError: a list is a lone text, or no list.
    """
    if allow is None and deny is None:
        return None
    left = np.full(len(item_ids), allow is None)
    for ids, kept in ((allow, True), (deny, False)):
        if ids is not None:
            at = positions_among(_listed(ids, "allow" if kept else "deny"), item_ids)
            left[at[at >= 0]] = kept
    if not left.any():
        some = (item_ids.ids if isinstance(item_ids, KnownIds) else item_ids)[:3].tolist()
        raise ConfigError(
            f"none of the model's {counted(len(item_ids), 'item', 'items')} may be recommended (its ids are like"
            f" {', '.join(map(repr, some))}); look at --allow and --deny"
        )
    return np.flatnonzero(left)


def read_list(path: Path) -> list[str]:
    """Return the ids in a text file, one a line; empty lines are none.

    Raises:
        DataError: it cannot be read, or is no text.
    """
    try:
        text = read_regular(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} cannot be read ({first_line(error)}); give a text file with an id a line"
        ) from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _listed(ids: Iterable[Any], what: str) -> npt.NDArray[Any]:
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise DataError(f"{what} is {ids!r:.80}; it must be a list of item ids")
    values = list(ids)
    if values and all(
        isinstance(value, int | np.integer) and not isinstance(value, bool) for value in values
    ):
        return np.array(values, dtype=np.int64)
    array = np.empty(len(values), dtype=object)
    array[:] = [str(value) for value in values]
    return array
