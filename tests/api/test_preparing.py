"""`distrecvae.prepare` is `distrecvae prepare`, in memory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from distrecvae.api import preparing
from distrecvae.api.preparing import as_data, prepare
from distrecvae.cli import main
from distrecvae.data.io import load_dataset, read_protocol
from distrecvae.data.synthetic import synthetic_table
from distrecvae.errors import ConfigError, DataError, ResultsError


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    table = synthetic_table(n_users=120, n_items=60, seed=2)
    rating = [3.0 if n % 5 == 0 else 4.5 for n in range(table.n_rows)]
    return pd.DataFrame({"userId": table.users, "movieId": table.items, "rating": rating})


def test_a_frame_a_file_and_the_command_give_the_same_data(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frame.to_csv("ratings.csv", index=False)
    options = ["--min-rating", "3.5", "--held-out-users", "0.2", "--out", "typed"]
    with pytest.raises(SystemExit) as ended:
        main(["prepare", "ratings.csv", *options])
    assert ended.value.code == 0
    in_memory = prepare(frame, min_rating=3.5, held_out_users=0.2)
    from_file = prepare("ratings.csv", min_rating=3.5, held_out_users=0.2, out=Path("called"))
    assert in_memory.folder is None
    assert from_file.folder == "called"
    typed = load_dataset("typed")
    assert typed.fingerprint == in_memory.fingerprint == from_file.fingerprint
    assert load_dataset("called").fingerprint == typed.fingerprint
    assert read_protocol("called") == read_protocol("typed")
    for part in ("options", "counts", "preset"):
        assert in_memory.protocol[part] == from_file.protocol[part]
    assert (in_memory.name, from_file.name) == ("data", "called")
    assert prepare("ratings.csv").name == "ratings"


def test_a_preset_is_under_what_is_given(frame: pd.DataFrame) -> None:
    made = prepare(frame, preset="ml-1m", held_out_users=10)
    assert made.protocol["options"]["min_rating"] == 3.5
    assert made.split.valid.n_users == 10


def test_synthetic_data_has_its_own_seed() -> None:
    one, other = (prepare(synthetic=True, users=100, items=60, seed=seed) for seed in (0, 1))
    assert one.fingerprint == prepare(synthetic=True, users=100, items=60).fingerprint != other.fingerprint


def test_columns_are_named(frame: pd.DataFrame) -> None:
    strange = frame.rename(columns={"userId": "buyer", "movieId": "sku"})
    made = prepare(strange, user_column="buyer", item_column="sku")
    assert made.fingerprint == prepare(frame).fingerprint


def test_it_is_exported(frame: pd.DataFrame, tmp_path: Path) -> None:
    made = prepare(frame, export_pro_sg=tmp_path / "pro_sg")
    assert prepare(tmp_path / "pro_sg").split.train.n_interactions == made.split.train.n_interactions


def test_a_download_brings_its_preset(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame.to_csv(tmp_path / "ratings.csv", index=False)
    asked = []

    def fetched(name: str, folder: Path) -> Path:
        asked.append((name, folder))
        return tmp_path / "ratings.csv"

    monkeypatch.setattr(preparing, "fetch", fetched)
    made = prepare(download="ml-1m", download_to=tmp_path / "kept", held_out_users=10)
    assert asked == [("ml-1m", tmp_path / "kept")]
    assert made.protocol["preset"] == "ml-1m"


def test_what_contradicts_itself_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(
        ConfigError, match=r"^give exactly one of a source, download and synthetic=True, not none"
    ):
        prepare()
    with pytest.raises(ConfigError, match="a source and synthetic=True"):
        prepare(frame, synthetic=True)
    with pytest.raises(ConfigError, match="users and items go with synthetic=True"):
        prepare(frame, users=5)
    with pytest.raises(ResultsError, match="already exists"):
        prepare(frame, out=tmp_path / "full")
    with pytest.raises(DataError, match="is a list"):
        prepare([1, 2])  # type: ignore[arg-type]
    with pytest.raises(DataError, match="lower held_out_users"):
        prepare(frame, held_out_users=100)
    with pytest.raises(DataError, match="choose a lower min_rating"):
        prepare(frame, min_rating=5)


def test_data_is_what_was_prepared_or_lies_in_a_folder(frame: pd.DataFrame, tmp_path: Path) -> None:
    made = prepare(frame)
    assert as_data(None) is None
    assert as_data(made) is made
    saved = made.save(tmp_path / "mine")
    for place in (tmp_path / "mine", str(tmp_path / "mine")):
        found = as_data(place)
        assert found is not None
        assert (found.fingerprint, found.folder) == (made.fingerprint, saved.folder)
    with pytest.raises(DataError, match=r"is a DataFrame; give what distrecvae\.prepare returned"):
        as_data(frame)  # type: ignore[arg-type]


def test_like_an_earlier_data_set_in_memory_or_in_a_folder(tmp_path: Path) -> None:
    first = prepare(synthetic=True, users=120, items=60, held_out_users=6, out=tmp_path / "first")
    for like in (first, tmp_path / "first", str(tmp_path / "first")):
        again = prepare(like=like)
        assert again.fingerprint == first.fingerprint
        assert again.protocol["like"]["fingerprints"] == [first.fingerprint]
    larger = prepare(synthetic=True, users=160, items=60, like=first, held_out_users=8)
    assert larger.split.test.n_users == 8
    assert larger.protocol["like"]["given"] == ["held_out_users"]
