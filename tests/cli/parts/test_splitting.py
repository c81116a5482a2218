"""The options that say how a table is split, as typed: each split, and a line for what cannot be."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from distrecvae.cli import main
from distrecvae.cli.parts.splitting import splitting_options
from distrecvae.data.io import read_protocol
from tests.data.splitting.ratings import ratings


def typed(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "ratings.csv"
    ratings().to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("told", "recorded", "said"),
    [
        ("--held-out-by time", {"held_out_by": "time"}, "96 train, 12 validation, 12 test\n"),
        ("--split leave-last", {"split": "leave-last"}, "120 train, 120 validation, 120 test (a user may be"),
        (
            "--split leave-last --leave 3",
            {"split": "leave-last", "leave": 3},
            "too few items to leave some, trained on only",
        ),
        ("--split global-time", {"split": "global-time"}, "moments    validation from 2016-"),
        (
            "--split global-time --valid-from 2016-01-01 --test-from 2016-06-01",
            {"split": "global-time", "valid_from": "2016-01-01", "test_from": "2016-06-01"},
            "moments    validation from 2016-01-01 00:00:00 (1451606400) on, test from 2016-06-01 00:00:00",
        ),
    ],
)
def test_each_split_is_written_and_said(
    told: str,
    recorded: dict[str, object],
    said: str,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert typed("prepare", source, "--out", tmp_path / "data", *told.split()) == 0
    assert said in capsys.readouterr().out
    options = read_protocol(tmp_path / "data")["options"]
    assert {name: value for name, value in options.items() if name in recorded} == recorded


def test_folds_are_folders_and_the_first_is_searched(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("prepare", source, "--out", tmp_path / "five", "--folds", 5) == 0
    assert f"--data {tmp_path / 'five' / 'fold-1'}" in capsys.readouterr().out
    assert [read_protocol(tmp_path / "five" / f"fold-{n}")["n_users"]["test"] for n in (1, 5)] == [22, 21]
    assert typed("evaluate", "--model", tmp_path, "--data", tmp_path / "five") == 2


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("--split leave-last --leave 20", "lower --leave"),
        ("--split leave-last --held-out-users 5", "--held-out-users 5 has no effect with --split leave-last"),
        ("--leave 2", "--leave 2 has no effect with --split users"),
        ("--split global-time --valid-from 1990-01-01", "so that users are left on both sides"),
        ("--split global-time --test-from soon", "--test-from 'soon' is not a moment"),
        ("--split global-time --timestamp-column rated", "no column 'rated'"),
        ("--split global-time --timestamp-column movieId", "both item and timestamp"),
        ("--folds 200", "are not enough for 200 folds"),
    ],
)
def test_what_cannot_be_gets_one_line(
    told: str, said: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("prepare", source, "--out", tmp_path / "data", *told.split()) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len([line for line in err.splitlines() if not line.startswith(("reading", "splitting"))]) == 1
    assert list(tmp_path.iterdir()) == []


def test_times_that_are_none_get_one_line_where_they_are_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ratings()
    rows.drop(columns="timestamp").to_csv(tmp_path / "none.csv", index=False)
    rows.assign(timestamp="last week").to_csv(tmp_path / "bad.csv", index=False)
    rows.assign(timestamp=rows["timestamp"].where(rows.index != 7)).to_csv(tmp_path / "gap.csv", index=False)
    for name, said in (
        ("none", "--held-out-by time needs to know when, and the source has no column of times"),
        ("bad", "column 'timestamp' has time 'last week' in line 2"),
        ("gap", "the time is empty or NaN in 1 of"),
    ):
        source = tmp_path / f"{name}.csv"
        assert typed("prepare", source, "--out", tmp_path / "no", "--held-out-by", "time") == 2
        assert said in capsys.readouterr().err
        assert typed("prepare", source, "--out", tmp_path / name) == 0
    assert not (tmp_path / "no").exists()


def test_the_options_keep_their_order() -> None:
    @click.command()
    @splitting_options
    def command(**_: object) -> None:
        pass

    assert [option.name for option in command.params][:2] == ["preset", "min_rating"]
    assert command.params[-1].name == "seed"
