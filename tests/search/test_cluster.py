"""A search on a cluster of two nodes (of one machine): joined by its address, left running afterwards."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.search.conftest import Site

# Ray's in-process cluster must be started by the main thread of a process that does nothing else.
CLUSTER = """
import subprocess, sys
import ray
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
for address in (cluster.address, "127.0.0.1:1"):
    done = subprocess.run([*sys.argv[1:], "--address", address, "--out", "at-" + address.split(":")[1]])
    print("exit status", done.returncode, flush=True)
cluster.connect()
print("nodes left", sum(node["Alive"] for node in ray.nodes()))
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_search_joins_a_cluster_uses_its_nodes_and_leaves_it(site: Site) -> None:
    search = site.arguments("--trials", "4", "--max-passes", "8", "--min-passes", "4")
    done = subprocess.run(
        [sys.executable, "-c", CLUSTER, *search],
        cwd=site.folder,
        env=site.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    joined, refused = done.stdout.split("exit status")[1:]
    assert "2 at once" in done.stdout, "each node has one core, so only both together can run two trials"
    assert "4 of 4 trials" in done.stdout
    assert joined.split()[0] == "0"
    assert refused.split()[0] == "2"
    assert "--address 127.0.0.1:1: nothing listens there" in done.stderr
    assert not (site.folder / "at-1").exists()
    assert "nodes left 2" in done.stdout
    (results,) = site.folder.glob("at-*")
    assert json.loads((results / "search.json").read_text())["plan"]["concurrent"] == 2
