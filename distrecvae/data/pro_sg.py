"""The folder layout published with Mult-VAE (Liang et al.): `train.csv`, `validation_tr.csv`, ..., read
and written.

Positions in it are global: users 0..n-1 in the order train, validation, test; `unique_sid.txt` and
`unique_uid.txt` hold the ids by position. A split written and read back is the same split.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.ids import MAX_IDS, as_ids
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError
from distrecvae.files import new_folder
from distrecvae.words import first_line

FILES = ("train", "validation_tr", "validation_te", "test_tr", "test_te")

Positions = npt.NDArray[np.int64]


def pro_sg_folder(path: Path) -> Path | None:
    """Return `path`, or the `pro_sg` in it, if it is a folder in this layout; else None."""
    for folder in (path, path / "pro_sg"):
        if (folder / "unique_sid.txt").is_file() and (folder / "train.csv").is_file():
            return folder
    return None


def read_pro_sg(folder: Path) -> tuple[Split, dict[str, int]]:
    """Read an already split folder; nothing is filtered or drawn again.

    `unique_uid.txt` may be missing, as in Liang et al.'s own files; users are then called by their positions.

    Returns:
        The split, and counts: rows, duplicates merged, users with nothing to score.

    Raises:
        DataError: a file is missing or not of two integer columns, a position is out of range, a user is in
            two groups, or an interaction is both folded in and held out.
    """
    item_ids = _read_ids(folder / "unique_sid.txt")
    pairs = {name: _read_pairs(folder / f"{name}.csv", len(item_ids)) for name in FILES}
    users = {name: np.unique(uid) for name, (uid, _) in pairs.items()}
    if not users["train"].size:
        raise DataError(f"{folder / 'train.csv'} has no rows; there must be training users")
    last = max(int(u[-1]) for u in users.values() if u.size)
    uid_file = folder / "unique_uid.txt"
    user_ids = _read_ids(uid_file) if uid_file.is_file() else np.arange(last + 1)
    if last >= len(user_ids):
        raise DataError(
            f"{folder} has user {last} and {uid_file.name} names {len(user_ids)}; export the folder again"
        )
    valid_start, test_start = _boundaries(users, len(user_ids), folder)
    bounds = {
        "train": (0, valid_start),
        "validation": (valid_start, test_start),
        "test": (test_start, len(user_ids)),
    }
    matrices = {}
    for name, (uid, sid) in pairs.items():
        start, stop = bounds[name.split("_")[0]]
        if uid.size and (users[name][0] < start or users[name][-1] >= stop):
            raise DataError(
                f"{folder / name}.csv has users outside {start}..{stop - 1}; groups of users must not overlap"
            )
        matrices[name] = InteractionMatrix.from_pairs(
            uid - start, sid, n_users=stop - start, n_items=len(item_ids)
        )
    groups = []
    for name in ("validation", "test"):
        group = HeldOutUsers(matrices[f"{name}_tr"], matrices[f"{name}_te"])
        overlap = _overlap(group)
        if overlap:
            raise DataError(
                f"{folder}: {overlap} {name} interactions are in _tr and in _te; they must be disjoint"
            )
        groups.append(group)
    rows = sum(uid.size for uid, _ in pairs.values())
    counts = {
        "rows": rows,
        "duplicates": rows - sum(matrix.n_interactions for matrix in matrices.values()),
        "users": len(user_ids),
        "items": len(item_ids),
    }
    for name, group in zip(("valid", "test"), groups, strict=True):
        empty = (group.fold_in.counts() == 0) | (group.held_out.counts() == 0)
        counts[f"{name}_users_with_nothing_to_score"] = int(np.count_nonzero(empty))
    return Split(matrices["train"], groups[0], groups[1], user_ids, item_ids), counts


def write_pro_sg(split: Split, folder: Path) -> None:
    """Write `split` in this layout as a new folder; rows are ordered by user and item.

    Raises:
        ResultsError: `folder` exists and is not empty.
        DataError: a user is in more than one group, an id holds a line break, or the file system refuses.
    """
    if split.overlapping:
        raise DataError(
            "users of this split are in more than one group, which Liang et al.'s layout cannot express; leave"
            " --export-pro-sg out"
        )
    valid_start = split.train.n_users
    test_start = valid_start + split.valid.n_users
    matrices = (
        (split.train, 0),
        (split.valid.fold_in, valid_start),
        (split.valid.held_out, valid_start),
        (split.test.fold_in, test_start),
        (split.test.held_out, test_start),
    )
    try:
        with new_folder(folder) as temporary:
            for name, ids in (("unique_sid.txt", split.item_ids), ("unique_uid.txt", split.user_ids)):
                texts = [str(value) for value in ids.tolist()]
                if any("\n" in text or "\r" in text for text in texts):
                    raise DataError(f"an id for {name} holds a line break, which that layout cannot express")
                (temporary / name).write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
            for name, (matrix, start) in zip(FILES, matrices, strict=True):
                uid = np.repeat(np.arange(start, start + matrix.n_users, dtype=np.int64), matrix.counts())
                table = pa.table({"uid": uid, "sid": matrix.indices})
                with (temporary / f"{name}.csv").open("wb") as file:
                    file.write(b"uid,sid\n")
                    pacsv.write_csv(table, file, pacsv.WriteOptions(include_header=False))
    except OSError as error:
        raise DataError(
            f"cannot write {folder}: {error.strerror or error}; nothing was left there"
        ) from error


def _read_ids(path: Path) -> npt.NDArray[Any]:
    text = _text(path)
    # Not `splitlines`: ids may have what Unicode calls the end of a line.
    lines = text.removesuffix("\n").split("\n")
    if not text:
        raise DataError(f"{path} is empty; it must hold one id a line")
    if len(set(lines)) != len(lines):
        raise DataError(f"{path} names an id twice; ids are told apart by their line")
    return as_ids(pa.array(lines, type=pa.string()), path.name)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); an already split folder needs it") from error


def _read_pairs(path: Path, n_items: int) -> tuple[Positions, Positions]:
    if not path.is_file():
        raise DataError(
            f"{path} is missing; an already split folder has {', '.join(f'{name}.csv' for name in FILES)}"
        )
    try:
        table = pacsv.read_csv(
            path,
            convert_options=pacsv.ConvertOptions(
                include_columns=["uid", "sid"], column_types={"uid": pa.int64(), "sid": pa.int64()}
            ),
        )
    except (pa.ArrowException, KeyError, OSError) as error:
        first = first_line(error)
        raise DataError(f"{path} is not two columns uid,sid of whole numbers ({first})") from error
    columns = []
    for name, bound in (("uid", MAX_IDS), ("sid", n_items)):
        column = table.column(name)
        if column.null_count:
            raise DataError(
                f"{path} has {column.null_count} empty cells in {name}; every row needs both positions"
            )
        values = np.asarray(column.to_numpy())
        if values.size and (values.min() < 0 or values.max() >= bound):
            bad = values.min() if values.min() < 0 else values.max()
            raise DataError(f"{path} has {name} {bad}, outside 0..{bound - 1}")
        columns.append(values)
    return columns[0], columns[1]


def _boundaries(users: dict[str, Positions], n_users: int, folder: Path) -> tuple[int, int]:
    """Return where validation and test users begin.

    Users whose items were all unseen have no row in any file, so a group may begin or end with users that
    nothing names. Training users always have rows; the published split holds out as many for validation as
    for test.
    """
    valid_start = int(users["train"][-1]) + 1
    valid_end = max([valid_start, *(int(users[n][-1]) + 1 for n in FILES[1:3] if users[n].size)])
    test_first = min([n_users, *(int(users[n][0]) for n in FILES[3:] if users[n].size)])
    if valid_end > test_first:
        raise DataError(
            f"{folder} has user {test_first} among validation and test users; groups must not overlap"
        )
    middle, odd = divmod(n_users - valid_start, 2)
    if not odd and valid_end <= valid_start + middle <= test_first:
        return valid_start, valid_start + middle
    return valid_start, test_first


def _overlap(group: HeldOutUsers) -> int:
    """Return how many cells are both in fold-in and held-out."""
    n_users, n_items = group.fold_in.shape
    fold_in, held_out = (
        np.repeat(np.arange(n_users, dtype=np.int64) * n_items, matrix.counts()) + matrix.indices
        for matrix in (group.fold_in, group.held_out)
    )
    return int(np.intersect1d(fold_in, held_out, assume_unique=True).size)
