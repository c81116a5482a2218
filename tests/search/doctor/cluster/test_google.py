"""Google Cloud's kinds of nodes as a file has them, and machines of one's own; mistakes are in planted.yaml."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from distrecvae.search.doctor.cluster.google import EXTERNAL, google_kinds, of_google, of_local
from distrecvae.search.doctor.cluster.nodes import OLDER
from tests import ROOT


def ours() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "cluster/gcp.yaml").read_text(encoding="utf-8")))


def test_kinds_are_read_from_our_file() -> None:
    assert [(kind.name, kind.machine, kind.has_gpu, kind.is_spot) for kind in google_kinds(ours())] == [
        ("head", "n2-standard-4", False, False),
        ("gpu-1-l4-spot", "g2-standard-4", True, True),
        ("gpu-2-t4-spot", "n1-standard-4 nvidia-tesla-t4", True, True),
        ("gpu-3-l4-on-demand", "g2-standard-4", True, False),
        ("gpu-4-t4-on-demand", "n1-standard-4 nvidia-tesla-t4", True, False),
    ]


def test_the_module_is_the_one_in_our_file() -> None:
    assert EXTERNAL.endswith(f"module: {ours()['provider']['module']}")
    assert list(of_google(ours(), google_kinds(ours()))) == []


def test_an_older_way_to_say_spot_is_known() -> None:
    node = {"node_config": {"machineType": "a2-highgpu-1g", "scheduling": {"preemptible": True}}}
    (kind,) = google_kinds({"available_node_types": {"a": node}})
    assert kind.is_spot
    assert kind.has_gpu


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"head_ip": ""}, "the head is one of your machines"),
        ({"worker_ips": ["10.0.0.1", "10.0.0.2"]}, "it is listed twice"),
        ({"worker_ips": ["localhost"]}, "find themselves there"),
    ],
)
def test_machines_of_ones_own(changes: dict[str, Any], said: str) -> None:
    provider = {"type": "local", "head_ip": "10.0.0.1", "worker_ips": ["10.0.0.2"]}
    file = {"auth": {"ssh_user": "me"}, "head_start_ray_commands": [f"{OLDER} ray start --head"]}
    assert list(of_local({**file, "provider": provider})) == []
    (finding,) = of_local({**file, "provider": {**provider, **changes}})
    assert said in finding.text
