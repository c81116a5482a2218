"""What holds for the kernels' tests."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from distrecvae.kernels.triton.choice import keep_fusion


@pytest.fixture(scope="session", autouse=True)
def kernels_are_kept_in_a_folder_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compile again in each run of the tests, and leave nothing in the home folder."""
    if find_spec("triton") is None:
        yield
        return
    import triton

    keep_fusion()  # as where the kernels are taken
    before = triton.knobs.cache.dir
    triton.knobs.cache.dir = str(tmp_path_factory.mktemp("triton"))
    yield
    triton.knobs.cache.dir = before
