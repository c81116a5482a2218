"""The way to Google Cloud: Ray's own, which also says so where a zone has no such machine left.

`cluster/gcp.yaml` names the class. What it stands on is private to Ray: `ray_internals.py` cannot import it, since it
needs Google's client (`pip install '.[gcp]'`), which other clusters do not.
"""

from __future__ import annotations

import sys
from typing import Any

from ray.autoscaler._private.gcp.node_provider import GCPNodeProvider
from ray.autoscaler.node_launch_exception import NodeLaunchException


class GoogleCloud(GCPNodeProvider):  # type: ignore[misc]
    """Ray's provider, with refusals raised as the one kind of exception that Ray's autoscaler counts."""

    def create_node(self, base_config: dict[str, Any], tags: dict[str, str], count: int) -> dict[str, Any]:
        """Create machines, and return Google's answers by the machines' names.

        Raises:
            NodeLaunchException: one of them was refused, for its quota or since the zone has none left.
        """
        try:
            return dict(super().create_node(base_config, tags, count))
        except BrokenPipeError:  # Ray makes new clients and asks again
            raise
        except Exception as error:
            raise NodeLaunchException(
                "refused", " ".join(str(error).split())[:500], sys.exc_info()
            ) from error
