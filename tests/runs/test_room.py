"""What no memory can hold is refused before it is made."""

from __future__ import annotations

import psutil
import pytest

from distrecvae.errors import ResourceError
from distrecvae.runs.room import require_memory


def test_more_than_all_memory_is_refused() -> None:
    total = psutil.virtual_memory().total
    require_memory("training x", total)
    with pytest.raises(
        ResourceError, match=r"training x takes .* GiB of memory, and this machine has .* lower"
    ):
        require_memory("training x", total + 1)
