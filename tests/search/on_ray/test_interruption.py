"""How a search is stopped from outside: by signals and by a Ray that is gone, also where the main thread is deaf."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from distrecvae.search.on_ray import interruption
from distrecvae.search.on_ray.interruption import Endpoint, Interruption, Sign, StopSearch
from distrecvae.search.on_ray.tuning import vital_parts
from distrecvae.search.planning.resources import Cluster
from distrecvae.signals import INTERRUPTED
from tests import HANGS_AFTER_S, ROOT

# Locking a mutex twice: no signal handler of Python's runs in there, as in a call into a Ray that is gone. Tests that
# are run under nohup hand on that SIGHUP is ignored.
STUCK = """
import ctypes, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from distrecvae.search.on_ray import interruption
interruption.GRACE_S = 0.5
stop = interruption.Interruption()
stop.last_words = lambda: print("last words:", stop.reason)
with stop.listening(()):
    print("ready", flush=True)
    mutex, c = ctypes.create_string_buffer(64), ctypes.CDLL(None)
    for _ in range(2):
        c.pthread_mutex_lock(mutex)
"""
# What is ended by its deadline is ended without a word: here it ends what hangs, and measures nothing.
PATIENT = f"""
import time
from distrecvae.search.on_ray import interruption
interruption.GRACE_S = {HANGS_AFTER_S}
"""
LOOPING = f"""{PATIENT}
stop = interruption.Interruption()
try:
    with stop.listening(()):
        print("ready", flush=True)
        while True:
            time.sleep(0.01)
            CHECK
except interruption.StopSearch:
    print("stopped:", stop.reason)
except KeyboardInterrupt:
    print("at once")
stop.over()
"""

# The search's first signal was heard, and nothing can be raised where the second one comes.
NOTHING_CAN_BE_RAISED = f"""{PATIENT}
import os, signal, sys

def second(*_):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)

class Left:
    __del__ = DESTRUCTOR

sys.unraisablehook = HOOK
stop = interruption.Interruption()
try:
    with stop.listening(()):
        print("ready", flush=True)
        os.kill(os.getpid(), signal.SIGINT)
        left = Left()
        del left
        time.sleep({2 * HANGS_AFTER_S})
    print("not heard")
except KeyboardInterrupt:
    print("at once")
