"""A split that was made elsewhere: files of what is trained on, folded in and held out, as libraries write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distrecvae.data.dataset import HeldOutUsers, Split, n_leaks
from distrecvae.data.days.like import Reading
from distrecvae.data.days.matching import positions_among
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.sources import read_table
from distrecvae.data.sources.lenskit import is_lenskit_dataset, is_lists, read_lenskit, read_lists
from distrecvae.data.splitting.options import BROUGHT, SplitOptions
from distrecvae.data.splitting.rows import by_first_appearance, counting_rows, nothing_to_score
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError

Codes = npt.NDArray[np.int64]

TRAIN, VALID_IN, VALID_OUT, TEST_IN, TEST_OUT = ROLES = (
    "train", "valid_fold_in", "valid_held_out", "test_fold_in", "test_held_out",
)  # fmt: skip

_NAMES = {
    TRAIN: "train training validation_training_data",
    VALID_IN: "valid_fold_in validation_fold_in validation_data_in validation_tr valid_tr",
    VALID_OUT: "valid_held_out valid validation val validation_data_out validation_te valid_te",
    TEST_IN: "test_fold_in test_data_in test_tr",
    TEST_OUT: "test_held_out test test_data_out test_te",
}
"""What files are called, the later names being RecBole's, LensKit's and RecPack's."""

_ROLE_OF = {name: role for role, names in _NAMES.items() for name in names.split()}

_ENDINGS = (".csv", ".tsv", ".parquet", ".pq", ".inter", ".jsonl")

_WHEN_DRAWN = ("held_out_users", "held_out_fraction", "seed")
"""Options that mean something where there are no validation files."""


def brought_files(folder: Path, member: str | None = None) -> dict[str, Path]:
    """Return the files of a split by their roles, those of `ROLES`; empty where the folder holds none.

    Args:
        folder: it may be anything.
        member: which of several splits, where files are numbered: ``train-0.parquet``, ``test-0.parquet``.

    Raises:
        DataError: there are several, or two files are of one role.
    """
    if not folder.is_dir():
        return {}
    numbered: dict[str, dict[str, list[Path]]] = {}
    for path in sorted(folder.iterdir()):
        if (placed := _role(path)) is not None:
            numbered.setdefault(placed[1], {}).setdefault(placed[0], []).append(path)
    whole = {number: found for number, found in numbered.items() if {TRAIN, TEST_OUT} <= found.keys()}
    if not whole or (member is not None and member not in whole):
        return {}
    if member is None and len(whole) > 1:
        raise DataError(
            f"{folder} holds {len(whole)} splits, numbered {', '.join(sorted(whole))}; choose one with --member"
            f" {min(whole)}"
        )
    found = whole[member if member is not None else next(iter(whole))]
    for role, paths in found.items():
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            raise DataError(f"{folder}: {names} may both be the {role.replace('_', ' ')} file; leave one")
    return {role: paths[0] for role, paths in found.items()}


def _role(path: Path) -> tuple[str, str] | None:
    """Return what a file is of a split, and the number of the split that it belongs to, if it has one."""
    name = path.name.removesuffix(".gz")
    if path.is_dir():
        stem = name if is_lenskit_dataset(path) else None
    else:
        ending = next((ending for ending in _ENDINGS if name.casefold().endswith(ending)), None)
        stem = None if ending is None else name[: -len(ending)]
    if stem is None:
        return None
    plain = stem.casefold().rpartition(".")[2].replace("-", "_").replace(" ", "_")
    match = re.fullmatch(r"(.*?)(?:_?(\d+))?", plain)
    assert match is not None, "everything matches"  # noqa: S101
    role = _ROLE_OF.get(match[1])
    return None if role is None else (role, match[2] or "")


@dataclass(frozen=True)
class _Pairs:
    users: Codes
    items: Codes

    def of(self, which: npt.NDArray[Any]) -> _Pairs:
        return _Pairs(self.users[which], self.items[which])

    def with_(self, other: _Pairs) -> _Pairs:
        return _Pairs(np.concatenate([self.users, other.users]), np.concatenate([self.items, other.items]))


