"""`distrecvae blend`: what is typed, what is shown, what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from distrecvae.api import blending
from distrecvae.blending.choice import AUTO, MAX_MEMBERS
from distrecvae.cli import blend as typed
from distrecvae.cli import main
from distrecvae.kernels.comparable import RULES
from distrecvae.search.folder.members import BEST_TRIALS
from tests import ROOT

KEPT = ROOT / "tests" / "kept"


@pytest.fixture(autouse=True)
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(KEPT / "search-2", tmp_path / "mine")
    shutil.copytree(KEPT / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main(["blend", *arguments])
    return ended.value.code


def test_it_says_what_it_made_and_what_to_type_next(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mine", "--data", "data", "--rule", "standardized", "--threads", "1") == 0
    out = capsys.readouterr().out
    assert out.startswith("Blend of ")
    assert (Path("mine/blend/summary.txt")).read_text().rstrip() in out
    assert "distrecvae evaluate --model mine/blend/best --data data" in out
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "--model", "mine/blend/best", "--data", "data", "--threads", "1"])
    assert ended.value.code == 0
    assert "NDCG@100" in capsys.readouterr().out


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nothing", "--data", "data") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: nothing does not exist")
    assert error.count("\n") == 1
    assert run("--data", "data") == 2
    assert "Missing argument 'RUN...'" in capsys.readouterr().err


def test_its_defaults_are_those_that_it_does_not_import() -> None:
    defaults = {option.name: option.default for option in typed.command.params}
    assert defaults["max_members"] == MAX_MEMBERS
    assert defaults["best_trials"] == BEST_TRIALS
    rule = next(option for option in typed.command.params if option.name == "rule")
    assert list(rule.type.choices) == [AUTO, *RULES]  # type: ignore[attr-defined]


def test_limits_reach_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def blend_in(runs: object, data: object, **options: object) -> None:
        asked.update(options, runs=runs)
        raise KeyboardInterrupt

    monkeypatch.setattr(blending, "blend_in", blend_in)
    run("mine", "mine/best", "--data", "data", "--max-bytes", "5000", "--max-latency", "1.5", "--max-members", "2",
        "--metric", "recall_20", "--best-trials", "3", "--out", "there")  # fmt: skip
    wish = asked["wish"]
    assert (wish.limits.max_bytes, wish.limits.max_latency_ms, wish.max_members) == (5000, 1.5, 2)
    assert (wish.metric, wish.rule, asked["best_trials"], asked["out"]) == (
        "recall_20",
        "auto",
        3,
        Path("there"),
    )
    assert asked["runs"] == (Path("mine"), Path("mine/best"))
