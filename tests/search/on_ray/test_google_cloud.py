"""Ray's way to Google Cloud, with a zone that has no machine left: the autoscaler must hear of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ray.autoscaler._private.util import prepare_config
from ray.autoscaler.node_launch_exception import NodeLaunchException

from tests import ROOT

pytest.importorskip("googleapiclient", reason="needs Google's client (pip install '.[cluster-test]')")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def provider(monkeypatch: pytest.MonkeyPatch, create: Callable[..., Any]) -> Any:
    from ray.autoscaler._private.gcp.node_provider import GCPNodeProvider

    from distrecvae.search.on_ray.google_cloud import GoogleCloud

    monkeypatch.setattr(GCPNodeProvider, "_construct_clients", lambda _: None)
    monkeypatch.setattr(GCPNodeProvider, "create_node", lambda _, *arguments: create(*arguments))
    return GoogleCloud({"project_id": "p", "availability_zone": "z"}, "c")


def test_a_refusal_is_told_as_the_autoscaler_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # Ray raises a bare Exception with Google's answer, which its launcher logs and forgets.
    def refuse(*arguments: Any) -> Any:
        raise Exception({"errors": [{"code": "ZONE_RESOURCE_POOL_EXHAUSTED", "message": "no\n more"}]})

    with pytest.raises(NodeLaunchException, match="ZONE_RESOURCE_POOL_EXHAUSTED") as raised:
        provider(monkeypatch, refuse).create_node({}, {}, 2)
    assert "\n" not in raised.value.description
    assert raised.value.src_exc_info is not None


def test_what_was_made_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    made = provider(monkeypatch, lambda _, tags, count: {f"{tags['kind']}-{i}": {} for i in range(count)})
    assert made.create_node({}, {"kind": "l4"}, 2) == {"l4-0": {}, "l4-1": {}}


def test_a_lost_connection_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*arguments: Any) -> Any:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        provider(monkeypatch, lose).create_node({}, {}, 1)


def test_the_cluster_file_names_it() -> None:
    import yaml
    from ray.autoscaler._private.providers import _get_node_provider_cls

    from distrecvae.search.on_ray.google_cloud import GoogleCloud

    config = prepare_config(yaml.safe_load((ROOT / "cluster/gcp.yaml").read_text(encoding="utf-8")))
    assert _get_node_provider_cls(config["provider"]) is GoogleCloud
