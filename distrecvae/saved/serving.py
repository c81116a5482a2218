"""Owns what a model folder is for in the end: histories by ids in, recommendations by ids out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from distrecvae.checks import require_whole
from distrecvae.data.histories import Histories, HistoriesLike, as_table, over_items
from distrecvae.data.recommendations import Frame, Ids, as_frame, writing
from distrecvae.data.table import InteractionTable
from distrecvae.recommendation import best_items

if TYPE_CHECKING:
    from distrecvae.saved.model import LoadedModel


def histories_for(loaded: LoadedModel, table: InteractionTable, min_rating: float | None) -> Histories:
    """Return the histories of `table` over the model's items.

    Args:
        loaded: the model.
        table: rows of users that may be anyone.
        min_rating: rows above it are what the model goes by; None takes the threshold that its training data was made
            with, where there are ratings.
    """
    if min_rating is None and table.ratings is not None:
        min_rating = loaded.min_rating
    return over_items(table, loaded.item_ids, min_rating=min_rating)


def recommended(
    loaded: LoadedModel,
    histories: HistoriesLike,
    *,
    top: int,
    include_seen: bool,
    min_rating: float | None,
) -> tuple[Frame, Histories]:
    """Return the recommendations as a DataFrame, and what was made of the histories."""
    require_top(top)
    found = histories_for(loaded, as_table(histories), min_rating)
    ids = Ids(found.user_ids, loaded.item_ids)
    hidden = None if include_seen else found.seen
    batches = best_items(loaded.recommender, found.shown, top=top, hidden=hidden)
    return as_frame([ids.table(*batch) for batch in batches], ids), found


def write_recommendations(
    loaded: LoadedModel,
    histories: Histories,
    path: Path,
    *,
    top: int,
    include_seen: bool,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Write the recommendations to a .parquet or .csv file that appears when complete; return its rows.

    Args:
        loaded: the model.
        histories: over its items.
        path: the file; an older one is replaced.
        top: items a user.
        include_seen: recommend what a user has, too.
        progress: told how many users are done.
    """
    require_top(top)
    ids, n_rows = Ids(histories.user_ids, loaded.item_ids), 0
    hidden = None if include_seen else histories.seen
    with writing(path, ids) as sink:
        for batch in best_items(loaded.recommender, histories.shown, top=top, hidden=hidden):
            table = ids.table(*batch)
            sink.write(table)
            n_rows += table.num_rows
            progress(batch.first_user + len(batch.items))
    return n_rows


def require_top(top: int) -> None:
    """Refuse to recommend nothing.

    Raises:
        ConfigError: `top` is no whole number from 1 on.
    """
    require_whole("top", top, at_least=1)
