"""`distrecvae prepare` as it is typed: what it writes, what it says, and one line for whatever is wrong."""

from __future__ import annotations

import errno
import gzip
import json
import re
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distrecvae.cli import main
from distrecvae.cli import prepare as prepare_module
from distrecvae.data import io
from distrecvae.data.io import load_dataset, read_protocol
from distrecvae.data.presets import PRESETS
from distrecvae.data.synthetic import synthetic_split


def ratings(n_users: int = 40, n_items: int = 30, per_user: int = 10) -> str:
    random = np.random.default_rng(0)
    rows = [
        f"{user},{item},{random.integers(1, 11) / 2}"
        for user in range(n_users)
        for item in random.choice(n_items, size=per_user, replace=False)
    ]
    return "\n".join(["userId,movieId,rating", *rows]) + "\n"


class Shell:
    """Types a command line in an own folder and keeps what came out."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capture = folder, capture

    def __call__(self, line: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["prepare", *shlex.split(line)])
        out, err = self._capture.readouterr()
        return int(ended.value.code or 0), out, err


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ratings.csv").write_text(ratings())
    return Shell(tmp_path, capsys)


def test_from_a_file_to_the_next_command(shell: Shell) -> None:
    status, out, err = shell("ratings.csv --min-rating 2.5 --held-out-users 4 --out 'data/my set'")
    assert status == 0
    assert "reading ratings.csv" in err
    assert "read       400 rows" in out
    assert "rows with rating 2.5 or less" in out
    assert "4 validation, 4 test" in out
    assert "next: python -m distrecvae.search --data 'data/my set'" in out
    protocol = read_protocol("data/my set")
    assert protocol["options"] == {
        "min_rating": 2.5,
        "min_user_interactions": 5,
        "min_item_interactions": 0,
        "held_out_users": 4,
        "held_out_fraction": 0.2,
        "seed": 98765,
    }
    assert protocol["source"]["columns"] == {"user": "userId", "item": "movieId", "rating": "rating"}
    counts = protocol["counts"]
    assert counts["rows"] - counts["below_threshold"] == counts["interactions_before_filters"]
    assert load_dataset("data/my set").valid.n_users == 4


def test_duplicates_are_merged_counted_and_said(shell: Shell) -> None:
    rows = ratings().splitlines(keepends=True)
    (shell.folder / "twice.csv").write_text("".join([*rows, *rows[1:8]]))
    _, out, _ = shell("twice.csv --out twice")
    shell("ratings.csv --out once")
    assert "7 rows that repeat a user and item (merged" in out
    assert read_protocol("twice")["counts"]["duplicates"] == 7
    assert load_dataset("twice").fingerprint == load_dataset("once").fingerprint


@pytest.mark.parametrize(("typed", "n_users"), [("6", 6), ("0.2", 8), ("20%", 8)])
def test_held_out_users_are_a_count_or_a_fraction(shell: Shell, typed: str, n_users: int) -> None:
    shell(f"ratings.csv --held-out-users {typed} --out data")
    assert load_dataset("data").test.n_users == n_users


def test_like_yesterday(shell: Shell) -> None:
    shell("ratings.csv --min-rating 2.5 --held-out-users 4 --out yesterday")
    (shell.folder / "today.csv").write_text(ratings(n_users=50))
    status, out, _ = shell("today.csv --like yesterday --out today")
    assert status == 0
    assert "like       yesterday: --min-rating 2.5 --held-out-users 4\n" in out
    before, now = load_dataset("yesterday"), load_dataset("today")
    both = set(before.user_ids.tolist()) & set(now.user_ids.tolist())
    n_new = now.user_ids.size - len(both)
    assert f"like       {len(both)} users of it in the groups that they had there, {n_new} new\n" in out
    assert not set(now.user_ids[now.train.n_users :]) & set(before.user_ids[: before.train.n_users])
    assert shell("today.csv --like yesterday --min-rating 1 --out anew")[0] == 0
    assert read_protocol("anew")["options"]["min_rating"] == 1.0
    assert shell("--like yesterday --out again")[0] == 0
    assert load_dataset("again").fingerprint == before.fingerprint


def test_packed_files_prepare_alike(shell: Shell) -> None:
    content = (shell.folder / "ratings.csv").read_bytes()
    (shell.folder / "ratings.csv.gz").write_bytes(gzip.compress(content))
    with zipfile.ZipFile("two.zip", "w") as archive:
        archive.writestr("a.csv", content)
        archive.writestr("b.csv", "x\n")
    prints = []
    for number, source in enumerate(("ratings.csv", "ratings.csv.gz", "two.zip --member a.csv")):
        assert shell(f"{source} --out data{number}")[0] == 0
        prints.append(load_dataset(f"data{number}").fingerprint)
    assert len(set(prints)) == 1


def test_ratings_without_a_threshold_are_mentioned(shell: Shell) -> None:
    _, out, _ = shell("ratings.csv --out data")
    assert "every row counts whatever its 'rating'" in out


def test_exported_read_and_exported_again(shell: Shell) -> None:
    """From a source, from a dataset folder, from the layout itself: one split all the way round."""
    assert shell("ratings.csv --out data --export-pro-sg pro_1")[0] == 0
    assert shell("data --export-pro-sg pro_2")[0] == 0
    status, out, _ = shell("pro_2 --out again --export-pro-sg pro_3")
    assert status == 0
    assert "kept" in out
    assert load_dataset("again").fingerprint == load_dataset("data").fingerprint
    assert read_protocol("again")["source"] == {"path": "pro_2", "format": "pro_sg"}
    for path in Path("pro_1").iterdir():
        assert path.read_bytes() == (Path("pro_2") / path.name).read_bytes()
        assert path.read_bytes() == (Path("pro_3") / path.name).read_bytes()


def test_synthetic(shell: Shell) -> None:
    status, out, _ = shell("--synthetic --users 100 --items 60 --seed 5 --out data")
    assert status == 0
    assert "100 users" in out
    assert load_dataset("data").fingerprint == synthetic_split(n_users=100, n_items=60, seed=5).fingerprint
    assert read_protocol("data")["source"] == {"format": "synthetic", "users": 100, "items": 60, "seed": 5}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_with_options_over_them(shell: Shell, name: str) -> None:
    """The published settings (Liang et al., section 4.1; DESIGN section 3), and what is typed goes over
    them."""
    status, _, _ = shell(
        f"ratings.csv --preset {name} --held-out-users 8 --min-user-interactions 2 --min-item-interactions 1 --out "
        "data"
    )
    assert status == 0
    protocol = read_protocol("data")
    assert protocol["preset"] == name
    assert protocol["options"]["held_out_users"] == 8
    assert protocol["options"]["min_rating"] == (None if name == "msd" else 3.5)


def test_download_implies_its_preset(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetched(name: str, folder: Path, **_: object) -> Path:
        asked.append((name, folder))
        return shell.folder / "ratings.csv"

    monkeypatch.setattr(prepare_module, "download", fetched)
    assert (
        shell("--download ml-1m --download-to cache --held-out-users 8 --min-user-interactions 2 --out data")[
            0
        ]
        == 0
    )
    assert asked == [("ml-1m", Path("cache"))]
    assert read_protocol("data")["options"]["min_rating"] == 3.5


def text(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


def dataset(folder: Path, **changes: object) -> None:
    io.save_dataset(synthetic_split(n_users=40, n_items=50), folder / "old", {})
    path = folder / "old" / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def nothing(_: Path) -> None:
    pass


BAD: list[tuple[str, Callable[[Path], object], str]] = [
    ("missing.csv --out o", nothing, "missing.csv: no such file"),
    ("a.csv --out o", text("a.csv", "who,what\n1,2\n"), "no column looks like the user"),
    ("a.csv --out o", text("a.csv", ""), "is empty"),
    ("a.csv --out o", text("a.csv", "user_id,item_id\n"), "a header and no rows"),
    ("a.csv --out o", text("a.csv", "user_id,item_id,rating\n1,2,good\n"), "rating 'good' in line 2"),
    ("a.csv --out o", text("a.csv", "user_id,item_id\n,2\n"), "user id is missing"),
    ("a.csv --min-rating 3 --out o", text("a.csv", "user_id,item_id\n1,2\n"), "no rating column"),
    (
        "a.csv --min-rating 3 --out o",
        text("a.csv", "user,item,rating\n1,2,\n"),
        "empty or NaN in 1 of 1 rows",
    ),
    ("a.csv --out o", text("a.csv", "user_id,item_id\n1,2\n"), "0 users are left"),
    ("ratings.csv --held-out-users 20 --out o", nothing, "40 users are left .* 2 x 20"),
    ("ratings.csv --preset ml-20m --out o", nothing, "2 x 10000"),
    ("ratings.csv --held-out-users 0.5 --out o", nothing, "held_out_users is 0.5"),
    ("ratings.csv --held-out-users many --out o", nothing, "neither a count .* nor a fraction"),
    ("ratings.csv --held-out-fraction 1.2 --out o", nothing, "held_out_fraction is 1.2"),
    ("ratings.csv --min-rating 9 --out o", nothing, "no rating is above 9"),
    ("ratings.csv --rating-column stars --out o", nothing, "no column 'stars'"),
    ("ratings.csv --preset ml-2m --out o", nothing, "'ml-2m' is not one of"),
    ("ratings.csv --seed -1 --out o", nothing, "seed is -1"),
    ("ratings.csv", nothing, "give --out DIR"),
    ("--out o", nothing, "exactly one of SOURCE, --download and --synthetic"),
    ("ratings.csv --synthetic --out o", nothing, "not SOURCE and --synthetic"),
    ("ratings.csv --users 5 --out o", nothing, "go with --synthetic"),
    ("--synthetic --users 5 --out o", nothing, "too small"),
    ("ratings.csv --out ratings.csv", nothing, "ratings.csv already exists"),
    ("ratings.csv --out full", lambda f: (f / "full" / "below").mkdir(parents=True), "full already exists"),
    ("ratings.csv --out ratings.csv/o", nothing, "cannot write"),
    (
        "a.csv.gz --out o",
        lambda f: (f / "a.csv.gz").write_bytes(gzip.compress(b"user,item\n" * 99)[:30]),
        "cut short",
    ),
    ("a.parquet --out o", text("a.parquet", "PAR1"), "not a Parquet file"),
    ("old --export-pro-sg o", lambda f: dataset(f, format=0), "format 0"),
    ("old --export-pro-sg o", lambda f: dataset(f, fingerprint="1"), "fingerprint"),
    ("old --out o", dataset, "is a prepared dataset already"),
    ("ratings.csv --like absent --out o", nothing, "absent is not a prepared dataset"),
    ("ratings.csv --like old --out o", dataset, "read as split already, and has no options"),
    ("--like absent --synthetic --download ml-1m --out o", nothing, "not --download and --synthetic"),
    ("old --preset msd --export-pro-sg o", dataset, "already split; --preset has no effect"),
]


@pytest.mark.parametrize(("line", "given", "message"), BAD, ids=[f"{case[0]}: {case[2]}" for case in BAD])
def test_one_line_and_nothing_half_written(
    shell: Shell, line: str, given: Callable[[Path], object], message: str
) -> None:
    given(shell.folder)
    before = sorted(shell.folder.rglob("*"))
    status, out, err = shell(line)
    assert status == 2
    assert out == ""
    told = [said for said in err.splitlines() if said.lower().startswith("error: ")]
    assert len(told) == 1
    assert err.rstrip().splitlines()[-1] == told[0], "the error is the last thing said"
    assert "Traceback" not in err
    assert re.search(message, told[0]), told[0]
    assert sorted(shell.folder.rglob("*")) == before


def test_a_full_disk(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(io, "write_json", full)
    before = sorted(shell.folder.rglob("*"))
    status, _, err = shell("ratings.csv --out data")
    assert status == 2
    assert err.rstrip().splitlines()[-1].startswith("error: cannot write data: No space left on device")
    assert sorted(shell.folder.rglob("*")) == before


def test_help_teaches(shell: Shell) -> None:
    status, out, _ = shell("--help")
    assert status == 0
    for word in ("Examples:", "--preset", "[default: 98765", "strictly", "--download", "--synthetic"):
        assert word in out
