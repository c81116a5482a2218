"""Three hosts out of one machine: each with its own network, processes, disk, /dev/shm and sshd.

A host is a network namespace on a bridge and, inside it, private mount, PID, UTS and IPC namespaces. The PID namespace
is what keeps `ray stop`, which ends every Ray that it can see, away from everything else on the machine. A host's disk
is a file system of its own, which has its /root and /tmp and outlives the host's processes; the others do not see it,
and of the machine's folders they see what is installed there. So they share nothing that anybody writes.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

from tests import HANGS_AFTER_S

NETWORK = "10.77.31"
PREFIX = "drh"
NEEDED = ("ip", "sshd", "ssh-keygen", "rsync", "unshare")
INSIDE = ("unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--mount-proc", "--kill-child")

# Folders under /root and /tmp that Python itself lives in stay visible there.
INIT = """
mount --make-rprivate /
mount -t tmpfs -o size=1g tmpfs /dev/shm
for kept in {kept}; do
  case $kept in
    /root/*) mkdir -p {disk}/$kept && mount --bind $kept {disk}/$kept;;
    /tmp/*) mkdir -p {disk}/$kept && mount --bind $kept {disk}/$kept;;
  esac
done
mount --rbind {disk}/root /root
mount --rbind {disk}/tmp /tmp
mount -t tmpfs tmpfs {base}
mount -t tmpfs tmpfs /var/tmp
hostname {name}
exec {sshd} -D -e -f /dev/null -h /root/hostkey -o PermitRootLogin=prohibit-password -o StrictModes=no \
  -o UsePAM=no -o MaxStartups=100 -o MaxSessions=100 -o PidFile=none
"""

# What the cluster file's setup finds already there: an installer that has nothing to do, and the package's Python. Ray
# looks more often than by itself (after 5 s for workers to start, after a minute for a host that is gone).
PROFILE = """
export PYTHONPATH=$HOME/distrecvae OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore
export RAY_health_check_period_ms=500 RAY_health_check_timeout_ms=2000 RAY_health_check_failure_threshold=3
export AUTOSCALER_UPDATE_INTERVAL_S=1
"""


@cache
def why_not() -> str:
    """Return what this machine lacks for it, in words; nothing if nothing."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [name for name in NEEDED if _find(name) is None]
    if missing:
        return f"needs {', '.join(missing)} (Debian: openssh-server iproute2 rsync)"
    if importlib.util.find_spec("aiohttp_cors") is None:
        return "needs Ray's dashboard (pip install '.[cluster]')"
    probe = f"{PREFIX}probe"
    tried = [
        ["ip", "netns", "add", probe],
        ["ip", "link", "add", f"{probe}b", "type", "bridge"],
        ["ip", "link", "add", f"{probe}h", "type", "veth", "peer", "name", "eth0", "netns", probe],
        [*INSIDE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
    ]
    try:
        for command in tried:
            if subprocess.run(command, capture_output=True, check=False).returncode:
                return f"needs a machine that allows `{' '.join(command)}`"
    finally:
        for thing in (["link", "del", f"{probe}h"], ["link", "del", f"{probe}b"], ["netns", "del", probe]):
            subprocess.run(["ip", *thing], capture_output=True, check=False)
    return ""


class Hosts:
    """The hosts 0, 1, ... at 10.77.31.10, .11, ...; the machine itself is 10.77.31.1.

    Args:
        base: an empty folder that is neither in /tmp nor in /root; the hosts see nothing of it.
        count: how many.
    """

    def __init__(self, base: Path, count: int) -> None:
        self.base, self.count = base, count
        self.key = base / "key"
        self._hosts: dict[int, subprocess.Popen[bytes]] = {}

    def address(self, number: int) -> str:
        return f"{NETWORK}.{10 + number}"

    def up(self) -> None:
        """Start all of them; return when their sshd answer."""
        Path("/run/sshd").mkdir(exist_ok=True)
        for key in (self.key, self.base / "hostkey"):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        _run("ip", "link", "add", f"{PREFIX}br", "type", "bridge")
        _run("ip", "addr", "add", f"{NETWORK}.1/24", "dev", f"{PREFIX}br")
        _run("ip", "link", "set", f"{PREFIX}br", "up")
        for number in range(self.count):
            self._wire(number)
            self._format(number)
            self._start(number)
        for number in range(self.count):
            self._answers(number)

    def disk(self, number: int) -> Path:
        """Return where the machine sees a host's disk, whose `root` is the host's /root."""
        return self.base / f"disk{number}"

    def fail(self, number: int) -> None:
        """Let a host lose its power; its disk stays."""
        host = self._hosts.pop(number)
        host.kill()  # unshare's --kill-child: process 1 of the host goes with it, and with that all others
        host.wait()

    def restart(self, number: int) -> None:
        """Start a host that failed; return when its sshd answers."""
        self._start(number)
        self._answers(number)

    def mend(self, number: int) -> None:
        """Put a host that was cut off back on the network."""
        _run("ip", "link", "set", f"{PREFIX}{number}h", "up")

    def ssh(self, number: int, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command on a host as `ray up` does: in an interactive login shell."""
        options = [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "ConnectTimeout=3",
            "LogLevel=ERROR",
        ]
        words = [part for option in options for part in ("-o", option)]
        where = f"root@{self.address(number)}"
        return subprocess.run(
            ["ssh", "-i", str(self.key), *words, where, "bash", "--login", "-c", f"'{command}'"],
            capture_output=True,
            text=True,
            check=False,
        )

    def cut(self, number: int) -> None:
        """Take a host off the network; its processes continue."""
        _run("ip", "link", "set", f"{PREFIX}{number}h", "down")

    def received_bytes(self, number: int) -> int:
        """Return what the host has received over the network."""
        return int(Path(f"/sys/class/net/{PREFIX}{number}h/statistics/tx_bytes").read_text(encoding="ascii"))

    def down(self) -> None:
        """End every process of every host and take the network down."""
        for number in list(self._hosts):
            self.fail(number)
        for number in range(self.count):
            subprocess.run(["umount", "-l", str(self.disk(number))], capture_output=True, check=False)
            for thing in (["link", "del", f"{PREFIX}{number}h"], ["netns", "del", f"{PREFIX}{number}"]):
                subprocess.run(["ip", *thing], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", f"{PREFIX}br"], capture_output=True, check=False)
        shutil.rmtree(self.base, ignore_errors=True)

    def _answers(self, number: int) -> None:
        deadline = time.monotonic() + HANGS_AFTER_S
        while self.ssh(number, "true").returncode:
            assert time.monotonic() < deadline, f"host {number} does not answer"
            time.sleep(0.1)

    def _wire(self, number: int) -> None:
        name = f"{PREFIX}{number}"
        _run("ip", "netns", "add", name)
        _run("ip", "link", "add", f"{name}h", "type", "veth", "peer", "name", "eth0", "netns", name)
        _run("ip", "link", "set", f"{name}h", "master", f"{PREFIX}br", "up")
        _run("ip", "-n", name, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _run("ip", "-n", name, "link", "set", device, "up")
        _run("ip", "-n", name, "route", "add", "default", "via", f"{NETWORK}.1")

    def _format(self, number: int) -> None:
        disk = self.disk(number)
        disk.mkdir()
        _run("mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", str(disk))
        home = disk / "root"
        for folder in (disk / "tmp", home / ".ssh", home / ".local/bin"):
            folder.mkdir(parents=True)
        shutil.copy(self.key.with_suffix(".pub"), home / ".ssh/authorized_keys")
        (home / ".bashrc").write_text(PROFILE, encoding="utf-8")
        (home / ".bash_profile").write_text(". ~/.bashrc\n", encoding="utf-8")
        (home / ".local/bin/uv").write_text("#!/bin/sh\n", encoding="utf-8")
        (home / ".local/bin/uv").chmod(0o755)
        (home / "distrecvae-venv").symlink_to(sys.prefix)
        shutil.copy(self.base / "hostkey", home)

    def _start(self, number: int) -> None:
        name = f"{PREFIX}{number}"
        script = INIT.format(
            kept=" ".join({sys.prefix, sys.base_prefix}),
            disk=self.disk(number),
            name=name,
            base=self.base,
            sshd=_find("sshd"),
        )
        command = ["ip", "netns", "exec", name, *INSIDE, "bash", "-e", "-c", script]
        with (self.base / f"host{number}.log").open("ab") as log:
            self._hosts[number] = subprocess.Popen(command, stdout=log, stderr=log)


def listens(port: int) -> bool:
    """Tell whether something on this machine listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _find(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
