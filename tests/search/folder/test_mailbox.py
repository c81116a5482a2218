"""Requests are small files, taken up in their order and answered; whatever else lies there is answered, not run."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from distrecvae.search.core.requests import Request
from distrecvae.search.folder.mailbox import LARGEST_BYTES, Answer, Mailbox

STOP, PAUSE = Request(action="stop", trials=[3]), Request(action="pause")


def test_what_is_sent_is_taken_up_in_its_order_and_answered(tmp_path: Path) -> None:
    box = Mailbox(tmp_path)
    assert box.names == []
    assert list(tmp_path.iterdir()) == [], "nothing is made by looking"
    names = [box.send(request) for request in (STOP, PAUSE, STOP)]
    assert names == sorted(names) == box.names
    assert list(box.waiting()) == list(zip(names, (STOP, PAUSE, STOP), strict=True))
    box.answer(names[0], Answer(done=True, text="stopped trial 3"))
    assert box.names == names[1:]
    assert box.wait(names[0], 0) == Answer(done=True, text="stopped trial 3")
    assert box.wait(names[0], 0) is None, "an answer is read once"


def test_at_the_end_what_makes_no_sense_any_more_is_answered(tmp_path: Path) -> None:
    box, fix = Mailbox(tmp_path), Request(action="fix", settings={"dropout": 0.1})
    stop, kept = box.send(STOP), box.send(fix)
    (tmp_path / "requests" / "zz.json").write_bytes(b"{")
    box.over()
    assert box.names == [kept]
    for name in (stop, "zz"):
        assert box.wait(name, 0) == Answer(done=False, text="the search is over; --extend resumes it")


def test_whoever_asks_waits_for_the_answer(tmp_path: Path) -> None:
    box = Mailbox(tmp_path)
    name = box.send(PAUSE)

    def answer() -> None:
        while not Mailbox(tmp_path).names:
            time.sleep(0.01)
        Mailbox(tmp_path).answer(name, Answer(done=False, text="it is paused already"))

    thread = threading.Thread(target=answer)
    thread.start()
    assert box.wait(name, 60) == Answer(done=False, text="it is paused already")
    thread.join()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a request"),
        (b"\x80\x04pickle", "not a request"),
        (b"[" * 5000, "not a request"),
        (json.dumps({"action": "stop", "trials": [1], "__class__": "os.system"}).encode(), "not a request"),
        (json.dumps({"action": "stop", "trials": [1e400]}).encode(), "not a request"),
        (b"x" * (LARGEST_BYTES + 1), "is too long; at most 65,536"),
    ],
)
def test_what_is_no_request_is_said_to_be_none(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests" / "1.json").write_bytes(content)
    ((name, found),) = Mailbox(tmp_path).waiting()
    assert name == "1"
    assert isinstance(found, str)
    assert said in found
    assert len(found) < 500


def test_a_pipe_or_a_link_in_the_place_of_a_request_holds_nobody_up(tmp_path: Path) -> None:
    import os

    (tmp_path / "requests").mkdir()
    os.mkfifo(tmp_path / "requests" / "1.json")
    (tmp_path / "requests" / "2.json").symlink_to(tmp_path / "none")
    found = dict(Mailbox(tmp_path).waiting())
    assert all(isinstance(each, str) for each in found.values())
    assert len(found) == 2


def test_files_that_are_being_written_and_answers_are_no_requests(tmp_path: Path) -> None:
    box = Mailbox(tmp_path)
    name = box.send(PAUSE)
    box.answer(name, Answer(done=True, text="x"))
    (tmp_path / "requests" / ".2.json.abc.part").write_text("{}", encoding="utf-8")
    (tmp_path / "requests" / ".3.json").write_text("{}", encoding="utf-8")
    assert box.names == []
    box.clear_answers()
    assert box.wait(name, 0) is None
