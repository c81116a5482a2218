"""Does a search lose anything when workers, drivers, nodes, storage and all of Ray fail at random moments? Takes long.

Run as root: full disks are small file systems of their own, mounted and unmounted here.

PYTHONPATH=. python benchmarks/chaos.py --out benchmarks/results/2026-11-25-chaos
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

import psutil

from distrecvae.storage.store import Store
from distrecvae.storage.working_copy import settle
from tests.faults.harness import Fault, Storm, assert_no_orphans, assert_nothing_lost
from tests.results import n_reports
from tests.s3 import s3_server
from tests.sites import make_site, ray_folder

TRIALS = ("--trials", "24")
LOCAL = {
    "worker": 7,
    "checkpointing": 5,
    "garbled": 6,
    "driver": 5,
    "ray": 3,
    "head": 1,
    "raylet": 2,
    "sigterm-all": 3,
    "sigterm-each": 2,
    "ctrl-c": 2,
    "ctrl-c-twice": 2,
    "slow-storage": 2,
    "refused": 3,
    "full": 3,
    "hung": 5,
    "memory": 4,
    "stopped-driver": 2,
    "stopped-raylet": 2,
    "keeper": 5,
    "keeping": 5,
    "hung-keeper": 3,
    "two-at-once": 6,
}
MIRRORED = {"store-gone": 3, "store-fails": 3, "head-gone": 4, "driver": 2, "ctrl-c": 1}
"""Of searches whose results are mirrored in an object store, moto's on this machine."""
CLUSTER = {"node": 6, "drain": 5, "worker": 2, "driver": 2, "garbled": 2}
A_STORM = 6
WARNING_S = 8.0
"""How long a drained node lives, if no trial leaves it before; clouds give 30 or 120 s."""

# Ray's in-process cluster must be started by the main thread of a process that does nothing else. The head runs no
# trials: of a node that dies, the trial is the loss.
NODES = """
import subprocess, sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
for _ in range(2):
    cluster.add_node(num_cpus=1)
print(cluster.address, flush=True)
for line in sys.stdin:
    for raylet in map(int, line.split()[1:]):
        node = next(n for n in cluster.worker_nodes if n.all_processes["raylet"][0].process.pid == raylet)
        subprocess.run(["ray", "drain-node", "--address", cluster.address, "--node-id", node.node_id,
                        "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot",
                        "--deadline-remaining-seconds", "30"], stdout=subprocess.DEVNULL, check=True)
    cluster.add_node(num_cpus=1)
    print("added", flush=True)
cluster.shutdown()
"""


