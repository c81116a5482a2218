"""A metric of somebody's own, as `--metrics tests.metrics.mine:half@4` names it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def half(hits: npt.NDArray[np.bool_], n_held_out: npt.NDArray[np.integer], k: int) -> Any:
    return hits[:, :k].sum(axis=1) / 2


def of_all(hits: npt.NDArray[np.bool_], n_held_out: npt.NDArray[np.integer], k: int) -> Any:
    return hits.mean()


def of_two(hits: npt.NDArray[np.bool_], n_held_out: npt.NDArray[np.integer]) -> Any:
    return hits.sum(axis=1)


def in_words(hits: npt.NDArray[np.bool_], n_held_out: npt.NDArray[np.integer], k: int) -> Any:
    return ["good"] * len(hits)


def first_of_hits(hits: npt.NDArray[np.bool_], n_held_out: npt.NDArray[np.integer], k: int) -> Any:
    with np.errstate(invalid="ignore"):
        return hits[:, 0] / hits[:, :k].sum(axis=1)


NOT_A_FUNCTION = 7
