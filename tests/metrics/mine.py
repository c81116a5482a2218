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


NOT_A_FUNCTION = 7