def storms(kinds: dict[str, int], reports: int, draw: random.Random) -> Iterator[list[Fault]]:
    """Deal the faults to searches, at random moments of each."""
    deck = [kind for kind, count in kinds.items() for _ in range(count)]
    draw.shuffle(deck)
    for start in range(0, len(deck), A_STORM):
        dealt = deck[start : start + A_STORM]
        moments = sorted(draw.sample(range(1, reports - 4), len(dealt)))
        yield [
            Fault(kind, moment, round(draw.uniform(0, 0.4), 3))
            for kind, moment in zip(dealt, moments, strict=True)
        ]


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "chaos", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def cluster(folder: Path, environment: dict[str, str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    with subprocess.Popen(
        [sys.executable, "-c", NODES],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield process.stdout.readline().strip(), process
        process.stdin.close()
        process.wait(60)


def replace_node(storm: Storm, nodes: subprocess.Popen[str], fault: Fault) -> None:
    """Kill the node manager above the trial's worker, where it is drained after a warning; another node joins."""
    raylets = []
    for worker in storm.workers():
        with suppress(psutil.Error):
            parent = worker.parent()
            if parent is not None and "raylet" in parent.name() and parent not in raylets:
                raylets.append(parent)
    if fault.kind == "node":
        for raylet in raylets:
            raylet.kill()
    with storm.slow(0.2) if fault.kind == "drain" else nullcontext():  # the search must not be over meanwhile
        _replace(storm, nodes, fault, raylets)


def _replace(storm: Storm, nodes: subprocess.Popen[str], fault: Fault, raylets: list[psutil.Process]) -> None:
    assert nodes.stdin is not None
    assert nodes.stdout is not None
    drained = [str(raylet.pid) for raylet in raylets] if fault.kind == "drain" else []
    nodes.stdin.write(" ".join(["add", *drained]) + "\n")
    nodes.stdin.flush()
    nodes.stdout.readline()
    if fault.kind == "drain":
        storm.wait_for_words("its node is about to go", WARNING_S)
        for raylet in raylets:
            with suppress(psutil.NoSuchProcess):
                raylet.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", metavar="KIND", help="kinds of faults; all without it")
    parser.add_argument(
        "--each", type=int, metavar="N", help="faults of each kind; as many as befit it without it"
    )
    parser.add_argument(
        "--searches", type=int, nargs="*", help="numbers of the searches to run; all without it"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    draw = random.Random(options.seed)  # noqa: S311
    place = Path(tempfile.mkdtemp(prefix="chaos"))
    site = make_site(place)
    undisturbed = Storm(site, "undisturbed", TRIALS)
    undisturbed.run([])
    reports = n_reports(undisturbed.folder)
    print(f"{reports} reports without faults", flush=True)
    shared_before = {path.name for path in Path("/dev/shm").iterdir()}  # noqa: S108
    rows: list[list[object]] = []
    small = place / "small"
    chosen = [
        {k: options.each or n for k, n in kinds.items() if options.kinds is None or k in options.kinds}
        for kinds in (LOCAL, CLUSTER, MIRRORED)
    ]
    deals = [("local", f) for f in storms(chosen[0], reports, draw)]
    deals += [("cluster", f) for f in storms(chosen[1], reports, draw)]
    deals += [("mirrored", f) for f in storms(chosen[2], reports, draw)]
    with small_disk(small), s3_server() if chosen[2] else nullcontext() as s3:
        for number, (where, faults) in enumerate(deals):
            if options.searches is not None and number not in options.searches:
                continue
            lost, started = "", time.monotonic()
            storm = Storm(site, f"small/{number:02d}", TRIALS)
            try:
                if where == "mirrored":
                    storm.s3 = s3
                    storm.run(faults)
                    # What is compared is what the mirror alone has.
                    shutil.rmtree(storm.folder)
                    settle(storm.folder, Store(storm.uri), lambda _: None)
                elif where == "local":
                    storm.run(faults)
                else:
                    with cluster(place, site.environment()) as (address, nodes):
                        storm.options = (*TRIALS, "--address", address)
                        storm.run(faults, around=partial(replace_node, storm, nodes))
                assert_nothing_lost(storm.folder, undisturbed.folder)
                assert_no_orphans()
            except AssertionError as error:
                lost = " ".join(str(error).split())[:2000] or "assertion"
            for position, fault in enumerate(faults):
                hit = fault in storm.injected
                took = storm.recovered_s[position] if position < len(storm.recovered_s) else None
                row = [number, where, fault.kind, fault.after_reports, fault.delay_s, int(hit)]
                rows.append(
                    [
                        *row,
                        "" if took is None else round(took, 1),
                        int(bool(lost) and hit),
                        storm.shared_bytes,
                    ]
                )
            kinds = " ".join(fault.kind for fault in faults)
            print(f"{number} {where} {kinds}: {lost or 'nothing lost'}", flush=True)
            print(f"   {time.monotonic() - started:.0f} s, shared {storm.shared_bytes >> 10} KiB", flush=True)
            if lost:
                shutil.copy(storm.output, options.out / f"lost-{number}.out")
            shutil.rmtree(storm.folder, ignore_errors=True)
    part = "" if options.searches is None else "-" + "-".join(map(str, options.searches))
    with (options.out / f"faults{part}.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        head = ["search", "where", "kind", "after_reports", "delay_s", "injected", "next_report_s", "lost"]
        writer.writerow([*head, "shared_bytes"])
        writer.writerows(rows)
    injected: Counter[str] = Counter()
    lost_by_kind: Counter[str] = Counter()
    for row in rows:
        injected[f"{row[2]} ({row[1]})"] += int(bool(row[5]))
        lost_by_kind[f"{row[2]} ({row[1]})"] += int(bool(row[7]))
    print("| fault | injected | lost |\n| --- | --- | --- |")
    for kind in injected:
        print(f"| {kind} | {injected[kind]} | {lost_by_kind[kind]} |")
    print(f"| all | {injected.total()} | {lost_by_kind.total()} |")
    left = {path.name for path in Path("/dev/shm").iterdir()} - shared_before  # noqa: S108
    print(f"left in /dev/shm: {sorted(left) or 'nothing'}")
    shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(ray_folder(), ignore_errors=True)


if __name__ == "__main__":
    main()
