"""The cable in user space: what goes over it arrives, late as it is told to, and not at all where it is cut."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests import HANGS_AFTER_S
from tests.cluster.line import Line
from tests.faults.network import why_not

HERE, THERE, PORT = "10.78.250.1", "10.78.250.2", 9
ECHO = f"""
import socket
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.bind(("{THERE}", {PORT}))
while True:
    echo.sendto(*echo.recvfrom(99))
"""
LOST_S = 0.5
"""How long an answer is waited for that is not to come: on a loaded machine it may only be late, never there."""

pytestmark = pytest.mark.skipif(bool(missing := why_not()), reason=missing)


@pytest.fixture
def line() -> Iterator[Line]:
    name = f"drt{os.getpid() % 10000}"
    subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)
    made = Line(name, name)
    inside = ["ip", "netns", "exec", name]
    try:
        for command in (
            ["ip", "addr", "add", f"{HERE}/30", "dev", name],
            ["ip", "link", "set", name, "up"],
            [*inside, "ip", "addr", "add", f"{THERE}/30", "dev", "eth0"],
            [*inside, "ip", "link", "set", "eth0", "up"],
        ):
            subprocess.run(command, check=True, capture_output=True)
        with subprocess.Popen([*inside, sys.executable, "-c", ECHO]) as echo:
            try:
                answer_s(HANGS_AFTER_S)
                yield made
            finally:
                echo.kill()
    finally:
        made.close()
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def answer_s(patience_s: float) -> float | None:
    """Return how long the echo took; None where none came. It is asked again and again: it may not be there yet."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(LOST_S)
            begun = time.monotonic()
            try:
                asking.sendto(b"are you there", (THERE, PORT))
                asking.recv(99)
            except OSError:
                time.sleep(0.05)
                continue
            return time.monotonic() - begun
    return None


def test_frames_are_delayed_cut_and_go_again(line: Line) -> None:
    line.delay_s = 0.1
    slow = answer_s(HANGS_AFTER_S)
    assert slow is not None
    assert slow >= 2 * 0.1, "there and back"
    for way in ("there", "here"):
        line.cut = frozenset({way})
        assert answer_s(2 * LOST_S) is None
    line.mend()
    assert answer_s(HANGS_AFTER_S) is not None
    line.loss = 1.0
    assert answer_s(2 * LOST_S) is None
