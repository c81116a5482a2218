"""What a process is at is known to its other threads, and is what it was before once a block is left."""

from __future__ import annotations

from threading import Thread

import pytest

from distrecvae.activity import EVALUATING, TRAINING, activity, at


def test_the_innermost_block_says_it_and_other_threads_hear_it() -> None:
    heard: list[str] = []
    assert activity() == ""
    with at(TRAINING):
        with at(EVALUATING):
            thread = Thread(target=lambda: heard.append(activity()))
            thread.start()
            thread.join()
        assert activity() == TRAINING
    assert heard == [EVALUATING]
    assert activity() == ""


def test_an_error_leaves_nothing_behind() -> None:
    with pytest.raises(ValueError, match="no"), at(TRAINING):
        raise ValueError("no")
    assert activity() == ""