def read_brought(
    folder: Path, files: Mapping[str, Path], reading: Reading, given: Mapping[str, Any]
) -> tuple[Split, dict[str, Any]]:
    """Read a split as it is; nothing is filtered.

    Where there is no file of fold-in, what a user has in the training file, and a test user in the validation file,
    too, is folded in. Without validation files some of the training users are drawn to validate, and not trained on.

    Args:
        folder: where it lies.
        files: as `brought_files` returned them.
        reading: how the files are read.
        given: options of a split, those that mean something here.

    Returns:
        The split, and its protocol.

    Raises:
        DataError: a file cannot be read, or what is to be predicted is in a training file of the same user.
        ConfigError: an option is out of its range.
    """
    options = SplitOptions(**{name: value for name, value in given.items() if value is not None})
    tables = {role: _read(path, reading) for role, path in files.items()}
    pairs, user_ids, item_ids, counts = _joined(tables, options)
    train, everything, notes = pairs[TRAIN], pairs[TRAIN], []
    if VALID_OUT not in pairs:
        train, pairs[VALID_IN], pairs[VALID_OUT], n_drawn = _drawn(train, options)
        notes.append(
            f"no validation file: {n_drawn:,} of the training users, drawn by the seed, validate instead"
        )
    else:
        everything = everything.with_(pairs[VALID_OUT])
    item_position, item_order = by_first_appearance(train.items, len(item_ids))
    users = {"train": np.unique(train.users)}
    groups: list[HeldOutUsers] = []
    n_known = n_unseen = 0
    for group, shown, hidden, history in (
        ("valid", VALID_IN, VALID_OUT, pairs[TRAIN]), ("test", TEST_IN, TEST_OUT, everything),
    ):  # fmt: skip
        held_out, fold_in = pairs[hidden], pairs.get(shown, history)
        own = users[group] = np.unique(held_out.users)
        fold_in = fold_in.of(np.isin(fold_in.users, own))
        new = ~np.isin(_cells(held_out, item_ids), _cells(fold_in, item_ids))
        n_known += int(np.count_nonzero(~new))
        parts: list[InteractionMatrix] = []
        for part in (fold_in, held_out.of(new)):
            seen = item_position[part.items] >= 0
            n_unseen += int(np.count_nonzero(~seen))
            parts.append(_matrix(part.of(seen), own, item_position, item_order.size))
        groups.append(HeldOutUsers(parts[0], parts[1]))
    ids = np.concatenate([users["train"], users["valid"], users["test"]])
    split = Split(
        _matrix(train, users["train"], item_position, item_order.size),
        groups[0],
        groups[1],
        user_ids[ids],
        item_ids[item_order],
        overlapping=np.unique(ids).size < ids.size,
    )
    if leaks := n_leaks(split):
        raise DataError(
            f"{folder}: {leaks:,} of the interactions to predict are known of the same user: trained on, though not"
            " folded in, or in both the validation and the test file; a model would be tested by what it knows: remove"
            " them"
        )
    counts |= {
        "held_out_known": n_known,
        "held_out_interactions_of_unseen_items": n_unseen,
        "users": int(np.unique(ids).size),
        "items": split.n_items,
        "valid_users_with_nothing_to_score": nothing_to_score(split.valid),
        "test_users_with_nothing_to_score": nothing_to_score(split.test),
    }
    source = {
        "path": str(folder),
        "format": "split",
        "files": {role: path.name for role, path in files.items()},
        "columns": tables[TRAIN].source.get("columns", {}),
    } | ({"notes": notes} if notes else {})
    made = {"split": BROUGHT} | ({} if options.min_rating is None else {"min_rating": options.min_rating})
    return split, {"source": source, "options": made, "reading": reading.recorded(), "counts": counts}


