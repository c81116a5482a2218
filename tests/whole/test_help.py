"""`--help` is read in terminals of 80 columns, before anything heavy is imported."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from distrecvae.cli import COMMANDS, cli


@pytest.mark.parametrize("name", COMMANDS)
def test_every_commands_help_fits_80_columns_and_shows_how_it_is_typed(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    text = command.get_help(click.Context(command, info_name=name, terminal_width=80))
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert f"distrecvae {name}" in text or f"python -m distrecvae.{name}" in text


def test_the_list_of_commands_fits_80_columns_and_imports_none_of_them() -> None:
    code = (
        "import atexit, sys; from distrecvae.cli import main;"
        "atexit.register(lambda: print({'ray', 'torch', 'optuna'} & set(sys.modules))); main(['--help'])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "80", "PATH": ""},
    ).stdout
    *page, imported = shown.splitlines()
    assert imported == "set()"
    assert [line for line in page if len(line) > 80] == []
    assert all(any(line.split()[:1] == [name] for line in page) for name in COMMANDS)