stop.over()
"""


def started(code: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return its exit status, and what it wrote; what hangs is ended."""
    try:
        out, err = process.communicate(timeout=HANGS_AFTER_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_process_that_hangs_is_ended_after_its_last_words(number: signal.Signals) -> None:
    process = started(STUCK)
    process.send_signal(number)
    returncode, out, err = ended(process)
    assert (returncode, out) == (INTERRUPTED, f"last words: interrupted by {number.name}\n"), err


def test_the_first_signal_asks() -> None:
    process = started(LOOPING.replace("CHECK", "stop.check()"))
    process.send_signal(signal.SIGTERM)
    returncode, out, err = ended(process)
    assert (returncode, out) == (0, "stopped: interrupted by SIGTERM\n"), err
    assert err == "\nstopping; a second signal stops at once\n"


def test_the_second_signal_does_not_ask() -> None:
    process = started(LOOPING.replace("CHECK", "pass"))
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    returncode, out, err = ended(process)
    assert (returncode, out) == (0, "at once\n"), err


@pytest.mark.parametrize(
    ("destructor", "hook"),
    [
        # A storm's second Ctrl-C came while Ray's placement groups were removed in a destructor: it was printed there
        # as a traceback, and forgotten.
        ("second", "sys.unraisablehook"),
        # Whoever is told of an error in a destructor is called where nothing can be raised, too.
        ("lambda self: 1 / 0", "second"),
    ],
    ids=["in a destructor", "in the hook"],
)
def test_a_second_signal_is_heard_though_nothing_can_be_raised_where_it_comes(
    destructor: str, hook: str
) -> None:
    process = started(NOTHING_CAN_BE_RAISED.replace("DESTRUCTOR", destructor).replace("HOOK", hook))
    returncode, out, err = ended(process)
    assert (returncode, out) == (0, "at once\n"), err
    assert err == "\nstopping; a second signal stops at once\n"


def test_what_is_sent_just_before_a_call_that_waits_is_sent_again() -> None:
    # In CI what was sent came between the destructor's end and the sleep, and was noticed when that returned.
    lost_once = """
sent, send = [], signal.pthread_kill
def lost_once(*to):
    sent.append(to)
    if len(sent) > 1:
        send(*to)
signal.pthread_kill = lost_once
stop ="""
    code = NOTHING_CAN_BE_RAISED.replace("DESTRUCTOR", "second").replace("HOOK", "sys.unraisablehook")
    returncode, out, err = ended(started(code.replace("\nstop =", lost_once)))
    assert (returncode, out) == (0, "at once\n"), err


def test_a_process_that_is_not_the_searchs_own_is_interrupted_and_lives() -> None:
    # A notebook, whose search waits in a call that never returns: the kernel and its variables stay.
    code = LOOPING.replace("CHECK", "pass").replace("Interruption()", "Interruption(ends_process=False)")
    code = code.replace("stop =", "interruption.GRACE_S = 0.2\nstop =") + "print('lives')\n"
    process = started(code.replace("stop.over()", "stop.over()\nstop.goes_on = ''"))
    process.send_signal(signal.SIGINT)
    returncode, out, err = ended(process)
    assert (returncode, out) == (0, "at once\nlives\n"), err
    assert "interrupted by SIGINT, and Ray does not answer" in err


def test_who_ignores_a_hangup_goes_on() -> None:
    # That is what nohup arranges.
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    process = started(ignoring + LOOPING.replace("CHECK", "stop.check()"))
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    returncode, out, err = ended(process)
    assert (returncode, out) == (0, "stopped: interrupted by SIGINT\n"), err


def listening_to(
    part: Endpoint, during: Callable[[Interruption], object], monkeypatch: pytest.MonkeyPatch
) -> Interruption:
    """Watch a part of Ray until the search must end; `during` is called once it is watched."""
    # What it ends after its grace is this process.
    monkeypatch.setattr(interruption, "LOST_GRACE_S", HANGS_AFTER_S)
    stop = Interruption()
    with stop.listening([part]):
        during(stop)
        deadline = time.monotonic() + HANGS_AFTER_S
        while stop.reason is None and time.monotonic() < deadline:
            time.sleep(0.02)
        with pytest.raises(StopSearch):
            stop.check()
    stop.over()
    return stop


def test_a_part_of_ray_that_is_gone_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        part = Endpoint("Ray's head", "127.0.0.1", server.getsockname()[1], patience_s=0.0)
        stop = listening_to(part, lambda _: server.close(), monkeypatch)
    assert stop.reason == f"Ray's head (127.0.0.1:{part.port}) is gone"
    assert stop.lost


def test_a_part_of_ray_that_takes_connections_and_says_nothing_ends_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A process that is stopped: the kernel continues taking its connections, and the search hung for ever.
    monkeypatch.setattr(interruption, "STALLED_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        part = Endpoint("Ray's head", "127.0.0.1", server.getsockname()[1], patience_s=3600.0)
        assert part.look() is Sign.SILENT
        stop = listening_to(part, lambda stop: stop.check(), monkeypatch)
    assert stop.reason == f"Ray's head (127.0.0.1:{part.port}) takes connections and does not answer"
    assert stop.lost


def shows(part: Endpoint, sign: Sign) -> None:
    """Wait until a look says so: on a busy machine what is awake may need more than a look's second to answer."""
    deadline = time.monotonic() + HANGS_AFTER_S
    while (seen := part.look()) is not sign:
        assert time.monotonic() < deadline, f"{part.name} {seen.value}"


@pytest.mark.ray
def test_the_parts_of_a_living_ray_answer(cluster: Cluster) -> None:
    assert cluster.cpus
    head, node = vital_parts()
    process = [p for p in psutil.Process().children() if "raylet" in p.name()][-1]
    shows(head, Sign.ANSWERS)
    shows(node, Sign.ANSWERS)
    process.suspend()
    try:
        shows(node, Sign.SILENT)  # its threads stop one by one
        shows(head, Sign.ANSWERS)
    finally:
        process.resume()
    shows(node, Sign.ANSWERS)


def test_nothing_stays_of_an_interruption_that_did_not_come() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    stop = Interruption()
    with stop.listening(()):
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert signal.set_wakeup_fd(-1) == -1
    assert stop.reason is None
