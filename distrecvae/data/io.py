"""The prepared dataset folder: how a Split and its protocol lie on disk, and how they are read back and
checked.

The folder (see docs/protocol.md) is written beside its place and renamed as the last step, so one that exists
is complete. What is read is checked against the fingerprint that was written: the columns go straight into
CSR arrays, one pass verifies them, 20 million interactions take about a second.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from distrecvae import __version__
from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.ids import MAX_IDS
from distrecvae.data.remote import fetch
from distrecvae.data.splitting.folds import fold_folders
from distrecvae.data.stored.tables import id_array, load_ids, read_matrix, save_ids, write_matrix, write_table
from distrecvae.data.summary import facts
from distrecvae.errors import DataError
from distrecvae.files import new_folder, write_json
from distrecvae.regular import read_regular
from distrecvae.storage.uri import is_uri
from distrecvae.words import first_line

FORMAT, OVERLAPPING_FORMAT = 1, 2
"""Of folders whose users are in one group each, and of others, which earlier versions must not take for the first."""

PROTOCOL = "dataset.json"
GROUPS = ("train", "valid", "test")
MATRICES = ("train", "valid_fold_in", "valid_held_out", "test_fold_in", "test_held_out")
FILES = (PROTOCOL, *(f"{name}.parquet" for name in (*MATRICES, "users", "items")))


def save_dataset(split: Split, folder: Path | str, protocol: Mapping[str, Any]) -> None:
    """Write `split` as a new dataset folder that appears only when complete.

    Args:
        split: what to write.
        folder: where; it must not exist, or be empty.
        protocol: how the split came about (`source`, `options`, `counts`), JSON-able; format version, package
            version, fingerprint and shape are added here.

    Raises:
        ResultsError: `folder` exists and is not empty.
        DataError: the file system refuses (full disk, no permission); nothing is left behind.
    """
    folder = Path(folder)
    sizes = {"train": split.train.n_users, "valid": split.valid.n_users, "test": split.test.n_users}
    matrices = (
        split.train,
        split.valid.fold_in,
        split.valid.held_out,
        split.test.fold_in,
        split.test.held_out,
    )
    document = {
        "format": OVERLAPPING_FORMAT if split.overlapping else FORMAT,
        "distrecvae": __version__,
        "fingerprint": split.fingerprint,
        "n_users": sizes,
        "n_items": split.n_items,
        "n_interactions": {
            name: matrix.n_interactions for name, matrix in zip(MATRICES, matrices, strict=True)
        },
        **protocol,
    }
    try:
        with new_folder(folder) as temporary:
            for name, matrix in zip(MATRICES, matrices, strict=True):
                write_matrix(matrix, temporary / f"{name}.parquet")
            group = pa.DictionaryArray.from_arrays(
                pa.array(np.repeat(np.arange(3, dtype=np.int8), list(sizes.values()))), pa.array(GROUPS)
            )
            write_table(
                pa.table({"user_id": id_array(split.user_ids), "group": group}), temporary / "users.parquet"
            )
            save_ids(temporary / "items.parquet", split.item_ids, kind="item_id")
            write_json(temporary / PROTOCOL, document)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(
            f"cannot write {folder}: {reason}; nothing was left there: make room or choose another"
        ) from error


def load_dataset(folder: Path | str) -> Split:
    """Read a dataset folder, or one at a URI such as ``s3://bucket/ml-20m``, and verify every number of it.

    Raises:
        DataError: not a dataset folder, written by another format version, damaged, or its content does not
            have the fingerprint it was written with; a URI cannot be reached.
    """
    if is_uri(folder):
        with tempfile.TemporaryDirectory(prefix="distrecvae-") as copy:
            fetch(str(folder), FILES, Path(copy))
            try:
                return load_dataset(copy)
            except DataError as error:
                raise DataError(str(error).replace(copy, str(folder).rstrip("/"))) from error
    folder = Path(folder)
    protocol = read_protocol(folder)
    try:
        n_items = int(protocol["n_items"])
        sizes = {group: int(protocol["n_users"][group]) for group in GROUPS}
        expected = str(protocol["fingerprint"])
        n_rows = {name: int(protocol["n_interactions"][name]) for name in MATRICES}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / PROTOCOL} lacks {error}; run `distrecvae prepare` again") from error
    rows = dict(zip(MATRICES, (sizes["train"], *[sizes["valid"]] * 2, *[sizes["test"]] * 2), strict=True))
    if min(n_items, *sizes.values()) < 0 or max(n_items, *sizes.values()) > MAX_IDS:
        raise DataError(f"{folder / PROTOCOL} has impossible sizes; run `distrecvae prepare` again")
    train, valid_in, valid_out, test_in, test_out = (
        read_matrix(folder / f"{name}.parquet", n_users, n_items, n_rows[name])
        for name, n_users in rows.items()
    )
    overlapping = protocol["format"] == OVERLAPPING_FORMAT
    user_ids = load_ids(
        folder / "users.parquet",
        kind="user_id",
        n_ids=sum(sizes.values()),
        groups=list(sizes.values()) if overlapping else None,
    )
    item_ids = load_ids(folder / "items.parquet", kind="item_id", n_ids=n_items)
    split = Split(
        train,
        HeldOutUsers(valid_in, valid_out),
        HeldOutUsers(test_in, test_out),
        user_ids,
        item_ids,
        overlapping,
    )
    if split.fingerprint != expected:
        raise DataError(
            f"{folder} has fingerprint {split.fingerprint[:12]}.. and {PROTOCOL} says {expected[:12]}..; its files "
            "were changed after `distrecvae prepare`: run it again"
        )
    return split


def read_protocol(folder: Path | str) -> dict[str, Any]:
    """Return the content of `dataset.json`: how the folder was made, counts and fingerprint.

    Raises:
        DataError: there is none, it is not readable, or it has another format version.
    """
    path = Path(folder) / PROTOCOL
    try:
        document = json.loads(read_regular(path))
    except FileNotFoundError as error:
        if folds := fold_folders(Path(folder)):
            raise DataError(
                f"{folder} holds {len(folds)} folds; give one of them, such as {folds[0]}"
            ) from error
        known = "no such folder" if not Path(folder).exists() else f"no {PROTOCOL} in it"
        raise DataError(
            f"{folder} is not a prepared dataset ({known}); make one with `distrecvae prepare`"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise DataError(f"{path} cannot be read ({reason}); run `distrecvae prepare` again") from error
    version = document.get("format") if isinstance(document, dict) else None
    if version not in (FORMAT, OVERLAPPING_FORMAT):
        raise DataError(
            f"{folder} has dataset format {version!r} and this is distrecvae {__version__}, which reads formats "
            f"{FORMAT} and {OVERLAPPING_FORMAT}; run `distrecvae prepare` again"
        )
    return dict(document)


def data_facts(folder: Path | str, split: Split) -> dict[str, Any]:
    """Return what a model trained on `split`, which was read from `folder`, says of its data.

    A folder that is gone by now costs the model nothing but the protocol's options.
    """
    try:
        return facts(split, read_protocol(folder))
    except DataError:
        return facts(split, {})


def is_dataset(path: Path | str) -> bool:
    """Return whether `path` is a folder with a `dataset.json`, of any version."""
    return (Path(path) / PROTOCOL).is_file()
