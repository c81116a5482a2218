"""Searches on a cluster of several nodes (of one machine): joined by its address, left running afterwards."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from distrecvae import __version__
from tests import HANGS_AFTER_S
from tests.sites import Site

# Ray's in-process cluster must be started by the main thread of a process that does nothing else: this one, for three
# searches one after the other. The first finds no core, then a node with one, then another node; where a private mount
# may be made, that one sees nothing of the results. The second uses both nodes. The node of the third one's trial is
# drained, and the other node takes it.
CLUSTER = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from distrecvae.errors import ResourceError
from distrecvae.saved.tensors import read_metadata
from distrecvae.search.on_ray import same_package
from tests.results import n_reports

def wait(condition, what, process=None):
    deadline = time.monotonic() + HANGS_AFTER_S
    while not condition():
        assert process is None or process.poll() is None, ("the search ended: ", what)
        assert time.monotonic() < deadline, what
        time.sleep(0.1)

def alive(): return sum(node["Alive"] for node in ray.nodes())

def told(): return log.read_text()

def reported():
    path = Path("elastic/joined/ledger.jsonl")
    lines = map(json.loads, path.read_text().split("\\n")[:-1] if path.exists() else [])
    return {line["trial"] for line in lines if line["kind"] == "report"}

given = json.loads(sys.argv[1])
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
there = ["--address", cluster.address]
unhurried = {**os.environ, **given["unhurried"]}

print("== elastic", flush=True)
log = Path("elastic.log")
with log.open("w") as file:
    command = [*given["elastic"], *there, "--out", "elastic/joined"]
    process = subprocess.Popen(command, env=unhurried, stdout=file, stderr=subprocess.STDOUT)
wait(lambda: "Waiting for the cluster to get a node with 1 CPU and 0 GPU" in told(), "it waits for a node", process)
assert os.listdir("elastic/joined") == [".lock"], "the folder is held, and nothing is in it"
nodes = [cluster.add_node(num_cpus=1)]
wait(lambda: reported() == {0}, "the first node works", process)
time.sleep(1)
assert reported() == {0}, "two trials at once on one core"
if given["apart"]:
    hide = 'mount -t tmpfs tmpfs elastic && exec "$0" start --address=' + cluster.address
    command = str(Path(sys.executable).with_name("ray"))
    blind = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", hide + " --num-cpus=1 --block", command],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
else:
    nodes.append(cluster.add_node(num_cpus=1))
wait(lambda: reported() == {0, 1}, "the second node works", process)
states = [Path(f"elastic/joined/trials/{number:05d}/state.safetensors") for number in (0, 1)]
wait(lambda: all(state.exists() for state in states), "both trials are kept", process)
process.send_signal(signal.SIGINT)
process.wait(timeout=HANGS_AFTER_S)
print("exit status", process.returncode)
print(told(), flush=True)
cluster.connect()
if given["apart"]:
    blind.terminate()
    blind.wait(timeout=HANGS_AFTER_S)
    wait(lambda: alive() == 2, "the node that saw nothing is gone")
    nodes.append(cluster.add_node(num_cpus=1))

print("== joined", flush=True)
done = subprocess.run([*given["joined"], *there, "--out", "joined"])
print("exit status", done.returncode)
print("nodes left", alive())
same_package.require_package()
def bare(): raise ModuleNotFoundError("No module named 'distrecvae'")
for found in (bare, lambda: "0.0.1"):
    same_package.version = found
    try:
        same_package.require_package()
    except ResourceError as error:
        print("refused:", error, flush=True)

print("== drained", flush=True)
command = [*given["drained"], *there, "--out", "drained"]
search = subprocess.Popen(command, env=unhurried, stdout=subprocess.PIPE, text=True)
out = Path("drained")
wait(lambda: n_reports(out) >= 5, "it works", search)
free = {node for node, has in ray._private.state.available_resources_per_node().items() if has.get("CPU")}
(busy,) = [node for node in nodes if node.node_id not in free]
drain = ["ray", "drain-node", *there, "--node-id", busy.node_id]
drain += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot", "--deadline-remaining-seconds", "60"]
subprocess.run(drain, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
for line in search.stdout:
    print(line, end="", flush=True)
    if "its node is about to go" in line:
        saved, reported = len(read_metadata(out / "trials/00000/state.safetensors")["history"]), n_reports(out)
        print("saved", saved, "of", reported, flush=True)
        cluster.remove_node(busy, allow_graceful=False)
        wait(lambda: n_reports(out) >= reported + 3 or search.poll() is not None, "the other one takes it")
        search.terminate()
print("exit status", search.wait(), flush=True)
ray.shutdown()
cluster.shutdown()
"""

