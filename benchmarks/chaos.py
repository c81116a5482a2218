"""Does a search lose anything when workers, drivers, nodes, storage and all of Ray fail at random moments? Takes long.

Run as root: full disks are small file systems of their own, mounted and unmounted here, nodes' networks are namespaces.

PYTHONPATH=. python benchmarks/chaos.py --out benchmarks/results/2026-11-25-chaos

Each search that ends is recorded in OUT/faults.csv and OUT/chaos.log. The same command continues with those that have
no record there; `--minutes` starts none after that time, so that it can be run in pieces, and `--searches` picks some,
so that it can be run twice at once. `--where operated` picks those that somebody steers meanwhile. What is lost is
recorded, too, and stays; `--searches` runs it again beside that.

Most of a search's time are starts of Ray, before its first trial and after each fault that ends it: `--a-storm 14` has
more faults in fewer searches, `--times 4` deals four times as many.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psutil

from distrecvae.storage.store import Store
from distrecvae.storage.working_copy import settle
from tests.faults.harness import Fault, Storm, assert_no_orphans, assert_nothing_lost
from tests.faults.network import Networked, why_not
from tests.faults.operating import ASKS, Operator
from tests.faults.promises import assert_kept_its_promises
from tests.results import n_reports
from tests.s3 import s3_server
from tests.sites import Site, make_site, ray_folder

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
NETWORK = {"cut": 5, "half-cut": 4, "blip": 4, "delay": 5}
"""Of searches on nodes that have a network each; `tests/faults/network.py` says what each is."""

A_STORM = 6
WARNING_S = 8.0
"""How long a drained node lives, if no trial leaves it before; clouds give 30 or 120 s."""

GUIDED = dict.fromkeys(LOCAL, 1)
"""Of searches whose sampler weighs seconds, and that widen their ranges: none need be equal to another."""
GUIDED_OPTIONS = ("--sampler", "guided", "--widen")

OPERATED = {
    **{f"ask-{action}": 2 for action in ASKS},
    **{"ask-stop": 6, "worker": 2, "two-at-once": 2, "driver": 3, "hung": 1},
}
"""Of searches that somebody steers meanwhile, every second one guided: none need be equal to another."""

WHERE = {
    "local": LOCAL, "cluster": CLUSTER, "mirrored": MIRRORED, "network": NETWORK, "guided": GUIDED,
    "operated": OPERATED,
}  # fmt: skip
HEAD = (
    "search",
    "where",
    "kind",
    "after_reports",
    "delay_s",
    "injected",
    "next_report_s",
    "lost",
    "shared_bytes",
)

# Ray's in-process cluster must be started by the main thread of a process that does nothing else. The head runs no
# trials: of a node that dies, the trial is the loss.
NODES = """
import subprocess, sys
from ray.cluster_utils import Cluster
def add():
    # Under a load of 20 a node may not have joined within Ray's half minute.
    for _ in range(5):
        try:
            return cluster.add_node(num_cpus=1)
        except Exception as error:
            print(f"a node did not join: {error!r}", file=sys.stderr, flush=True)
    sys.exit("no node joins")
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
for _ in range(2):
    add()
