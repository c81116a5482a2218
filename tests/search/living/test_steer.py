"""What is asked of a search that runs is answered; of one that does not, kept or refused with what to type."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from distrecvae.errors import ConfigError, ResultsError
from distrecvae.files import exclusive
from distrecvae.search.core.requests import Request
from distrecvae.search.folder.mailbox import Answer, Mailbox
from distrecvae.search.living.steer import steer
from tests import HANGS_AFTER_S

STOP, NARROW = Request(action="stop", trials=[3]), Request(action="narrow", ranges={"dropout": [0.1, 0.2]})


@contextmanager
def answered(folder: Path, answer: Answer) -> Iterator[list[Request | str]]:
    """A search that answers everything with `answer`, and what it was asked."""
    over, asked = threading.Event(), list[Request | str]()

    def run() -> None:
        box = Mailbox(folder)
        while not over.wait(0.01):
            for name, request in box.waiting():
                asked.append(request)
                box.answer(name, answer)

    thread = threading.Thread(target=run)
    with exclusive(folder):
        thread.start()
        try:
            yield asked
        finally:
            over.set()
            thread.join()


def test_a_running_search_answers(under_way: Path) -> None:
    with answered(under_way, Answer(done=True, text="stopped trial 3")) as asked:
        assert steer(under_way, STOP) == "stopped trial 3"
        assert asked == [STOP]
    assert list((under_way / "requests").iterdir()) == [], "nothing is left of it"


def test_what_cannot_be_done_is_an_error_that_says_why(under_way: Path) -> None:
    with (
        answered(under_way, Answer(done=False, text="there is no trial 3; 2 trials were begun")),
        pytest.raises(ConfigError, match=r"^stop 3: there is no trial 3; 2 trials were begun$"),
    ):
        steer(under_way, STOP)


def test_one_that_does_not_answer_is_said_so_and_keeps_the_request(under_way: Path) -> None:
    said = r"has not answered within 0.1 s; 'stop 3' is taken up"
    with exclusive(under_way), pytest.raises(ResultsError, match=said):
        steer(under_way, STOP, patience_s=0.1)
    assert len(Mailbox(under_way).names) == 1


def test_one_that_ends_meanwhile_is_not_waited_for(under_way: Path) -> None:
    # Sent in a search's last second a request waited for a minute, and "pause" would have paused whoever resumed it.
    for request in (Request(action="pause"), NARROW):
        with ExitStack() as running:
            running.enter_context(exclusive(under_way))
            ends = threading.Timer(0.2, running.close)
            ends.start()
            if request is NARROW:
                assert "taken up when it is resumed" in steer(under_way, request, patience_s=HANGS_AFTER_S)
            else:
                with pytest.raises(ResultsError, match=r"does not run, so nothing receives 'pause'"):
                    steer(under_way, request, patience_s=HANGS_AFTER_S)
            ends.join()
    ((_, kept),) = Mailbox(under_way).waiting()
    assert kept == NARROW


def test_an_answer_that_came_with_the_end_counts(under_way: Path) -> None:
    box = Mailbox(under_way)

    def ended() -> bool:
        box.answer(name, Answer(done=True, text="stopped trial 3"))
        return False

    name = box.send(STOP)
    assert box.wait(name, HANGS_AFTER_S, ended) == Answer(done=True, text="stopped trial 3")


def test_one_that_does_not_run_is_not_waited_for(under_way: Path, over: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"does not run, so nothing receives 'stop 3'; .* --extend"):
        steer(under_way, STOP)
    shutil.copytree(over, tmp_path / "mine")
    with pytest.raises(ResultsError, match=r"is over, .* distrecvae search --extend .*mine --trials 50$"):
        steer(tmp_path / "mine", Request(action="trials", number=50))
    assert "taken up when it is resumed" in steer(tmp_path / "mine", NARROW)
    ((_, kept),) = Mailbox(tmp_path / "mine").waiting()
    assert kept == NARROW


def test_what_is_no_search_is_refused_and_nothing_is_made_in_it(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="holds no search"):
        steer(tmp_path, NARROW)
    assert list(tmp_path.iterdir()) == []
