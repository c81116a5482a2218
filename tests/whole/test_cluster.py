"""A search on a cluster of two nodes (of one machine): joined by its address, left running afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from distrecvae import __version__
from tests import HANGS_AFTER_S
from tests.sites import Site

# Ray's in-process cluster must be started by the main thread of a process that does nothing else.
CLUSTER = """
import subprocess, sys
import ray
from ray.cluster_utils import Cluster
from distrecvae.errors import ResourceError
from distrecvae.search.on_ray import same_package
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
done = subprocess.run([*sys.argv[1:], "--address", cluster.address, "--out", "joined"])
print("exit status", done.returncode, flush=True)
cluster.connect()
print("nodes left", sum(node["Alive"] for node in ray.nodes()), flush=True)
same_package.require_package()
def bare(): raise ModuleNotFoundError("No module named 'distrecvae'")
for there in (bare, lambda: "0.0.1"):
    same_package.version = there
    try:
        same_package.require_package()
    except ResourceError as error:
        print("refused:", error, flush=True)
ray.shutdown()
cluster.shutdown()
"""


def run(site: Site, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=site.folder,
        env=site.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS_AFTER_S,
    )


@pytest.mark.ray
@pytest.mark.slow
def test_a_search_joins_a_cluster_uses_its_nodes_and_leaves_it_and_every_node_is_asked_for_the_package(
    site: Site,
) -> None:
    search = site.arguments("--trials", "4", "--max-passes", "8", "--min-passes", "4")
    done = run(site, CLUSTER, *search)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "exit status 0" in done.stdout
    assert "2 at once" in done.stdout, "each node has one core, so only both together can run two trials"
    assert "4 of 4 trials" in done.stdout
    assert "nodes left 2" in done.stdout
    assert json.loads((site.folder / "joined/search.json").read_text())["plan"]["concurrent"] == 2
    bare, other = (line for line in done.stdout.splitlines() if line.startswith("refused: "))
    assert bare.endswith(
        " cannot run distrecvae (No module named 'distrecvae'); install this version of it there"
    )
    assert other.endswith(f" has distrecvae 0.0.1, this is {__version__}; install this version of it there")


def test_where_no_cluster_is_a_search_is_refused(site: Site) -> None:
    done = site.search_here("--trials", "4", "--address", "127.0.0.1:1", "--out", "at-1")
    assert done.returncode == 2
    assert "--address 127.0.0.1:1: nothing listens there" in done.stderr
    assert not (site.folder / "at-1").exists()


# A node joins an empty cluster, then another one; where a private mount may be made, it sees nothing of the results.
JOINING = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
from ray.cluster_utils import Cluster

def wait(condition, what):
    deadline = time.monotonic() + 900
    while not condition():
        assert process.poll() is None, ("the search ended: ", what)
        assert time.monotonic() < deadline, what
        time.sleep(0.1)

def told(): return log.read_text()

def reported():
    path = Path("elastic/joined/ledger.jsonl")
    lines = map(json.loads, path.read_text().split("\\n")[:-1] if path.exists() else [])
    return {line["trial"] for line in lines if line["kind"] == "report"}

log = Path("elastic.log")
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
command = [*sys.argv[2:], "--address", cluster.address, "--out", "elastic/joined"]
with log.open("w") as file:
    process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
wait(lambda: "Waiting for the cluster to get a node with 1 CPU and 0 GPU" in told(), "it waits for a node")
assert os.listdir("elastic/joined") == [".lock"], "the folder is held, and nothing is in it"
cluster.add_node(num_cpus=1)
wait(lambda: reported() == {0}, "the first node works")
time.sleep(1)
assert reported() == {0}, "two trials at once on one core"
if sys.argv[1] == "blind":
    hide = 'mount -t tmpfs tmpfs elastic && exec "$0" start --address=' + cluster.address
    ray = str(Path(sys.executable).with_name("ray"))
    node = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", hide + " --num-cpus=1 --block", ray],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
else:
    cluster.add_node(num_cpus=1)
wait(lambda: reported() == {0, 1}, "the second node works")
states = [Path(f"elastic/joined/trials/{number:05d}/state.safetensors") for number in (0, 1)]
wait(lambda: all(state.exists() for state in states), "both trials are kept")
process.send_signal(signal.SIGINT)
process.wait(timeout=900)
print("exit status", process.returncode)
print(told())
if sys.argv[1] == "blind":
    node.terminate()
    node.wait(timeout=900)
cluster.shutdown()
"""

ELASTIC = (
    "--elastic",
    "--concurrent",
    "3",
    "--gpus-per-trial",
    "0",
    "--trials",
    "3",
    "--max-passes",
    "1000000",
)


APART = os.geteuid() == 0 and shutil.which("unshare") is not None
"""Whether a node can be given a mount of its own here, in which it sees nothing of the results."""


@pytest.mark.ray
@pytest.mark.slow
def test_an_elastic_search_waits_for_nodes_and_uses_those_that_join(site: Site) -> None:
    # Where this machine can, the second node shares nothing but Ray: once that ended the search.
    done = run(
        site, JOINING, "blind" if APART else "seeing", *site.arguments(*ELASTIC, "--checkpoint-every", "0.5")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "exit status 130" in done.stdout
    assert "3 at once" in done.stdout
    assert "Traceback" not in done.stdout
    table = (site.folder / "elastic/joined/trials.csv").read_text()
    assert "failed" not in table


# Each trial's node is drained once the search has so many reports; the other node takes what was on it.
DRAINING = """
import json, subprocess, sys, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from distrecvae.saved.tensors import read_metadata
from tests.results import n_reports
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
nodes = [cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)]
options = ["--address", cluster.address, "--out", "drained"]
search = subprocess.Popen([*sys.argv[1:], *options], stdout=subprocess.PIPE, text=True)
cluster.connect()
out = Path("drained")
while n_reports(out) < 5:
    assert search.poll() is None
    time.sleep(0.02)
free = {node for node, has in ray._private.state.available_resources_per_node().items() if has.get("CPU")}
(busy,) = [node.node_id for node in nodes if node.node_id not in free]
drain = ["ray", "drain-node", "--address", cluster.address, "--node-id", busy]
drain += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot", "--deadline-remaining-seconds", "60"]
subprocess.run(drain, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
for line in search.stdout:
    print(line, end="", flush=True)
    if "its node is about to go" in line:
        saved, reported = len(read_metadata(out / "trials/00000/state.safetensors")["history"]), n_reports(out)
        print("saved", saved, "of", reported, flush=True)
        cluster.remove_node(next(node for node in nodes if node.node_id == busy), allow_graceful=False)
        while n_reports(out) < reported + 3 and search.poll() is None:
            time.sleep(0.02)
        search.terminate()
print("exit status", search.wait(), flush=True)
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_trial_leaves_a_node_that_is_drained_and_loses_nothing(site: Site) -> None:
    # A spot node's warning: it was heard of when the node was gone, with all since the last checkpoint.
    options = ["--trials", "1", "--max-passes", "1000000", "--concurrent", "1", "--checkpoint-every", "3600"]
    done = run(site, DRAINING, *site.arguments(*options))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "trial 0: its node is about to go; it continues from here on another one" in done.stdout
    assert "lost its process" not in done.stdout
    saved, reported = next(
        (int(line.split()[1]), int(line.split()[3]))
        for line in done.stdout.splitlines()
        if line[:6] == "saved "
    )
    assert saved == reported, "what was reported is saved: less than a cycle is made again"
    assert "exit status 130" in done.stdout, "it went on, and was interrupted then"