def without_effect(files: Mapping[str, Path], given: Mapping[str, Any]) -> str | None:
    """Return the first option given that means nothing to a split that was made elsewhere, or None."""
    meant = {"min_rating"} | (set() if VALID_OUT in files else set(_WHEN_DRAWN))
    return next((name for name, value in given.items() if value is not None and name not in meant), None)


def _read(path: Path, reading: Reading) -> InteractionTable:
    if path.is_dir():
        return read_lenskit(path)
    if is_lists(path):
        return read_lists(path)
    return read_table(
        path, reading.columns, source_format=reading.source_format, header=reading.header,
        missing=reading.missing, encoding=reading.encoding, max_rows=reading.max_rows,
    )  # fmt: skip


def _joined(
    tables: Mapping[str, InteractionTable], options: SplitOptions
) -> tuple[dict[str, _Pairs], npt.NDArray[Any], npt.NDArray[Any], dict[str, int]]:
    """Return the pairs of all tables by the same ids, those ids, and how many rows did not count."""
    user_ids = _all_ids([table.user_ids for table in tables.values()])
    item_ids = _all_ids([table.item_ids for table in tables.values()])
    pairs, total = {}, {"rows": 0, "below_threshold": 0, "duplicates": 0}
    for role, table in tables.items():
        rows, counts = counting_rows(table, options)
        total = {name: n + counts[name] for name, n in total.items()}
        pairs[role] = _Pairs(
            positions_among(table.user_ids, user_ids)[rows.users],
            positions_among(table.item_ids, item_ids)[rows.items],
        )
    return pairs, user_ids, item_ids, total


def _all_ids(ids: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return the distinct ids, sorted: as numbers where all are, else as text."""
    if all(each.dtype.kind == "i" for each in ids):
        return np.unique(np.concatenate(ids))
    texts = sorted({str(id_) for each in ids for id_ in each.tolist()})
    return np.array(texts, dtype=object)


def _drawn(train: _Pairs, options: SplitOptions) -> tuple[_Pairs, _Pairs, _Pairs, int]:
    """Return what is trained on, folded in and held out where some training users are drawn to validate."""
    users, n_items = np.unique(train.users, return_counts=True)
    wanted = options.held_out_users
    n = max(1, int(wanted * users.size)) if isinstance(wanted, float) else wanted
    # Whoever has too few items to hide one of them could not be scored: such a user is trained on.
    enough = (options.held_out_fraction * n_items).astype(np.int64) >= 1
    if n >= users.size or n > np.count_nonzero(enough):
        raise DataError(
            f"there is no validation file, and {n} of {users.size} training users cannot validate:"
            f" {np.count_nonzero(enough)} have enough items to hide one; lower --held-out-users"
        )
    random = np.random.RandomState(options.seed)
    order = random.permutation(users.size)
    drawn = np.sort(users[order[enough[order]][-n:]])
    own = np.flatnonzero(np.isin(train.users, drawn))
    own = own[np.argsort(train.users[own], kind="stable")]
    counts = np.bincount(train.users[own])
    starts = np.cumsum(counts) - counts
    held = [
        starts[user]
        + random.choice(counts[user], int(options.held_out_fraction * counts[user]), replace=False)
        for user in drawn.tolist()
    ]
    hidden = np.zeros(own.size, dtype=bool)
    hidden[np.concatenate(held).astype(np.int64)] = True
    trained = ~np.isin(train.users, drawn)
    return train.of(trained), train.of(own[~hidden]), train.of(own[hidden]), n


def _cells(pairs: _Pairs, item_ids: npt.NDArray[Any]) -> Codes:
    return pairs.users * len(item_ids) + pairs.items


def _matrix(
    pairs: _Pairs, users: Codes, item_position: npt.NDArray[np.int32], n_items: int
) -> InteractionMatrix:
    return InteractionMatrix.from_pairs(
        np.searchsorted(users, pairs.users), item_position[pairs.items], n_users=users.size, n_items=n_items
    )
