"""A command or a server is told what happened, on loopback; whatever it does, the search does not wait for it."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from distrecvae.errors import ConfigError
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.watchers import notify
from distrecvae.search.watchers.notify import (
    BEST,
    END,
    MOST_WAITING,
    TROUBLE,
    Notice,
    Notifier,
    make_notifier,
    resolved,
)
from tests import HANGS_AFTER_S
from tests.search.test_summary import record

CONFIG = SearchConfig(trials=9, max_passes=20, min_passes=4)


class Records(Ledger):
    """A ledger of given trials that is not on disk."""

    def __init__(self, *records: TrialRecord) -> None:
        self.records = {record.number: record for record in records}


class Server:
    """Answers on loopback with `status`, once `open` is set, and keeps what it was sent."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.status, self.open = 200, threading.Event()
        self.open.set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.got.append(json.loads(body))
                server.open.wait(HANGS_AFTER_S)
                try:
                    self.send_response(server.status)
                    self.end_headers()
                except BrokenPipeError:
                    pass

            def log_message(self, *arguments: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/hook?token=secret"

    def wait_for(self, n: int) -> None:
        wait(lambda: len(self.got) >= n)


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.open.set()
        server.http.shutdown()
        thread.join()
        server.http.server_close()


def wait(met: Callable[[], bool]) -> None:
    until = time.monotonic() + HANGS_AFTER_S
    while not met():
        assert time.monotonic() < until
        time.sleep(0.01)


def made(target: str, *records: TrialRecord, said: list[str] | None = None) -> Notifier:
    heard = [] if said is None else said
    return Notifier(
        target, folder=Path("runs/mine"), config=CONFIG, ledger=Records(*records), tell=heard.append
    )


def test_a_server_is_told_of_a_new_best_of_trouble_and_of_the_end() -> None:
    first, second = record(0, 0.2), record(1, 0.4, 0.5)
    bad = record(2, status=Status.FAILED, reason='no "memory"\nleft')
    with serving() as server:
        told = made(server.url, first)
        told.reported(first)  # it led when the search went on: nothing new
        told._ledger.records[1] = second
        told.reported(second)
        told.reported(second)  # it still leads
        told.ended(first)
        told.ended(bad)
        told.over(END, "Searched recvae for 3 s.")
        assert [each["event"] for each in server.got] == [BEST, TROUBLE, END]
    best, trouble, end = server.got
    assert best["text"] == "mine: trial 1 leads with validation NDCG@100 0.5000 at 8 passes"
    assert (best["trial"], best["score"], best["metric"], best["model"]) == (1, 0.5, "ndcg_100", "recvae")
    assert best["folder"] == str(Path("runs/mine").resolve())
    assert trouble["text"] == 'mine: trial 2 failed: no "memory" left'
    assert (trouble["status"], trouble["score"]) == ("failed", None)
    assert end["text"] == "mine: Searched recvae for 3 s."
    assert end["trial"] == 1


def test_before_the_first_rung_nobody_is_told_who_leads() -> None:
    early = record(1, 0.9)
    early.reports[-1]["passes"] = 3
    with serving() as server:
        told = made(server.url)
        told._ledger.records[1] = early
        told.reported(early)
        told.over(END, "over")
        assert [each["event"] for each in server.got] == [END]


def test_a_server_that_hangs_holds_nobody_up_and_the_oldest_news_goes_first() -> None:
    with serving() as server:
        server.open.clear()
        told = made(server.url)
        failed = [record(n, status=Status.FAILED, reason="x") for n in range(MOST_WAITING + 5)]
        told.ended(failed[0])
        server.wait_for(1)
        for each in failed[1:]:
            told.ended(each)  # returns, though the first is not answered yet
        assert len(server.got) == 1
        server.open.set()
        server.wait_for(1 + MOST_WAITING)
        told.over(END, "over")
        numbers = [each.get("trial") for each in server.got[:-1]]
        assert numbers == [0, *range(5, MOST_WAITING + 5)]


def test_the_end_waits_for_a_hanging_server_only_for_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "LAST_PATIENCE_S", 0.2)
    with serving() as server:
        server.open.clear()
        made(server.url).over(END, "over")  # it came back, and the server has not answered
        assert not server.open.is_set()


def test_a_server_that_refuses_is_said_once_without_its_address_and_told_again() -> None:
    said: list[str] = []
    bad = record(0, status=Status.FAILED, reason="x")
    with serving() as server:
        server.status = 500
        told = made(server.url, said=said)
        told.ended(bad)
        told.over(END, "over")
        assert len(said) == 1
        assert said[0].startswith("--notify failed (HTTPError: ")
        assert said[0].endswith("; the search continues")
        assert "secret" not in said[0]
        server.status = 200
        told.over(END, "over")
        server.status = 404
        told.over(END, "over")
        assert len(said) == 2, "it had worked in between"
        assert len(server.got) == 4


