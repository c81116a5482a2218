"""A real Ray on this machine, started once for a file's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from distrecvae.search.on_ray.session import ray_session
from distrecvae.search.planning.resources import Cluster
from tests.sites import ray_folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", str(ray_folder()))
        with ray_session(None) as found:
            yield found
