"""InteractionTable, one row a recorded interaction: what readers return and a split begins with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from distrecvae.data.interactions import Int32Array
from distrecvae.errors import DataError


def _row(row: int) -> str:
    return f"row {row + 1}"


@dataclass(frozen=True, eq=False)
class InteractionTable:
    """Rows of a source in file order, ids replaced by positions in the sorted ids.

    Attributes:
        users: int32, (n_rows,), positions in `user_ids`.
        items: int32, (n_rows,), positions in `item_ids`.
        ratings: float64, (n_rows,), or None where the source has none. NaN where a row has none.
        user_ids: sorted distinct ids: int64, or an object array of str (sorted by code point).
        item_ids: likewise.
        source: what was read, JSON-able, for the protocol.
        place: tells where the row of a position stands in the source, for messages: "line 12".
        times: float64, (n_rows,), when: numbers as the source has them, dates as seconds since 1970. NaN where a row
            has none. None where the source has none, or where they were not asked for.
    """

    users: Int32Array
    items: Int32Array
    ratings: npt.NDArray[np.float64] | None
    user_ids: npt.NDArray[Any]
    item_ids: npt.NDArray[Any]
    source: Mapping[str, Any] = field(default_factory=dict)
    place: Callable[[int], str] = _row
    times: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        n_rows = self.users.shape
        others = [each for each in (self.items, self.ratings, self.times) if each is not None]
        if any(each.shape != n_rows for each in others):
            raise DataError(
                f"columns have {n_rows} users and {self.items.shape} items; they must be equally long"
            )

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.users.size
