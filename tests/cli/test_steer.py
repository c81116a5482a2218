"""`distrecvae steer`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distrecvae.api.living import request_from
from distrecvae.cli import main
from distrecvae.errors import ConfigError
from distrecvae.search.core.requests import Request
from distrecvae.search.folder.mailbox import Answer
from distrecvae.search.space.space import SearchSpace
from tests.search.living.test_steer import answered
from tests.search.reported import make_search


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    space = SearchSpace.load("recvae-demo")
    make_search(tmp_path / "mine", space=space, trials=3, max_passes=12, status="running")
    return tmp_path / "mine"


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["steer", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_it_prints_the_answer(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with answered(mine, Answer(done=True, text="stopped trials 1, 2")) as asked:
        assert run(str(mine), "stop", "1", "2") == 0
        assert capsys.readouterr().out == "stopped trials 1, 2\n"
        assert asked == [Request(action="stop", trials=[1, 2])]


def test_what_cannot_be_done_or_makes_no_sense_is_one_line(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with answered(mine, Answer(done=False, text="it is paused already")):
        assert run(str(mine), "pause") == 2
        assert capsys.readouterr().err == "error: pause: it is paused already\n"
        assert run(str(mine), "puase") == 2
        assert "did you mean 'pause'" in capsys.readouterr().err
    assert run(str(mine), "stop", "-3") == 2
    assert "from 0 on" in capsys.readouterr().err


def test_a_configurations_file_can_be_added(mine: Path, tmp_path: Path) -> None:
    config = {**SearchSpace.load("recvae-demo").default_config(), "dropout": 0.3}
    (tmp_path / "config.json").write_text(json.dumps({"model": "recvae", "config": config}), encoding="utf-8")
    request = request_from(mine, "add", [str(tmp_path / "config.json")])
    assert request.settings == config
    with pytest.raises(ConfigError, match=r"none\.json"):
        request_from(mine, "add", [str(tmp_path / "none.json")])
