"""An option for a place takes a folder or a URI, and the URI stays as it was typed."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from distrecvae.cli import main
from distrecvae.cli.parts.places import PLACE, out_option, working_copy_option


@pytest.mark.parametrize(("typed", "place"), [("s3://bucket/x", "s3://bucket/x"), ("a//b", Path("a/b"))])
def test_a_uri_stays_text_and_a_path_becomes_one(typed: str, place: Path | str) -> None:
    # As a path, s3://bucket would have lost a slash.
    assert PLACE.convert(typed, None, None) == place


def test_the_options_of_results() -> None:
    @click.command()
    @out_option(help="Results.")
    @working_copy_option
    def command(out: Path | str | None, working_copy: Path | None) -> None:
        click.echo(f"{out!r} {working_copy!r}")

    done = CliRunner().invoke(command, ["--out", "s3://bucket/x", "--working-copy", "here"])
    assert done.output == f"'s3://bucket/x' {Path('here')!r}\n"
    assert CliRunner().invoke(command, []).output == "None None\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", "ftp://host/x"], "ftp://host/x is of ftp://, which is not one of s3://, gs://"),
        (["--out", "s3://bucket"], "s3://bucket names no folder"),
        (["--out", "s3://bucket/x", "--name", "y"], "only one of them can say where results go"),
        (["--out", "x", "--working-copy", "y"], "--working-copy y without a URI in --out"),
        (["--extend", "file:///nowhere/at/all"], "holds no search"),
    ],
)
def test_a_place_that_is_none_is_one_line(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["search", "--data", "data", *options])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
