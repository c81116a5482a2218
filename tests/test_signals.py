"""Signals are heard for as long as a block lasts; nohup's wish that SIGHUP be ignored is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType

import pytest

from distrecvae.signals import INTERRUPTED, STOPPING, Handler, handled, to_hear, unchanged
from tests import ROOT


@pytest.fixture(autouse=True)
def as_a_terminal_starts_us() -> Iterator[None]:
    """Let signals have their usual effect, and put back whatever a test changed.

    The tests may run under nohup, or in a shell's background, which has SIGINT ignored, as have all its children.
    """
    before = {number: signal.getsignal(number) for number in STOPPING}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, old in before.items():
        signal.signal(number, old)


class Ear:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def __call__(self, number: int, _: FrameType | None) -> None:
        self.heard.append(number)


def tell_ourselves(number: int) -> None:
    # A signal to one's own process, in its main thread, is handled before kill returns to Python code.
    os.kill(os.getpid(), number)


def test_what_stops_a_process_is_ctrl_c_a_batch_systems_word_and_a_closed_terminal() -> None:
    assert set(STOPPING) == {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    assert to_hear() == list(STOPPING)


def test_an_ignored_hangup_is_not_heard_and_the_rest_is() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert to_hear() == [signal.SIGINT, signal.SIGTERM]


def test_another_signal_that_is_ignored_is_heard_all_the_same() -> None:
    # A shell starts what runs in its background with SIGINT ignored; `kill -INT` shall still end it in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert to_hear() == list(STOPPING)


def test_a_hangup_that_somebody_handles_is_heard() -> None:
    signal.signal(signal.SIGHUP, Ear())
    assert signal.SIGHUP in to_hear()


@pytest.mark.parametrize("number", STOPPING)
def test_the_handler_hears_within_the_block_and_the_one_before_after_it(number: signal.Signals) -> None:
    outer, inner = Ear(), Ear()
    signal.signal(number, outer)
    with handled(inner, [number]):
        tell_ourselves(number)
        tell_ourselves(number)
        assert inner.heard == [number, number]
    tell_ourselves(number)
    assert (outer.heard, inner.heard) == ([number], [number, number])


def test_all_are_as_they_were_each_by_itself() -> None:
    outer = Ear()
    before: dict[signal.Signals, Handler | signal.Handlers] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: outer,
        signal.SIGHUP: signal.SIG_IGN,
    }
    for number, handler in before.items():
        signal.signal(number, handler)
    with handled(Ear(), iter(STOPPING)):
        pass
    assert {number: signal.getsignal(number) for number in before} == before


def test_the_handlers_come_back_when_the_block_fails() -> None:
    outer = Ear()
    signal.signal(signal.SIGTERM, outer)
    with pytest.raises(ValueError, match="no"), handled(Ear(), [signal.SIGTERM]):
        raise ValueError("no")
    assert signal.getsignal(signal.SIGTERM) is outer


def test_a_handler_may_end_the_block() -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    outer = Ear()
    signal.signal(signal.SIGTERM, outer)
    with pytest.raises(KeyboardInterrupt), handled(stop, [signal.SIGTERM]):
        tell_ourselves(signal.SIGTERM)
    tell_ourselves(signal.SIGTERM)
    assert outer.heard == [signal.SIGTERM]


def test_blocks_may_lie_in_each_other() -> None:
    first, second = Ear(), Ear()
    with handled(first, STOPPING):
        with handled(second, [signal.SIGTERM]):
            tell_ourselves(signal.SIGTERM)
            tell_ourselves(signal.SIGHUP)
        tell_ourselves(signal.SIGTERM)
    assert (first.heard, second.heard) == ([signal.SIGHUP, signal.SIGTERM], [signal.SIGTERM])


def test_what_is_not_named_keeps_its_handler() -> None:
    outer = Ear()
    signal.signal(signal.SIGTERM, outer)
    with handled(Ear(), [signal.SIGHUP]):
        tell_ourselves(signal.SIGTERM)
    with handled(Ear(), []):
        tell_ourselves(signal.SIGTERM)
    assert outer.heard == [signal.SIGTERM] * 2


def test_only_the_main_thread_may() -> None:
    refused: list[ValueError] = []

    def elsewhere() -> None:
        try:
            with handled(Ear(), STOPPING):
                pytest.fail("it may not")
        except ValueError as error:
            refused.append(error)

    outer = Ear()
    signal.signal(signal.SIGINT, outer)
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(refused) == 1
    assert signal.getsignal(signal.SIGINT) is outer


HUNG_UP = """
import os, signal
from distrecvae.signals import handled, to_hear, unchanged
heard = []
with handled(lambda number, frame: heard.append(number), to_hear()):
    os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGTERM)
print(heard == [signal.SIGTERM], signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)
"""


def test_under_nohup_a_closed_terminal_goes_unheard_and_the_process_lives_on() -> None:
    done = subprocess.run(
        ["nohup", sys.executable, "-c", HUNG_UP],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True True\n"


def test_an_interrupted_commands_status_is_a_shells() -> None:
    done = subprocess.run(["sh", "-c", "sh -c 'kill -INT $$'; exit $?"], check=False)
    assert done.returncode == INTERRUPTED


def test_whatever_a_block_does_to_a_handler_is_undone_at_its_end() -> None:
    first, second = Ear(), Ear()
    with handled(first, [signal.SIGTERM]):
        with suppress(RuntimeError), unchanged(signal.SIGTERM):
            signal.signal(signal.SIGTERM, second)
            raise RuntimeError
        tell_ourselves(signal.SIGTERM)
    assert (first.heard, second.heard) == ([signal.SIGTERM], [])


def test_a_thread_that_may_not_set_handlers_leaves_them_to_the_main_one() -> None:
    ended = []

    def elsewhere() -> None:
        with unchanged(signal.SIGTERM):
            pass
        ended.append(True)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert ended == [True]
