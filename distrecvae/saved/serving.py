"""Writes the recommendations of many users to a file, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distrecvae.data.histories import Histories
from distrecvae.data.recommendations import writing
from distrecvae.saved.lists import ids_of, lists, popularity_for, require_top
from distrecvae.saved.model import LoadedModel


def write_recommendations(
    loaded: LoadedModel,
    histories: Histories,
    path: Path,
    *,
    top: int,
    include_seen: bool,
    guard_formulas: bool = False,
    among: npt.NDArray[np.int64] | None = None,
    fallback: str | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Write the recommendations to a .parquet or .csv file that appears when complete; return its rows.

    Args:
        loaded: the model.
        histories: over its items.
        path: the file; an older one is replaced.
        top: items a user.
        include_seen: recommend what a user has, too.
        guard_formulas: put an apostrophe before ids that a spreadsheet would run.
        among: rising positions of what may be recommended; None for all items.
        fallback: "popularity" gives that to users who are left out of the histories, and a column says so.
        progress: told how many users are done.
    """
    require_top(top)
    popularity = popularity_for(fallback, loaded.popularity)
    ids = ids_of(histories, loaded.item_ids, fallback, guarded=guard_formulas)
    n_rows = 0
    with writing(path, ids) as sink:
        for batch, source in lists(
            loaded.recommender,
            histories,
            top=top,
            include_seen=include_seen,
            among=among,
            popularity=popularity,
        ):
            table = ids.table(*batch, source)
            sink.write(table)
            n_rows += table.num_rows
            progress(batch.first_user + len(batch.items))
    return n_rows
