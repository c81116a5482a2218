"""Where states lie: what is put into a file is what comes out of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distrecvae.errors import CheckpointError
from distrecvae.saved.places import StateFile


def test_a_file_holds_the_last_state_that_was_put_there(tmp_path: Path) -> None:
    place = StateFile(tmp_path / "state")
    assert place.name == str(tmp_path / "state")
    assert place.load() is None
    for passes in (4, 8):
        place.save({"x": torch.full((2,), float(passes))}, {"passes": passes})
    found = place.load()
    assert found is not None
    assert (found[0]["x"].tolist(), found[1]) == ([8.0, 8.0], {"passes": 8})


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="is damaged"):
        StateFile(tmp_path / "state").load()
