"""Reads how many training users have each item, from the file of a model's item ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from distrecvae.data.stored.tables import COUNTS, n_rows_of
from distrecvae.errors import DataError
from distrecvae.words import first_line


def load_counts(path: Path | str) -> npt.NDArray[np.int64] | None:
    """Return the counts that `save_ids` wrote beside the ids: int64, (n_ids,); None where it wrote none.

    Raises:
        DataError: the file is missing or damaged.
    """
    n_rows_of(path)
    try:
        if COUNTS not in pq.read_schema(path).names:
            return None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is damaged ({first_line(error)}); write it again") from error
    column = pq.read_table(path, columns=[COUNTS]).column(COUNTS)
    if column.type != pa.int64() or column.null_count:
        raise DataError(f"{path} has counts of type {column.type}, or empty ones; write it again")
    return np.asarray(column.to_numpy())
