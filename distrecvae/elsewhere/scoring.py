"""The metrics of held-out users under scores that another system gave: what it left out is counted, and said.

Items that a user was shown are masked, as everywhere; items that the data does not have cannot be found and are left
out; users whom the system has no list for count as 0, for it recommends nothing to them. What would flatter it, or make
it look worse than it is, is refused: lists that end before the ranks that a metric looks at, and scores of other users.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.days.matching import positions_among
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.elsewhere.reading import Scores
from distrecvae.errors import DataError
from distrecvae.evaluation import Evaluation, Scoring
from distrecvae.metrics import Float64Array
from distrecvae.metrics.lists import novelty
from distrecvae.ranking import hits_of
from distrecvae.words import counted

FEWEST = 0.5
"""Share of the users to be scored that a system must have scores of: with fewer it was run on another split."""

GROUPS = {"valid": "validation", "test": "test"}


@dataclass(frozen=True)
class Covered:
    """What of some held-out users a system's scores cover; users are those whom the data lets one score.

    Attributes:
        n_users: users to be scored.
        n_missing: those without a list; they count as 0.
        n_short: those whose lists end before the ranks that the metrics look at; what is beyond is a miss.
        n_shown: rows with an item that the user was shown: masked.
        n_unknown: rows with an item that the data does not have: left out.
    """

    n_users: int
    n_missing: int
    n_short: int
    n_shown: int
    n_unknown: int


@dataclass(frozen=True)
class ScoredElsewhere:
    """A system's scores, under this protocol.

    Attributes:
        test: on the test users.
        valid: on the validation users; None where it has none of them.
        notes: what was not scored, and how that counts, a line each.
    """

    test: Evaluation
    valid: Evaluation | None
    notes: tuple[str, ...]


def score_elsewhere(scores: Scores, split: Split, scoring: Scoring, name: str) -> ScoredElsewhere:
    """Return the metrics of a system by its scores, on test users and, where it has them, on validation users.

    Args:
        scores: what it gave.
        split: the data.
        scoring: what is computed.
        name: of the system, for messages.

    Raises:
        DataError: it has scores of too few test users, of no item of the data, or its lists are too short for the
            metrics.
    """
    items = positions_among(scores.item_ids, split.item_ids)
    if not (items >= 0).any():
        raise DataError(
            f"{name} has scores of none of the {split.n_items:,} items (its ids are like"
            f" {', '.join(map(repr, scores.item_ids[:3].tolist()))}); give those of the source's ids"
        )
    first_valid = split.train.n_users
    first_test = first_valid + split.valid.n_users
    ids = {"valid": split.user_ids[first_valid:first_test], "test": split.user_ids[first_test:]}
    found: dict[str, Evaluation] = {}
    notes = []
    in_groups = np.zeros(len(scores.user_ids), dtype=bool)
    for group, users in (("test", split.test), ("valid", split.valid)):
        at = positions_among(scores.user_ids, ids[group])
        in_groups |= at >= 0
        if group == "valid" and split.overlapping:
            notes.append(
                "validation users are test users, too, and it has one list of each: it is not chosen by, and cannot be"
                " called the best"
            )
            continue
        n_scorable = users.n_scored
        n_there = int(np.count_nonzero(_scorable(users)[at[at >= 0]]))
        if n_there < FEWEST * n_scorable or not n_there:
            if group == "test":
                raise DataError(
                    f"{name} has scores of {n_there:,} of the {counted(n_scorable, 'test user', 'test users')}; give"
                    " those of this data set's test users (users.parquet lists them), folding in what was shown of them"
                )
            notes.append(
                f"scores of {n_there:,} of the {counted(n_scorable, 'validation user', 'validation users')}: it is not"
                " chosen by, and cannot be called the best"
            )
            continue
        found[group], covered = _score(scores, at, items, users, scoring, name)
        notes += _notes(covered, GROUPS[group])
    if others := int(np.count_nonzero(~in_groups)):
        notes.append(
            f"{counted(others, 'user is', 'users are')} not among the held-out users of this data set, and left out"
        )
    if scores.n_without:
        notes.append(f"{counted(scores.n_without, 'row', 'rows')} without a score, which recommend nothing")
    return ScoredElsewhere(found["test"], found.get("valid"), tuple(notes))


def _scorable(users: HeldOutUsers) -> npt.NDArray[np.bool_]:
    return np.asarray((users.fold_in.counts() > 0) & (users.held_out.counts() > 0))


def _among(
    rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], matrix: InteractionMatrix
) -> npt.NDArray[np.bool_]:
    """Return which of the cells are interactions of the matrix: bool, (n_cells,)."""
    there = np.repeat(np.arange(matrix.n_users, dtype=np.int64), matrix.counts()) * matrix.n_items
    cells = there + matrix.indices
    sought = rows * matrix.n_items + columns
    if not cells.size:
        return np.zeros(sought.size, dtype=np.bool_)
    places = np.minimum(np.searchsorted(cells, sought), cells.size - 1)
    return np.asarray(cells[places] == sought)


def _score(
    scores: Scores,
    at: npt.NDArray[np.int64],
    items: npt.NDArray[np.int64],
    users: HeldOutUsers,
    scoring: Scoring,
    name: str,
) -> tuple[Evaluation, Covered]:
    """Return the metrics of one group of users, and what of it is covered.

    Args:
        scores: the system's.
        at: int64, positions of its users in the group; -1 for others.
        items: int64, positions of its items in the data; -1 for others.
        users: the group.
        scoring: what is computed.
        name: of the system.
    """
    counted_users = np.flatnonzero(_scorable(users))
    place = np.full(users.n_users, -1, dtype=np.int64)
    place[counted_users] = np.arange(counted_users.size)
    rows = np.where(at >= 0, place[at], -1)[scores.users]  # a row's user among those that are scored
    columns = items[scores.items]
    own = rows >= 0
    n_unknown = int(np.count_nonzero(own & (columns < 0)))
    own &= columns >= 0
    rows, columns, values = rows[own], columns[own], scores.scores[own]
    fold_in, held_out = users.fold_in.take(counted_users), users.held_out.take(counted_users)
    shown = _among(rows, columns, fold_in)
    rows, columns, values = rows[~shown], columns[~shown], values[~shown]

    order = np.lexsort((columns, -values, rows))  # equal scores by position, as everywhere
    rows, columns = rows[order], columns[order]
    lengths = np.bincount(rows, minlength=counted_users.size)
    starts = np.cumsum(lengths) - lengths
    ranks = np.arange(rows.size) - starts[rows]
    depth = max(users.n_items if each.k is None else min(each.k, users.n_items) for each in scoring.metrics)
    there = lengths > 0
    short = there & (lengths < np.minimum(depth, users.n_items - fold_in.counts()))
    if short.sum() == there.sum():
        longest = int(lengths.max(initial=0))
        raise DataError(
            f"{name} has lists of {counted(longest, 'item', 'items')} at most beside what was shown, and the metrics"
            f" look at {depth:,} ranks; give longer lists, or --metrics with lower cut-offs"
        )
    near = ranks < depth
    lists = np.full((counted_users.size, depth), -1, dtype=np.int64)
    lists[rows[near], ranks[near]] = columns[near]
    per_user, overall = _metrics(lists, held_out, scoring, users.n_items)
    scored = Evaluation(per_user, counted_users, users.n_users - counted_users.size, overall)
    n_missing = int(np.count_nonzero(~there))
    covered = Covered(counted_users.size, n_missing, int(short.sum()), int(shown.sum()), n_unknown)
    return scored, covered


def _metrics(
    lists: npt.NDArray[np.int64], held_out: InteractionMatrix, scoring: Scoring, n_items: int
) -> tuple[Mapping[str, Float64Array], Mapping[str, float]]:
    """Return the metrics of lists, int64 (n_users, n_ranks), -1 where one ended: a value a user, and those of all."""
    hits = hits_of(np.maximum(lists, 0), held_out) & (lists >= 0)
    sought = held_out.counts()
    per_user: dict[str, Float64Array] = {}
    overall: dict[str, float] = {}
    for each in scoring.metrics:
        k = each.k or n_items
        if each.of_ranks is not None:
            per_user[each.name] = each.of_ranks(hits, sought, k)
        elif each.of_catalogue is not None:
            near = lists[:, :k]
            overall[each.name] = each.of_catalogue(np.bincount(near[near >= 0], minlength=n_items))
        else:
            assert scoring.popularity is not None, "a scoring by names has it"  # noqa: S101
            per_user[each.name] = np.nan_to_num(novelty(lists[:, :k], scoring.popularity))
    return per_user, overall


def _notes(covered: Covered, group: str) -> list[str]:
    lines = []
    if covered.n_missing:
        lines.append(
            f"no list for {covered.n_missing:,} of the {counted(covered.n_users, f'{group} user', f'{group} users')}:"
            " they count as 0"
        )
    if covered.n_short:
        lines.append(
            f"{counted(covered.n_short, f'{group} user has', f'{group} users have')} a list that ends before the ranks"
            " that are looked at: what is beyond is a miss"
        )
    if covered.n_shown:
        lines.append(f"{counted(covered.n_shown, 'score', 'scores')} of {group} users' shown items masked")
    if covered.n_unknown:
        lines.append(
            f"{counted(covered.n_unknown, 'score', 'scores')} of {group} users are of items that the data does not"
            " have, and left out"
        )
    return lines