LONG = ("--trials", "3", "--max-passes", "1000000")
ELASTIC = ("--elastic", "--concurrent", "3", "--gpus-per-trial", "0", "--checkpoint-every", "0.5")
APART = os.geteuid() == 0 and shutil.which("unshare") is not None
"""Whether a node can be given a mount of its own here, in which it sees nothing of the results."""


@pytest.fixture(scope="module")
def told(site: Site) -> dict[str, str]:
    """Run the three searches; return what was printed of each."""
    usual, unhurried = site.environment(), site.unhurried()
    given = {
        "apart": APART,
        "unhurried": {name: value for name, value in unhurried.items() if usual.get(name) != value},
        "elastic": site.arguments(*ELASTIC, *LONG),
        "joined": site.arguments("--trials", "4", "--max-passes", "8", "--min-passes", "4"),
        "drained": site.arguments(*LONG, "--trials", "1", "--concurrent", "1", "--checkpoint-every", "3600"),
    }
    done = subprocess.run(
        [sys.executable, "-c", f"{HANGS_AFTER_S = }\n{CLUSTER}", json.dumps(given)],
        cwd=site.folder,
        env=usual,
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * HANGS_AFTER_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    _, *parts = re.split(r"^== (\w+)\n", done.stdout, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.ray
@pytest.mark.slow
def test_an_elastic_search_waits_for_nodes_and_uses_those_that_join(site: Site, told: dict[str, str]) -> None:
    # Where this machine can, the second node shares nothing but Ray: once that ended the search.
    assert "exit status 130" in told["elastic"]
    assert "3 at once" in told["elastic"]
    assert "Traceback" not in told["elastic"]
    table = (site.folder / "elastic/joined/trials.csv").read_text()
    assert "failed" not in table


@pytest.mark.ray
@pytest.mark.slow
def test_a_search_joins_a_cluster_uses_its_nodes_and_leaves_it_and_every_node_is_asked_for_the_package(
    site: Site, told: dict[str, str]
) -> None:
    joined = told["joined"]
    assert "exit status 0" in joined
    assert "2 at once" in joined, "each node has one core, so only both together can run two trials"
    assert "4 of 4 trials" in joined
    assert "nodes left 3" in joined
    assert json.loads((site.folder / "joined/search.json").read_text())["plan"]["concurrent"] == 2
    bare, other = (line for line in joined.splitlines() if line.startswith("refused: "))
    assert bare.endswith(
        " cannot run distrecvae (No module named 'distrecvae'); install this version of it there"
    )
    assert other.endswith(f" has distrecvae 0.0.1, this is {__version__}; install this version of it there")


@pytest.mark.ray
@pytest.mark.slow
def test_a_trial_leaves_a_node_that_is_drained_and_loses_nothing(told: dict[str, str]) -> None:
    # A spot node's warning: it was heard of when the node was gone, with all since the last checkpoint.
    drained = told["drained"]
    assert "trial 0: its node is about to go; it continues from here on another one" in drained
    assert "lost its process" not in drained
    saved, reported = next(
        (int(line.split()[1]), int(line.split()[3])) for line in drained.splitlines() if line[:6] == "saved "
    )
    assert saved == reported, "what was reported is saved: less than a cycle is made again"
    assert "exit status 130" in drained, "it went on, and was interrupted then"


def test_where_no_cluster_is_a_search_is_refused(site: Site) -> None:
    done = site.search_here("--trials", "4", "--address", "127.0.0.1:1", "--out", "at-1")
    assert done.returncode == 2
    assert "--address 127.0.0.1:1: nothing listens there" in done.stderr
    assert not (site.folder / "at-1").exists()
