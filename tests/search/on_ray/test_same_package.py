"""Whether other nodes can run this package; tests/whole/test_cluster.py asks real ones."""

from __future__ import annotations

import pytest

from distrecvae import __version__
from distrecvae.search.on_ray.same_package import require_package, version
from distrecvae.search.planning.resources import Cluster


@pytest.mark.ray
def test_a_single_node_is_not_asked(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.remote", lambda **_: lambda _: None)
    assert len(cluster.nodes) == 1
    require_package()


def test_a_node_answers_with_its_own_version() -> None:
    assert version() == __version__