def test_a_server_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server:
        url = server.url
    said: list[str] = []
    made(url, said=said).over(END, "over")
    assert len(said) == 1
    assert "refused" in said[0]


def shell_words(*words: str) -> str:
    import shlex

    return shlex.join(words)


PRINTS = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"


def test_a_command_finds_the_facts_in_its_environment_and_no_shell_sees_them(tmp_path: Path) -> None:
    reason = f"$(touch {tmp_path}/a); `touch {tmp_path}/b` && touch {tmp_path}/c\x1b[2J\x00"
    bad = record(3, 0.25, status=Status.FAILED, reason=reason)
    command = shell_words(sys.executable, "-c", PRINTS, str(tmp_path / "my file; touch d"))
    told = made(command)
    told.ended(bad)
    told.over(END, "over")
    seen = json.loads((tmp_path / "my file; touch d").read_text(encoding="utf-8"))
    assert seen["DISTRECVAE_EVENT"] == END
    told.ended(bad)
    wait(
        lambda: (
            json.loads((tmp_path / "my file; touch d").read_text() or "{}").get("DISTRECVAE_EVENT") == TROUBLE
        )
    )
    seen = json.loads((tmp_path / "my file; touch d").read_text(encoding="utf-8"))
    assert seen["DISTRECVAE_TRIAL"] == "3"
    assert "DISTRECVAE_SCORE" not in seen, "a failed trial has none"
    assert seen["DISTRECVAE_REASON"] == reason.replace("\x1b", "\\x1b").replace("\x00", "\\x00")
    assert seen["PATH"] == os.environ["PATH"]
    assert [path.name for path in tmp_path.iterdir()] == ["my file; touch d"], "nothing of it was run"


def test_a_command_that_fails_or_hangs_is_said_and_its_children_are_ended_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    made("false", said=said).over(END, "over")
    assert said == ["--notify failed (RuntimeError: the command's exit status is 1); the search continues"]
    monkeypatch.setattr(notify, "PATIENCE_S", 0.5)
    child = tmp_path / "child"
    made(f"sh -c 'sleep 1000 & echo $! > {child}.part; mv {child}.part {child}; wait'", said=said).over(
        END, "over"
    )
    assert "TimeoutError: the command was ended after 0.5 s" in said[1]
    number = int(child.read_text(encoding="utf-8"))
    wait(lambda: not running(number))


def running(number: int) -> bool:
    try:
        return (
            "Z" not in Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        )
    except FileNotFoundError:
        return False


def test_a_search_that_ends_with_it_does_not_wait_for_its_thread() -> None:
    # A thread that is no daemon would keep the process: here nothing ever takes it from the queue again.
    told = made("true")
    told.over(END, "over")
    assert told._thread is not None
    assert told._thread.daemon


def test_what_it_names_is_looked_up_in_the_environment_and_must_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOOK", "https://example.org/secret")
    assert resolved("env:HOOK") == "https://example.org/secret"
    monkeypatch.delenv("HOOK")
    with pytest.raises(ConfigError, match="the environment has no HOOK; set it"):
        resolved("env:HOOK")
    with pytest.raises(ConfigError, match="there is no command 'no-such-program' here; give its path"):
        resolved("no-such-program --now")
    assert resolved("true") == "true"
    monkeypatch.setenv("HOOK", "'")
    with pytest.raises(ConfigError, match="check its quotes"):
        resolved("env:HOOK")


@pytest.mark.parametrize("value", ["", "  ", "it's", "ftp://host/x", "file:///etc/passwd", 7])
def test_what_can_be_no_command_and_no_address_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="notify="):
        SearchConfig(notify=value)


def test_nobody_is_told_where_nobody_is_named(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"folder": tmp_path, "ledger": Records(), "tell": print}
    assert make_notifier(CONFIG, **arguments) is None
    assert isinstance(make_notifier(SearchConfig(notify="true"), **arguments), Notifier)


def test_a_notice_is_json_and_environment_alike() -> None:
    notice = Notice(END, "over", {"folder": "/x", "score": None, "trial": 3})
    assert json.loads(notice.as_json()) == {
        "event": END,
        "text": "over",
        "folder": "/x",
        "score": None,
        "trial": 3,
    }
    assert notice.as_environment() == {
        "DISTRECVAE_EVENT": END, "DISTRECVAE_TEXT": "over", "DISTRECVAE_FOLDER": "/x", "DISTRECVAE_TRIAL": "3"
    }  # fmt: skip