print(cluster.address, flush=True)
for line in sys.stdin:
    for raylet in map(int, line.split()[1:]):
        node = next(n for n in cluster.worker_nodes if n.all_processes["raylet"][0].process.pid == raylet)
        command = [sys.executable, "-m", "ray.scripts.scripts", "drain-node", "--address", cluster.address]
        command += ["--node-id", node.node_id, "--reason", "DRAIN_NODE_REASON_PREEMPTION"]
        command += ["--reason-message", "spot", "--deadline-remaining-seconds", "30"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    add()
    print("added", flush=True)
cluster.shutdown()
"""


def storms(kinds: dict[str, int], reports: int, draw: random.Random, a_storm: int) -> Iterator[list[Fault]]:
    """Deal the faults to searches, `a_storm` to each, at random moments of it."""
    deck = [kind for kind, count in kinds.items() for _ in range(count)]
    draw.shuffle(deck)
    for start in range(0, len(deck), a_storm):
        dealt = deck[start : start + a_storm]
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
    with (
        (folder / "cluster.err").open("ab") as errors,
        subprocess.Popen(
            [sys.executable, "-c", NODES],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
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
    told = (storm.site.folder / "cluster.err").read_text(errors="replace")[-500:]
    assert nodes.stdout.readline(), f"the test's own cluster ended: {told}"
    if fault.kind == "drain":
        storm.wait_for_words("its node is about to go", WARNING_S)
        for raylet in raylets:
            with suppress(psutil.NoSuchProcess):
                raylet.kill()


def deals(options: argparse.Namespace, reports: int) -> list[tuple[str, list[Fault]]]:
    """Return where each search runs, and what it meets."""
    draw = random.Random(options.seed)  # noqa: S311
    dealt: list[tuple[str, list[Fault]]] = []
    for where, kinds in WHERE.items():
        chosen = {
            k: options.each or n * options.times
            for k, n in kinds.items()
            if options.kinds is None or k in options.kinds
        }
        dealt += [(where, faults) for faults in storms(chosen, reports, draw, options.a_storm)]
    return dealt


def searched(
    site: Site, number: int, where: str, faults: list[Fault], undisturbed: Path
) -> tuple[Storm, str]:
    """Run one search through its faults; return it, and what was lost, in words."""
    storm = Storm(site, f"small/{number:02d}", TRIALS)
    try:
        if where == "mirrored":
            with s3_server() as storm.s3:
                storm.run(faults)
                # What is compared is what the mirror alone has.
                shutil.rmtree(storm.folder)
                settle(storm.folder, Store(storm.uri), lambda _: None)
        elif where == "guided":
            storm.options = (*TRIALS, *GUIDED_OPTIONS)
            storm.run(faults)
            assert_kept_its_promises(storm, undisturbed)
            assert_no_orphans()
            return storm, ""
        elif where == "operated":
            storm.options = (*TRIALS, *(GUIDED_OPTIONS if number % 2 else ()))
            operator = Operator(storm)
            storm.run(faults, around=operator)
            operator.assert_kept_its_promises(undisturbed)
            return storm, ""
        elif where == "local":
            storm.run(faults)
        elif where == "network":
            with Networked(site.environment(), os.getpid() % 200).up() as network:
                storm.options = (*TRIALS, "--address", network.address)
                storm.run(faults, around=partial(network.inject, storm))
        else:
            with cluster(site.folder, site.environment()) as (address, nodes):
                storm.options = (*TRIALS, "--address", address)
                storm.run(faults, around=partial(replace_node, storm, nodes))
        assert_nothing_lost(storm.folder, undisturbed)
        assert_no_orphans()
    except AssertionError as error:
        return storm, " ".join(str(error).split())[:2000] or "assertion"
    return storm, ""


def rows_of(number: int, where: str, faults: list[Fault], storm: Storm, lost: str) -> Iterator[list[object]]:
    """Yield a search's lines of faults.csv."""
    for position, fault in enumerate(faults):
        hit = fault in storm.injected
        took = round(storm.recovered_s[position], 1) if position < len(storm.recovered_s) else ""
        about = [number, where, fault.kind, fault.after_reports, fault.delay_s]
        yield [*about, int(hit), took, int(bool(lost) and hit), storm.shared_bytes]


def recorded(path: Path) -> list[dict[str, str]]:
    """Return what faults.csv has; it is created if there is none."""
    if not path.exists():
        path.write_text(",".join(HEAD) + "\n", encoding="utf-8")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", metavar="KIND", help="kinds of faults; all without it")
    parser.add_argument("--where", nargs="*", choices=WHERE, default=[*WHERE], help="searches of which kinds")
    parser.add_argument(
        "--each", type=int, metavar="N", help="faults of each kind; as many as befit it without it"
    )
    parser.add_argument("--times", type=int, default=1, metavar="N", help="so many times as many as befit it")
    parser.add_argument(
        "--a-storm", type=int, default=A_STORM, metavar="N", help=f"faults of a search; default: {A_STORM}"
    )
    parser.add_argument("--searches", type=int, nargs="*", help="numbers of the searches to run, once more")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="no search is begun after that")
    options = parser.parse_args()
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # what is mounted is unmounted, what runs is ended
    options.out.mkdir(parents=True, exist_ok=True)
    table, begun = options.out / "faults.csv", time.monotonic()

    def say(line: str) -> None:
        print(line, flush=True)
        with (options.out / "chaos.log").open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")

    place = Path(tempfile.mkdtemp(prefix="chaos"))
    try:
        site = make_site(place)
        undisturbed = Storm(site, "undisturbed", TRIALS)
        undisturbed.run([])
        reports = n_reports(undisturbed.folder)
        say(f"{' '.join(sys.argv)}: {reports} reports without faults, load {os.getloadavg()[0]:.0f}")
        shared_before = {path.name for path in Path("/dev/shm").iterdir()}  # noqa: S108
        before = recorded(table)
        done = {int(row["search"]) for row in before} if options.searches is None else set()
        with small_disk(place / "small"):
            for number, (where, faults) in enumerate(deals(options, reports)):
                picked = where in options.where if options.searches is None else number in options.searches
                if not picked or number in done or time.monotonic() - begun > options.minutes * 60:
                    continue
                if where == "network" and why_not():
                    say(f"{number} network: skipped, {why_not()}")
                    continue
                started = time.monotonic()
                storm, lost = searched(site, number, where, faults, undisturbed.folder)
                with table.open("a", newline="", encoding="utf-8") as file:
                    rows = list(rows_of(number, where, faults, storm, lost))
                    csv.writer(file, lineterminator="\n").writerows(rows)
                kinds = " ".join(fault.kind for fault in faults)
                load = f"load {os.getloadavg()[0]:.0f}"
                say(f"{number} {where} {kinds}: {lost or 'nothing lost'}")
                say(f"   {time.monotonic() - started:.0f} s, {load}, shared {storm.shared_bytes >> 10} KiB")
                if lost and storm.output.exists():  # a network that did not come up had no search
                    shutil.copy(storm.output, options.out / f"lost-{number}-{int(time.time())}.out")
                shutil.rmtree(storm.folder, ignore_errors=True)
        left = {path.name for path in Path("/dev/shm").iterdir()} - shared_before  # noqa: S108
        say(f"left in /dev/shm: {sorted(left) or 'nothing'}")
    finally:
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(ray_folder(), ignore_errors=True)
    told(recorded(table))


def told(rows: list[dict[str, str]]) -> None:
    """Print the record's table."""
    injected: Counter[tuple[str, str]] = Counter()
    lost: Counter[tuple[str, str]] = Counter()
    took: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        kind = row["kind"], row["where"]
        injected[kind] += int(row["injected"])
        lost[kind] += int(row["lost"])
        if row["injected"] == "1" and row["next_report_s"]:
            took.setdefault(kind, []).append(float(row["next_report_s"]))
    print(
        "| fault | where | injected | lost | next report after, median s |\n| --- | --- | --- | --- | --- |"
    )
    for kind in injected:
        middle = f"{statistics.median(took[kind]):.1f}" if kind in took else ""
        print(f"| {kind[0]} | {kind[1]} | {injected[kind]} | {lost[kind]} | {middle} |")
    print(f"| all | | {injected.total()} | {lost.total()} | |")


if __name__ == "__main__":
    main()
