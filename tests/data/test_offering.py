"""Allow and deny lists: which of a model's items may be recommended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distrecvae.data.offering import offered, read_list
from distrecvae.errors import ConfigError, DataError

IDS = np.array([10, 20, 30, 40])


@pytest.mark.parametrize(
    ("allow", "deny", "left"),
    [
        ([40, 10], None, [0, 3]),
        (None, [20, 99], [0, 2, 3]),
        ([10, 20, 77], [20], [0]),
        (["30", "x"], None, [2]),
        (None, [], [0, 1, 2, 3]),
        (np.array([20]), iter([10]), [1]),
    ],
    ids=["allowed", "denied", "both", "as text", "nothing denied", "arrays and iterators"],
)
def test_positions_rise_and_unknown_ids_change_nothing(allow: Any, deny: Any, left: list[int]) -> None:
    found = offered(IDS, allow, deny)
    assert found is not None
    assert found.tolist() == left


def test_no_list_is_no_restriction() -> None:
    assert offered(IDS, None, None) is None


def test_nothing_left_is_refused() -> None:
    for allow, deny in (([], None), ([99], None), ([10], [10]), (None, [10, 20, 30, 40])):
        with pytest.raises(ConfigError, match="none of the model's 4 items may be recommended") as refused:
            offered(IDS, allow, deny)
        assert "\n" not in str(refused.value)
    with pytest.raises(DataError, match="deny is '10'; it must be a list"):
        offered(IDS, None, "10")


def test_a_file_has_an_id_a_line(tmp_path: Path) -> None:
    path = tmp_path / "sold-out.txt"
    path.write_text("\ufeff10\r\n\n  20 \nB07 x\n", encoding="utf-8")
    assert read_list(path) == ["10", "20", "B07 x"]
    path.write_bytes(b"\xff\xfe\x00")
    for bad in (path, tmp_path / "absent", tmp_path):
        with pytest.raises(DataError, match="give a text file with an id a line"):
            read_list(bad)
