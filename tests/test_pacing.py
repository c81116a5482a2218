"""Calls are passed on no more often than they are worth."""

from __future__ import annotations

import pytest

from distrecvae.pacing import Remaining, Seldom, before_batch, heard_between_batches


def test_a_call_is_passed_on_when_it_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("distrecvae.pacing.time.monotonic", lambda: clock[0])
    heard: list[tuple[int, str]] = []
    seldom = Seldom(lambda number, *, word: heard.append((number, word)), every_s=2.0)
    for step in range(8):
        clock[0] = 100.0 + 0.75 * step  # 100, 100.75, ..., 105.25
        seldom(step, word="x")
    assert heard == [(3, "x"), (6, "x")], "2 s after it was made, and 2 s after that"


def test_a_call_is_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("distrecvae.pacing.time.monotonic", lambda: clock[0])
    heard: list[float] = []
    seldom = Seldom(heard.append, every_s=2.0)
    clock[0] = 101.5
    seldom.put_off()
    clock[0] = 103.0
    seldom(1.0)
    clock[0] = 103.5
    seldom(2.0)
    assert heard == [2.0]


def test_batches_are_heard_by_whoever_listens_and_by_nobody_else() -> None:
    heard: list[tuple[int, int]] = []
    before_batch(0, 3)
    with heard_between_batches(lambda number, of: heard.append((number, of))):
        before_batch(1, 3)
        with pytest.raises(ZeroDivisionError), heard_between_batches(lambda number, _: 1 // number):
            before_batch(0, 9)
        before_batch(2, 3)
    before_batch(0, 3)
    assert heard == [(1, 3), (2, 3)]


def test_what_is_left_goes_by_the_pace_of_the_latter_half(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("distrecvae.pacing.time.monotonic", lambda: clock[0])
    remaining = Remaining()
    assert remaining.after(0.1) is None, "one share is no pace"
    assert remaining.after(0.2) is None, "in no time at all neither"
    clock[0] = 110.0
    assert remaining.after(0.3) == pytest.approx(7 * 10.0), "10 s a tenth"
    for tenths in (4, 5):  # a neighbour came: 40 s a tenth
        clock[0] += 40.0
        left = remaining.after(tenths / 10)
    assert left == pytest.approx(5 * 40.0)
    assert remaining.after(0.05) is None, "another stage begins"
    clock[0] += 1.0
    assert remaining.after(0.25) == pytest.approx(0.75 / 0.2)
    clock[0] += 1.0
    assert remaining.after(1.0) == 0.0
