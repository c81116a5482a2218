"""A Ray whose nodes have a network each, on cables that can be cut and be slow, under a search that has joined it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests import HANGS_AFTER_S
from tests.cluster.hosts import INSIDE
from tests.cluster.line import TUN, Line
from tests.faults.harness import Fault, Storm, our_processes

RAY = (sys.executable, "-m", "ray.scripts.scripts")
BLIP_S = 2.0
"""How long a cut may last without being noticed."""

LOST = "lost its process or its node"

# Ray gives a silent node up after some 5 s in the place of half a minute. A search joins without a token.
SETTINGS = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "5",
}

# Of a node: an own folder for its session, which Ray believes to be its own wherever it finds one.
NODE = """
mount --make-rprivate /
mount -t tmpfs tmpfs $RAY_TMPDIR
exec {ray} start --address={head}:{port} --node-ip-address={address} --num-cpus=1 --block --disable-usage-stats
"""

# Ends when both nodes have joined.
JOINED = """
import time, ray
ray.init(address="{address}", log_to_driver=False, include_dashboard=False)
while ray.cluster_resources().get("CPU", 0) < 2:
    time.sleep(0.2)
"""


def why_not() -> str:
    """Return what this machine lacks for it, in words; nothing if nothing."""
    if os.geteuid() != 0:
        return "needs root"
    if not TUN.exists():
        return f"needs {TUN}, by which a network cable is made in user space"
    probe = ["ip", "netns", "add", "drlprobe"]
    try:
        if subprocess.run(probe, capture_output=True, check=False).returncode:
            return f"needs a machine that allows `{' '.join(probe)}`"
    except FileNotFoundError:
        return "needs ip (Debian: iproute2)"
    finally:
        subprocess.run(["ip", "netns", "del", "drlprobe"], capture_output=True, check=False)
    return ""


class Networked:
    """A head without CPUs on this machine's side, and two nodes of one CPU, each behind a cable of its own.

    Args:
        environment: of all its processes.
        number: of the network, for two of them at once.
    """

    def __init__(self, environment: dict[str, str], number: int = 0) -> None:
        self._environment = {**environment, **SETTINGS}
        self._name, self._network = f"drl{number}", f"10.77.{32 + number}"
        self._port = 26379 + number
        self._lines: list[Line] = []
        self._nodes: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        return f"{self._network}.1:{self._port}"

    @contextmanager
    def up(self) -> Iterator[Networked]:
        """Have it during the block."""
        bridge = f"{self._name}br"
        _run("ip", "link", "add", bridge, "type", "bridge")
        try:
            _run("ip", "addr", "add", f"{self._network}.1/24", "dev", bridge)
            _run("ip", "link", "set", bridge, "up")
            for number in range(2):
                self._wire(number, bridge)
            head = ["start", "--head", f"--node-ip-address={self._network}.1", f"--port={self._port}"]
            self._ray(*head, "--num-cpus=0", "--include-dashboard=false", "--disable-usage-stats")
            for number in range(2):
                self._nodes.append(self._start(number))
            # A search that began before its nodes were there had its first faults where nothing ran.
            _run(sys.executable, "-c", JOINED.format(address=self.address), environment=self._environment)
            yield self
        finally:
            self._down(bridge)

    def line_of(self, worker: psutil.Process) -> int:
        """Return the number of the node that a worker runs on."""
        inside = Path(f"/proc/{worker.pid}/ns/net").stat().st_ino
        names = [Path("/run/netns", f"{self._name}n{number}") for number in range(2)]
        return [name.stat().st_ino for name in names].index(inside)

    def inject(self, storm: Storm, fault: Fault) -> None:
        """Do to the network what the fault says: `cut`, `half-cut`, `blip` or `delay`."""
        # Slowly: on the other node, or once the cable is mended, the search would be over before the next fault.
        with storm.slow(0.2):
            self._inject(storm, fault)

    def _inject(self, storm: Storm, fault: Fault) -> None:
        workers = storm.workers()
        if not workers:
            return
        number = self.line_of(workers[0])
        line = self._lines[number]
        if fault.kind == "blip":
            line.cut = frozenset({"here", "there"})
            time.sleep(BLIP_S)
            line.mend()
        elif fault.kind == "delay":
            for each in self._lines:
                each.delay_s, each.jitter_s, each.loss = 0.2, 0.1, 0.01
            storm.wait_for_reports(3)
            for each in self._lines:
                each.mend()
        else:
            line.cut = frozenset({"here", "there"} if fault.kind == "cut" else {"here"})
            storm.wait_for_words(LOST, HANGS_AFTER_S)
            line.mend()
            # Ray took it for dead, and takes nothing from it any more: it goes, and another one joins in its place.
            self._end(self._nodes[number])
            self._nodes[number] = self._start(number)

    def _wire(self, number: int, bridge: str) -> None:
        name = f"{self._name}n{number}"
        _run("ip", "netns", "add", name)
        self._lines.append(Line(name, name))
        _run("ip", "link", "set", name, "master", bridge, "up")
        _run("ip", "-n", name, "addr", "add", f"{self._network}.{10 + number}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _run("ip", "-n", name, "link", "set", device, "up")

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        words = {"ray": " ".join(RAY), "head": f"{self._network}.1", "port": self._port}
        script = NODE.format(**words, address=f"{self._network}.{10 + number}")
        command = [*INSIDE, "bash", "-e", "-c", script]
        return subprocess.Popen(
            ["ip", "netns", "exec", f"{self._name}n{number}", *command],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _ray(self, *arguments: str) -> None:
        _run(*RAY, *arguments, environment=self._environment)

    def _end(self, node: subprocess.Popen[bytes]) -> None:
        node.kill()  # unshare's --kill-child: process 1 in there goes with it, and with that all others
        node.wait()

    def _down(self, bridge: str) -> None:
        for node in self._nodes:
            self._end(node)
        for process in our_processes():
            with suppress(psutil.Error):
                process.kill()
        for line in self._lines:
            line.close()
        for number in range(2):
            subprocess.run(["ip", "netns", "del", f"{self._name}n{number}"], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", bridge], capture_output=True, check=False)


def _run(*command: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
