"""A cloud without machines: it refuses the kinds of nodes that it is told to, as EC2 does, and counts who asked."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ray.autoscaler.node_launch_exception import NodeLaunchException
from ray.autoscaler.node_provider import NodeProvider
from ray.autoscaler.tags import NODE_KIND_HEAD, TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE

HEAD = "head-0"


class NoCapacity(NodeProvider):  # type: ignore[misc]
    """Ray's own way to a cloud (`provider: {type: external, module: ...}`), without the cloud.

    Attributes:
        without: kinds of nodes that it has none of.
        asked: how often each kind was asked for, refused or not.
        nodes: tags of the nodes that run, by id.
    """

    def __init__(self, provider_config: dict[str, Any], cluster_name: str) -> None:
        super().__init__(provider_config, cluster_name)
        self.without: set[str] = set(provider_config["without"])
        self.asked: Counter[str] = Counter()
        self.nodes = {HEAD: {TAG_RAY_NODE_KIND: NODE_KIND_HEAD, TAG_RAY_USER_NODE_TYPE: "head"}}

    def create_node(
        self,
        node_config: dict[str, Any],  # noqa: ARG002  (Ray's names)
        tags: dict[str, str],
        count: int,
    ) -> dict[str, Any]:
        kind = tags[TAG_RAY_USER_NODE_TYPE]
        self.asked[kind] += 1
        if kind in self.without:
            raise NodeLaunchException("InsufficientInstanceCapacity", f"there is no {kind} left", None)
        made = {f"{kind}-{len(self.nodes) + i}": dict(tags) for i in range(count)}
        self.nodes |= made
        return made

    def non_terminated_nodes(self, tag_filters: dict[str, str]) -> list[str]:
        return [
            node
            for node, tags in self.nodes.items()
            if all(tags.get(name) == value for name, value in tag_filters.items())
        ]

    def node_tags(self, node_id: str) -> dict[str, str]:
        return self.nodes[node_id]

    def set_node_tags(self, node_id: str, tags: dict[str, str]) -> None:
        self.nodes[node_id] |= tags

    def is_running(self, node_id: str) -> bool:
        return node_id in self.nodes

    def is_terminated(self, node_id: str) -> bool:
        return node_id not in self.nodes

    def internal_ip(self, node_id: str) -> str:
        return f"ip-of-{node_id}"

    external_ip = internal_ip

    def terminate_node(self, node_id: str) -> None:
        self.nodes.pop(node_id, None)


class NoMachines:
    """A Kubernetes whose pods of some groups never find a machine, as Ray's autoscaler asks it.

    Attributes:
        cluster: the RayCluster, as the operator keeps it.
        without: groups that there is no machine for.
        pods: the group of each pod, by name.
        asked: groups in the order in which a pod of theirs was first made since the last of another group.
    """

    def __init__(self, cluster: dict[str, Any], without: set[str]) -> None:
        self.cluster = cluster
        self.without = without
        self.pods: dict[str, str] = {}
        self.asked: list[str] = []
        self._made = 0

    @property
    def running(self) -> list[str]:
        return [name for name, group in self.pods.items() if group not in self.without]

    def get(self, path: str) -> dict[str, Any]:
        if path.startswith("rayclusters/"):
            return self.cluster
        if not path.startswith("pods?"):
            return {"metadata": {"resourceVersion": "1"}}
        groups = {HEAD: "headgroup", **self.pods}
        return {"metadata": {"resourceVersion": "1"}, "items": [self._pod(*pod) for pod in groups.items()]}

    def patch(self, _path: str, payload: list[dict[str, Any]]) -> dict[str, Any]:
        groups = self.cluster["spec"]["workerGroupSpecs"]
        for change in payload:
            _, _, _, index, key = change["path"].split("/")
            groups[int(index)][key] = change["value"]
        for group in groups:  # what the operator does
            for pod in group.get("scaleStrategy", {}).get("workersToDelete", []):
                self.pods.pop(pod, None)
            own = [pod for pod, name in self.pods.items() if name == group["groupName"]]
            for _ in range(group["replicas"] - len(own)):
                self._made += 1
                self.pods[f"{group['groupName']}-{self._made}"] = group["groupName"]
                if self.asked[-1:] != [group["groupName"]]:
                    self.asked.append(group["groupName"])
        return self.cluster

    def _pod(self, name: str, group: str) -> dict[str, Any]:
        labels = {"ray.io/node-type": "head" if name == HEAD else "worker", "ray.io/group": group}
        runs = group not in self.without
        status: dict[str, Any] = (
            {"containerStatuses": [{"state": {"running": {}}}]} if runs else {"phase": "Pending"}
        )
        return {"metadata": {"name": name, "labels": labels}, "status": status}
