"""Ray's own schema, as the installed Ray has it; mistakes against it are told as ours are."""

from __future__ import annotations

from importlib import util
from typing import Any

import pytest

from distrecvae.errors import ResourceError
from distrecvae.search.doctor.cluster import schema
from distrecvae.search.doctor.cluster.schema import against_the_schema, rays_schema

GOOD: dict[str, Any] = {"cluster_name": "a", "provider": {"type": "aws"}}


def test_it_is_the_one_that_ray_up_goes_by() -> None:
    from ray.autoscaler._private.util import validate_config

    assert set(rays_schema()["required"]) == set(GOOD)
    validate_config({**GOOD, "cluster_synced_files": []})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"maxworkers": 1}, "maxworkers is 1: Ray knows no such key; did you mean 'max_workers'?"),
        ({"max_workers": "8"}, "max_workers is '8': Ray wants it of the type 'integer'"),
        ({"max_workers": -1}, "max_workers is -1: Ray wants it at least 0"),
        ({"provider": {}}, "provider.type is missing: Ray asks for it"),
        ({"docker": {"imag": "a"}}, "docker.imag is 'a': Ray knows no such key; did you mean 'image'?"),
        ({"setup_commands": [1]}, "setup_commands.0 is 1: Ray wants it of the type 'string'"),
        (
            {"available_node_types": {"a": {"resources": {"CPU": 1.5}, "node_config": {}}}},
            "available_node_types.a.resources.CPU is 1.5: Ray wants it of the type 'integer'",
        ),
    ],
)
def test_what_ray_would_refuse(changes: dict[str, Any], text: str) -> None:
    (finding,) = against_the_schema({**GOOD, **changes})
    assert finding.text == text
    assert finding.remedy


def test_nothing_is_wrong_with_what_ray_takes() -> None:
    assert list(against_the_schema(GOOD)) == []


def test_without_ray_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rays_schema.cache_clear()
    monkeypatch.setattr(schema, "find_spec", lambda name: None if name == "ray" else util.find_spec(name))
    with pytest.raises(ResourceError, match="pip install"):
        rays_schema()
    rays_schema.cache_clear()
