"""The options that say how a file is read, as typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.cli import main
from distrecvae.cli.reading import reading_options
from distrecvae.data.io import read_protocol


def typed(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def amazon(path: Path) -> Path:
    rows = [f"A{user},B{item},{1 + (user + item) % 5},1400146039" for user in range(40) for item in range(12)]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_file_without_a_header_is_seen_and_read_by_positions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--user-column A0` was accepted, and lost the first row."""
    source = amazon(tmp_path / "ratings_Books.csv")
    for told in ([], ["--user-column", "A0", "--item-column", "B0"]):
        assert typed("prepare", source, "--out", tmp_path / "data", *told) == 2
        said = capsys.readouterr().err
        assert "looks like data" in said
        assert "--no-header" in said
    positions = ["--user-column", 1, "--item-column", 2, "--rating-column", 3]
    assert typed("prepare", source, "--out", tmp_path / "data", "--no-header", *positions) == 0
    assert read_protocol(tmp_path / "data")["counts"]["rows"] == 480
    assert "columns    user '1', item '2', rating '3'" in capsys.readouterr().out
    for wrong in (["--user-column", 9], ["--user-column", "A0"], ["--user-column", 0], []):
        assert (
            typed("prepare", source, "--out", tmp_path / "no", "--no-header", "--item-column", 2, *wrong) == 2
        )
        assert "position" in capsys.readouterr().err


def test_what_is_missing_is_told_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{user},{item}" for user in range(40) for item in ["NA", *"abcdefgh"]]
    (tmp_path / "a.csv").write_text("user,item\n" + "\n".join(rows) + "\n")
    assert typed("prepare", tmp_path / "a.csv", "--out", tmp_path / "all") == 0
    out = capsys.readouterr().out
    assert "note       the item id 'NA' is taken as one (40 rows); --missing NA leaves such rows out" in out
    assert read_protocol(tmp_path / "all")["n_items"] == 9
    assert typed("prepare", tmp_path / "a.csv", "--out", tmp_path / "some", "--missing", "NA") == 0
    assert "left out   40 rows" in capsys.readouterr().out
    assert read_protocol(tmp_path / "some")["n_items"] == 8


def test_other_options_of_reading(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"é{user},{item}" for user in range(40) for item in range(10)]
    (tmp_path / "a.csv").write_bytes(("user,item\n" + "\n".join(rows)).encode("latin-1"))
    assert typed("prepare", tmp_path / "a.csv", "--out", tmp_path / "no") == 2
    assert "--encoding" in capsys.readouterr().err
    assert typed("prepare", tmp_path / "a.csv", "--out", tmp_path / "data", "--encoding", "latin-1") == 0
    capsys.readouterr()
    limited = ["--encoding", "latin-1", "--max-rows", 100]
    assert typed("prepare", tmp_path / "a.csv", "--out", tmp_path / "no", *limited) == 2
    assert "has more than 100 rows" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_every_command_that_reads_has_them() -> None:
    import click

    @click.command()
    @reading_options
    def command(**_: object) -> None:
        pass

    assert [option.name for option in command.params][:3] == ["user_column", "item_column", "rating_column"]
