"""Calls are passed on no more often than they are worth."""

from __future__ import annotations

import pytest

from distrecvae.pacing import Seldom


def test_a_call_is_passed_on_when_it_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("distrecvae.pacing.time.monotonic", lambda: clock[0])
    heard: list[tuple[int, str]] = []
    seldom = Seldom(lambda number, *, word: heard.append((number, word)), every_s=2.0)
    for step in range(8):
        clock[0] = 100.0 + 0.75 * step  # 100, 100.75, ..., 105.25
        seldom(step, word="x")
    assert heard == [(3, "x"), (6, "x")], "2 s after it was made, and 2 s after that"
