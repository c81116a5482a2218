"""Command lines that a search shows can be pasted: what was typed, and what resumes it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from distrecvae.search.commands import BLEND_IT, command_line, model_commands, python_call, resume_command


@pytest.mark.parametrize(
    ("program", "start"),
    [
        ("/usr/lib/distrecvae/search/__main__.py", "python -m distrecvae.search"),
        ("/usr/lib/distrecvae/__main__.py", "python -m distrecvae"),
        ("/usr/bin/distrecvae", "distrecvae"),
    ],
)
def test_the_command_line_can_be_pasted(program: str, start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # `python -m distrecvae compare` once told its user to type `python -m distrecvae.search compare`.
    monkeypatch.setattr(sys, "argv", [program, "--out", "my runs"])
    assert command_line() == f"{start} --out 'my runs'"


@pytest.mark.parametrize(
    ("typed", "goes_on"),
    [
        ("distrecvae search", "distrecvae search --resume --out runs/a"),
        ("distrecvae search --name=a --resume", "distrecvae search --name=a --resume"),
        ("distrecvae search --extend runs/a --trials 9", "distrecvae search --extend runs/a --trials 9"),
    ],
)
def test_what_goes_on_is_said_as_it_was_typed(typed: str, goes_on: str) -> None:
    assert resume_command(typed, Path("runs/a")) == goes_on


def test_a_call_goes_on_as_it_is() -> None:
    call = python_call("search", extend=Path("runs/it's mine"), trials=3)
    assert call == """import distrecvae; distrecvae.search(extend="runs/it's mine", trials=3)"""
    assert resume_command(call, Path("runs/a")) == call
    compile(call, "call", "exec")


def test_a_folder_with_a_space_in_its_name_goes_on_by_what_is_shown() -> None:
    # `--out runs/my search` once named another folder, and an argument that nobody knows.
    shown = resume_command("distrecvae search", Path("runs/my search"))
    assert shlex.split(shown) == ["distrecvae", "search", "--resume", "--out", "runs/my search"]


def test_a_model_is_scored_and_trained_again_in_the_way_that_its_search_was_begun() -> None:
    folder = Path("runs/it's mine")
    typed = model_commands("distrecvae search --data 'my data'", folder, "my data")
    assert shlex.split(typed["score it again"]) == [
        "distrecvae", "evaluate", "--model", f"{folder}/best", "--data", "my data",
    ]  # fmt: skip
    assert shlex.split(typed["train it again"])[-4:] == [
        "--config", f"{folder}/best/config.json", "--out", f"{folder}-train",
    ]  # fmt: skip
    assert shlex.split(typed[BLEND_IT]) == ["distrecvae", "blend", str(folder), "--data", "my data"]
    called = model_commands(python_call("search", extend=folder), folder, "my data")
    assert list(called) == list(typed)
    for call, wanted in zip(called.values(), ("evaluate", "train", "blend"), strict=True):
        compile(call, "call", "exec")
        assert f"distrecvae.{wanted}(" in call


def test_a_model_at_a_uri_is_trained_again_and_blended_where_that_can_be_done() -> None:
    # `train --out s3://...` and `blend s3://...` were shown, and are refused.
    uri, here = "s3://bucket/runs/mine", Path("cache/mine-1a2b")
    typed = model_commands("distrecvae search --data d", uri, "d", here)
    assert shlex.split(typed["score it again"])[2:4] == ["--model", f"{uri}/best"]
    assert shlex.split(typed["train it again"])[-4:] == [
        "--config",
        f"{uri}/best/config.json",
        "--out",
        "runs/mine-train",
    ]
    assert shlex.split(typed[BLEND_IT]) == ["distrecvae", "blend", str(here), "--data", "d"]
