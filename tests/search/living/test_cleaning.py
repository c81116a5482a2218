"""What may go is what nothing needs any more; it is what was said; and a search that runs is left alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from distrecvae.errors import ResultsError
from distrecvae.files import exclusive
from distrecvae.layout import STATE_FILE, trial_folder
from distrecvae.search.living.cleaning import clean, dispensable


def with_states(folder: Path, *numbers: int) -> list[Path]:
    made = []
    for number in numbers:
        trial_folder(folder, number).mkdir(parents=True, exist_ok=True)
        made.append(trial_folder(folder, number) / STATE_FILE)
        made[-1].write_bytes(b"x" * 1000)
    return made


@pytest.fixture
def mine(over: Path, tmp_path: Path) -> Path:
    shutil.copytree(over, tmp_path / "mine")
    return tmp_path / "mine"


def test_of_a_search_that_is_over_checkpoints_and_leftovers_go_and_nothing_else(mine: Path) -> None:
    kept = {path: path.read_bytes() for path in mine.rglob("*") if path.is_file()}
    states = with_states(mine, 0, 3)
    left = mine / ".trials.csv.abc.part"
    left.write_bytes(b"y" * 7)
    (mine / ".ray" / "deep").mkdir(parents=True)
    (mine / ".ray" / "deep" / "file").write_bytes(b"z" * 5)
    found = dispensable(mine)
    assert (set(found.checkpoints), set(found.temporary)) == (set(states), {left, mine / ".ray"})
    assert found.size_bytes == 2012
    assert "2 checkpoints" in str(found)
    assert "2,012 bytes, can be removed; --yes removes them" in str(found)
    assert all(path.exists() for path in (*states, left)), "nothing is removed by asking"
    done = clean(mine)
    assert done.removed
    assert "removed 2,012 bytes" in str(done)
    left_over = {
        path: path.read_bytes() for path in mine.rglob("*") if path.is_file() and path.name != ".lock"
    }
    assert left_over == kept
    assert str(dispensable(mine)) == f"{mine}: nothing to remove."


def test_of_one_that_is_not_over_the_checkpoints_stay(under_way: Path) -> None:
    states = with_states(under_way, 0, 1)
    (trial_folder(under_way, 0) / f".{STATE_FILE}.1.part").write_bytes(b"x")
    done = clean(under_way)
    assert done.checkpoints == ()
    assert done.size_bytes == 1
    assert all(path.exists() for path in states)


def test_one_that_runs_is_not_touched(under_way: Path) -> None:
    part = under_way / ".summary.txt.1.part"
    part.write_bytes(b"x")
    with exclusive(under_way):
        assert dispensable(under_way).size_bytes == 0, "it may be writing that file"
        with pytest.raises(ResultsError, match="is in use by another run"):
            clean(under_way)
    assert part.exists()


def test_what_is_no_search_is_refused_and_nothing_is_made_in_it(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for act in (dispensable, clean):
        with pytest.raises(ResultsError, match="holds no search"):
            act(tmp_path / "photos")
    assert list((tmp_path / "photos").iterdir()) == []
