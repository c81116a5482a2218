"""The options that say how a file is read, as typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.cli import main
from distrecvae.cli.parts.reading import reading_options
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


def test_what_became_of_a_user_and_an_item_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{user},{item},{1 + item % 5}" for user in range(40) for item in range(12)]
    (tmp_path / "a.csv").write_text("user,item,rating\n" + "\n".join(rows) + "\n")
    source = [tmp_path / "a.csv", "--min-rating", 2, "--held-out-users", 5]
    assert typed("prepare", *source, "--explain", "user=7", "--explain", "item=3") == 0
    out = capsys.readouterr().out
    assert (
        "user '7': 12 rows in the source, the first in line 86\n  dropped    6 rows with a rating not above 2"
        in out
    )
    assert (
        "item '3': 40 rows in the source, the first in line 5\n  kept       item 1; its users: 30 training"
        in out
    )
    assert list(tmp_path.iterdir()) == [tmp_path / "a.csv"]
    for wrong, said in (("user=99", "no row has the user id '99'"), ("99", "write --explain user=ID")):
        assert typed("prepare", *source, "--explain", wrong, "--out", tmp_path / "no") == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_names_of_columns_and_files_do_nothing_to_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a\x1b[31m.csv").write_text("wh\x1b[2Jo,item\n1,2\n")
    assert typed("prepare", tmp_path / "a\x1b[31m.csv", "--out", tmp_path / "data") == 2
    rows = "".join(f"{user},{item},3\n" for user in range(40) for item in range(12))
    (tmp_path / "b\x1b[31m.csv").write_text("user,item\x07,rat\x1b[2J\n".replace("item\x07", "item") + rows)
    columns = ["--rating-column", "rat\x1b[2J"]
    assert typed("prepare", tmp_path / "b\x1b[31m.csv", "--out", tmp_path / "data", *columns) == 0
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert "\\x1b[2J" in out + err
