"""The table of interactions is columns of one length."""

from __future__ import annotations

import numpy as np
import pytest

from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError


def test_columns_are_equally_long() -> None:
    one, two = np.zeros(1, np.int32), np.zeros(2, np.int32)
    with pytest.raises(DataError, match="equally long"):
        InteractionTable(one, two, None, np.arange(1), np.arange(1))
    with pytest.raises(DataError, match="equally long"):
        InteractionTable(one, one, np.zeros(2), np.arange(1), np.arange(1))
