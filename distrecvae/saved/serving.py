"""Writes the recommendations of many users to a file, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from distrecvae.data.histories import Histories
from distrecvae.data.recommendations import Ids, writing
from distrecvae.recommendation import best_items
from distrecvae.saved.model import LoadedModel, require_top


def write_recommendations(
    loaded: LoadedModel,
    histories: Histories,
    path: Path,
    *,
    top: int,
    include_seen: bool,
    guard_formulas: bool = False,
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
        progress: told how many users are done.
    """
    require_top(top)
    ids, n_rows = Ids(histories.user_ids, loaded.item_ids, guarded=guard_formulas), 0
    hidden = None if include_seen else histories.seen
    with writing(path, ids) as sink:
        for batch in best_items(loaded.recommender, histories.shown, top=top, hidden=hidden):
            table = ids.table(*batch)
            sink.write(table)
            n_rows += table.num_rows
            progress(batch.first_user + len(batch.items))
    return n_rows
