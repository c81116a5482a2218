"""A search at a URI is steered and seen through its object store: moto's, on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import distrecvae
from distrecvae.errors import ConfigError, ResultsError, StorageError
from distrecvae.search.core.requests import Request
from distrecvae.search.folder.live import Live, write_live
from distrecvae.search.folder.mailbox import Answer
from distrecvae.search.folder.search_json import read_description, write_description
from distrecvae.search.living import afar
from distrecvae.search.living.steer import steer
from distrecvae.search.living.top import standing
from distrecvae.storage.post import Post
from distrecvae.storage.writer import Writer
from tests.s3 import S3, s3_server
from tests.search.living.test_steer import NARROW, STOP, answered

URI = "s3://bucket/runs/mine"


@pytest.fixture
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


def test_a_running_search_answers_and_is_seen(s3: S3, under_way: Path) -> None:
    write_live(under_way, Live(elapsed_s=80.0, to_go=(300.0, 600.0, 900.0), doing={"2": "saving"}))
    Writer(under_way, URI).put_changes()
    with (
        answered(under_way, Answer(done=True, text="stopped trial 3")) as asked,
        Post(under_way, URI, every_s=0.05),
    ):
        assert distrecvae.steer(URI, "stop", 3) == "stopped trial 3"
        assert asked == [STOP]
    assert not [name for name in s3.objects() if "/requests/" in name], "nothing is left of it"
    shown = standing(URI)
    assert shown.runs
    assert str(shown).startswith(f"{URI}  recvae on my data: running for 1 min 2")
    assert "of 12 trials ended" in str(shown)
    assert "min" in shown.to_go()
    with (
        answered(under_way, Answer(done=False, text="there is no trial 3")),
        Post(under_way, URI, every_s=0.05),
        pytest.raises(ConfigError, match="stop 3: there is no trial 3"),
    ):
        steer(URI, STOP)


def test_one_that_does_not_answer_keeps_the_request_until_it_goes_on(s3: S3, under_way: Path) -> None:
    Writer(under_way, URI).put_changes()
    with pytest.raises(ResultsError, match=f"{URI} has not answered within 0.1 s"):
        steer(URI, STOP, patience_s=0.1)
    (name,) = [key.rpartition("/")[2].removesuffix(".json") for key in s3.objects() if "/requests/" in key]
    with (
        answered(under_way, Answer(done=True, text="stopped trial 3")) as asked,
        Post(under_way, URI, every_s=0.05),
    ):
        answer = afar.wait(URI, name, 60.0)
    assert asked == [STOP]
    assert answer == Answer(done=True, text="stopped trial 3")


def test_one_that_is_over_is_not_waited_for(s3: S3, under_way: Path) -> None:
    write_description(under_way, replace(read_description(under_way), status="finished"))
    Writer(under_way, URI).put_changes()
    assert not standing(URI).runs
    with pytest.raises(
        ResultsError, match=rf"{URI} is over, .* distrecvae search --extend {URI} --trials 50$"
    ):
        steer(URI, Request(action="trials", number=50))
    assert "taken up when it is resumed" in steer(URI, NARROW)
    assert len([name for name in s3.objects() if "/requests/" in name]) == 1


def test_what_is_no_search_is_refused(s3: S3) -> None:
    with pytest.raises(StorageError, match="holds nothing"):
        steer(URI, NARROW)
    assert s3.objects() == {}
