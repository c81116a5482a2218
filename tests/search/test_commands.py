"""Command lines that a search shows can be pasted: what was typed, and what goes on with it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from distrecvae.search.commands import command_line, python_call, resume_command


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
