"""docs/published.md: every command on the page is one that the package takes, every number has a source."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from distrecvae.cli import cli
from distrecvae.papers.numbers import PAPERS
from distrecvae.runs.configuration import read_config
from distrecvae.search.space.space import SearchSpace
from distrecvae.training.registry import config_class, models
from tests import ROOT

PAGE = ROOT / "docs" / "published.md"
TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```bash\n(.*?)```", TEXT, flags=re.DOTALL) for line in block.splitlines()
]


def parsed(line: str) -> tuple[str, dict[str, Any]]:
    """Return the command's name and its parsed options; click refuses what it does not know."""
    program, name, *arguments = shlex.split(line)
    assert program == "distrecvae"
    command = cli.get_command(click.Context(cli), name)
    assert command is not None, f"there is no command {name}"
    return name, command.make_context(name, arguments).params


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_taken_and_its_settings_fit_the_model(line: str) -> None:
    name, options = parsed(line)
    prepared = {parsed(other)[1]["out"] for other in COMMANDS if other.startswith("distrecvae prepare")}
    if name == "prepare":
        assert options["preset"]
        return
    assert Path(options["data"]) in prepared
    assert options["out"]
    if name == "published":
        assert options["paper"] in PAPERS
    elif name == "train":
        read_config(options["model"], options["config_source"], options["words"])
    else:
        assert name == "search"
        config_class(options["model"])
        assert SearchSpace.load(options["space"] or options["model"]).model == options["model"]


@pytest.mark.parametrize(
    "line", ["distrecvae train --modle ease --out a", "distrecvae prepare a.csv --preset ml-21m --out b"]
)
def test_what_the_package_does_not_take_would_be_noticed(line: str) -> None:
    with pytest.raises(click.UsageError):
        parsed(line)


def test_results_do_not_share_a_folder() -> None:
    folders = [parsed(line)[1]["out"] for line in COMMANDS]
    assert len(set(folders)) == len(folders)


def rows(heading: str) -> list[list[str]]:
    section = TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_number_has_a_source_and_every_source_a_number() -> None:
    sources = set(re.findall(r"^- \[(\w)\]", TEXT, flags=re.MULTILINE))
    body = TEXT.split("## Sources")[0]
    used = {letter for group in re.findall(r"\[(\w(?:, \w)*)\]", body) for letter in group.split(", ")}
    assert used == sources
    for model, *cells in rows("Numbers"):
        for cell in cells:
            value = r"(\.\d{3}|-)"
            assert cell == "-" or re.fullmatch(rf"{value} / {value} / {value} \[\w(, \w)*\]", cell), (
                model,
                cell,
            )


def test_models_in_code_are_the_packages() -> None:
    named = {
        name
        for heading in ("Numbers", "Published settings")
        for row in rows(heading)
        for name in re.findall(r"`(\w+)`", row[0])
    }
    assert {"recvae", "ease"} <= named <= set(models())
