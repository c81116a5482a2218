"""Requests left in an object store reach the folder, once, and answers go back; they are no part of the mirror."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from distrecvae.storage.post import LARGEST_BYTES, Post
from distrecvae.storage.working_copy import files_of, is_hidden
from tests import HANGS_AFTER_S
from tests.s3 import S3, error

URI = "s3://bucket/runs/mine"
AT = "runs/mine/requests/"


def until(happens: Callable[[], bool]) -> None:
    ends = time.monotonic() + HANGS_AFTER_S
    while not happens():
        assert time.monotonic() < ends
        time.sleep(0.01)


def leave(s3: S3, name: str, text: bytes = b"{}") -> None:
    from distrecvae.storage.store import Store

    Store(f"{URI}/requests").put(name, text)


def test_a_request_comes_and_its_answer_goes_back(s3: S3, tmp_path: Path) -> None:
    leave(s3, "1-2-a.json", b'{"action": "go"}')
    here = tmp_path / "requests"
    with Post(tmp_path, URI, every_s=0.05):
        until(lambda: (here / "1-2-a.json").exists())
        assert (here / "1-2-a.json").read_bytes() == b'{"action": "go"}'
        until(lambda: not s3.objects())
        (here / "1-2-a.json").unlink()
        (here / "1-2-a.answer.json").write_text("done")
        (here / "9-9-z.answer.json").write_text("of somebody who asked here")
        until(lambda: f"{AT}1-2-a.answer.json" in s3.objects())
    assert list(s3.objects().values()) == [b"done"]
    assert [path.name for path in here.iterdir()] == ["9-9-z.answer.json"]


def test_the_last_answer_is_put_when_the_search_is_over(s3: S3, tmp_path: Path) -> None:
    leave(s3, "1-2-a.json")
    with Post(tmp_path, URI, every_s=0.05):
        until(lambda: (tmp_path / "requests" / "1-2-a.json").exists())
        (tmp_path / "requests" / "1-2-a.answer.json").write_text("it ends")
    assert s3.objects() == {f"{AT}1-2-a.answer.json": b"it ends"}


def test_a_store_that_fails_is_looked_at_again(s3: S3, tmp_path: Path) -> None:
    leave(s3, "1-2-a.json")
    s3.answer = (403, error("AccessDenied"))
    with Post(tmp_path, URI, every_s=0.05):
        until(lambda: len(s3.asked) > 3)
        assert not (tmp_path / "requests").exists()
        s3.answer = None
        until(lambda: (tmp_path / "requests" / "1-2-a.json").exists())


def test_what_is_no_request_is_left_alone_and_what_is_too_long_is_answered(s3: S3, tmp_path: Path) -> None:
    leave(s3, "notes.txt")
    leave(s3, "a b.json")
    leave(s3, "1-2-a.json", b"x" * (LARGEST_BYTES + 1))
    with Post(tmp_path, URI, every_s=0.05):
        until(lambda: f"{AT}1-2-a.answer.json" in s3.objects())
        until(lambda: f"{AT}1-2-a.json" not in s3.objects())
    assert b"too long" in s3.objects()[f"{AT}1-2-a.answer.json"]
    assert {f"{AT}notes.txt", f"{AT}a b.json"} < set(s3.objects())
    assert not (tmp_path / "requests").exists()


def test_requests_are_no_results(tmp_path: Path) -> None:
    # The mirror would remove those that were left at the URI, since they are not in the folder.
    for name in ("requests/1.json", "search.json", "trials/requests/a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert set(files_of(tmp_path)) == {"search.json", "trials/requests/a"}
    assert is_hidden("requests/1.json")
    assert not is_hidden("trials/requests/a")
