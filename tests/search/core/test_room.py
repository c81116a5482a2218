"""Fewer trials at once each time that memory runs out; only one that dies alone, again and again, is given up."""

from __future__ import annotations

from distrecvae.search.core.room import PAUSES_S, WAITS, Room, Verdict


def test_the_first_time_changes_nothing_however_many_it_cost() -> None:
    room = Room(4)
    assert [room.ran_out(number, 4, 0.0) for number in range(3)] == [Verdict.AGAIN] * 3
    assert room.at_once == 4
    assert not room.shrunk
    assert room.open_at(0.0)


def test_the_second_time_as_many_go_on_as_survived() -> None:
    room = Room(8)
    room.ran_out(0, 8, 0.0)
    room.began()
    assert room.ran_out(1, 8, 0.0) is Verdict.FEWER
    assert room.at_once == 7
    assert room.ran_out(2, 7, 0.0) is Verdict.FEWER, "the same time cost another one"
    assert room.at_once == 6
    assert room.shrunk


def test_where_nothing_survived_half_of_it_may_run() -> None:
    room = Room(8)
    room.ran_out(0, 8, 0.0)
    room.began()
    for number in range(8):
        room.ran_out(number, 8 - number, 0.0)
    assert room.at_once == 4


def test_a_trial_that_dies_before_it_has_a_worker_is_another_time() -> None:
    # Where memory is short workers die while they start; no trial begins in between.
    room = Room(2)
    assert room.ran_out(0, 2, 0.0) is Verdict.AGAIN
    assert room.ran_out(1, 2, 0.0) is Verdict.AGAIN
    assert room.ran_out(0, 2, 0.0) is Verdict.FEWER
    assert room.at_once == 1


def test_a_trial_that_dies_alone_waits_and_is_given_up_in_the_end() -> None:
    room, now = Room(1), 100.0
    for pause in PAUSES_S:
        assert room.ran_out(5, 1, now) is Verdict.ALONE
        assert not room.open_at(now + 0.9 * pause)
        now += pause
        assert room.open_at(now)
        room.began()
    assert room.ran_out(5, 1, now) is Verdict.FAILED
    assert room.ran_out(6, 1, now) is Verdict.ALONE, "another trial has its own chances"


def test_deaths_alone_are_counted_at_one_place() -> None:
    room = Room(1)
    for _ in range(3 * len(PAUSES_S)):
        assert room.ran_out(5, 1, 0.0) is Verdict.ALONE
        room.began()
        room.advanced(5)


def deaths_alone_of(room: Room, number: int) -> int:
    """Let memory run out under a trial until it is given up."""
    for times in range(1, 1000):
        if room.ran_out(number, 1, 0.0) is Verdict.FAILED:
            assert room.deaths_alone(number) == times
            return times
        room.began()
    raise AssertionError("it is never given up")


def test_where_one_trial_after_the_other_dies_alone_it_is_not_their_size() -> None:
    # Somebody else's program holds the memory: at four deaths each a night's trials would fail within minutes.
    room, few = Room(1), len(PAUSES_S) + 1
    assert deaths_alone_of(room, 5) == few
    assert deaths_alone_of(room, 6) == few + WAITS
    room.advanced(7)
    assert deaths_alone_of(room, 8) == few, "there was room for another one in between"
