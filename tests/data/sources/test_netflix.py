"""The Netflix Prize's files: a line `N:` opens movie N, and what follows is its ratings, over all parts."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrecvae.data.sources.netflix import read_netflix
from distrecvae.data.sources.opening import Part
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError


def part(folder: Path, *contents: str) -> list[Part]:
    parts = []
    for number, content in enumerate(contents, 1):
        path = folder / f"combined_data_{number}.txt"
        path.write_bytes(content.encode())
        parts.append(Part(path))
    return parts


def rows(table: InteractionTable) -> list[tuple[int, int, float]]:
    assert table.ratings is not None
    users, items = table.user_ids[table.users], table.item_ids[table.items]
    return list(zip(users.tolist(), items.tolist(), table.ratings.tolist(), strict=True))


def naive(text: str) -> list[tuple[int, int, float]]:
    """The format in plain words, a line at a time."""
    found, movie = [], 0
    for line in text.split():
        if line.endswith(":"):
            movie = int(line[:-1])
        else:
            user, rating, _ = line.split(",")
            found.append((int(user), movie, float(rating)))
    return found


MOVIES = st.lists(
    st.tuples(
        st.integers(1, 17770), st.lists(st.tuples(st.integers(1, 2649429), st.integers(1, 5)), max_size=4)
    ),
    min_size=1,
    max_size=6,
)


@given(MOVIES, st.sampled_from(["\n", "\r\n"]), st.integers(0, 10**6), st.booleans())
def test_against_a_reader_of_lines(
    tmp_path_factory: pytest.TempPathFactory,
    movies: Sequence[tuple[int, Sequence[tuple[int, int]]]],
    end: str,
    cut: int,
    last_line_ends: bool,
) -> None:
    """Movies without ratings, movies that come twice, either line end, and parts that meet within a movie."""
    lines = [
        line for movie, own in movies for line in (f"{movie}:", *(f"{u},{r},2005-09-06" for u, r in own))
    ]
    cut = 1 + cut % len(lines)
    halves = [
        end.join(half) + (end if last_line_ends and half else "") for half in (lines[:cut], lines[cut:])
    ]
    parts = part(tmp_path_factory.mktemp("netflix"), *halves)
    expected = naive("\n".join(lines))
    if expected:
        assert rows(read_netflix(parts)) == expected
    else:
        with pytest.raises(DataError, match="no rows"):
            read_netflix(parts)


def test_ids_are_numbers_sorted_and_the_source_says_what_was_read(tmp_path: Path) -> None:
    (one,) = part(tmp_path, "12:\n30,3,2005-09-06\n7,5,2005-09-06\n3:\n30,1,2005-09-06\n")
    table = read_netflix([one])
    assert (table.user_ids.tolist(), table.item_ids.tolist()) == ([7, 30], [3, 12])
    assert table.user_ids.dtype == np.int64
    assert table.items.dtype == np.int32
    assert table.source == {"path": str(one.path), "format": "netflix", "parts": 1}


def test_of_several_parts_the_source_is_their_folder(tmp_path: Path) -> None:
    table = read_netflix(part(tmp_path, "1:\n5,3,2005-09-06\n", "2:\n5,4,2005-09-06\n"))
    assert table.source == {"path": str(tmp_path), "format": "netflix", "parts": 2}


def test_parts_are_read_in_the_order_given(tmp_path: Path) -> None:
    first, second = part(tmp_path, "1:\n5,3,2005-09-06\n", "2:\n6,4,2005-09-06\n")
    assert rows(read_netflix([second, first])) == [(6, 2, 4.0), (5, 1, 3.0)]


def test_a_member_of_a_zip_is_a_part(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "netflix.zip", "w") as archive:
        archive.writestr("combined_data_1.txt", "1:\n5,3,2005-09-06\n")
    assert rows(read_netflix([Part(tmp_path / "netflix.zip", "combined_data_1.txt")])) == [(5, 1, 3.0)]


def test_a_rating_that_is_missing_is_not_a_number(tmp_path: Path) -> None:
    table = read_netflix(part(tmp_path, "1:\n5,,2005-09-06\n6,4,2005-09-06\n"))
    assert table.ratings is not None
    np.testing.assert_array_equal(table.ratings, [np.nan, 4.0])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "5,3,2005-09-06\n1:\n",
            "{} does not begin with a movie line `N:`; give the parts as they were published",
        ),
        ("1:\n", "{} has no rows; it must hold interactions"),
        ("", "{} is not a Netflix Prize file (Empty CSV file); lines are `N:` or user,rating,date"),
    ],
)
def test_what_is_not_the_prizes_is_refused(content: str, said: str, tmp_path: Path) -> None:
    (one,) = part(tmp_path, content)
    with pytest.raises(DataError) as refused:
        read_netflix([one])
    assert str(refused.value) == said.format(one)


@pytest.mark.parametrize(
    "content",
    ["1:\nx,3,2005-09-06\n", "1:\n5,good,2005-09-06\n", "1:\n5,3\n", "1:\n5,3,2005-09-06,x\n", "1:x\n"],
)
def test_lines_of_another_form_are_refused_in_one_line(content: str, tmp_path: Path) -> None:
    (one,) = part(tmp_path, content)
    with pytest.raises(DataError) as refused:
        read_netflix([one])
    said = str(refused.value)
    assert said.startswith(f"{one} is not a Netflix Prize file (")
    assert said.endswith("); lines are `N:` or user,rating,date")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("content", "role"),
    [("1:\n,3,2005-09-06\n", "user id is missing"), (":\n5,3,2005-09-06\n", "item id is missing")],
)
def test_an_id_that_is_missing_is_refused(content: str, role: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{role} .* in 1 of them"):
        read_netflix(part(tmp_path, content))


def test_of_several_parts_a_refusal_names_their_folder_and_number(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        read_netflix(part(tmp_path, "5,3,2005-09-06\n", "1:\n5,3,2005-09-06\n"))
    assert str(refused.value).startswith(f"{tmp_path} (2 parts) does not begin with a movie line")


def test_a_part_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"combined_data_9.txt cannot be read \(No such file"):
        read_netflix([Part(tmp_path / "combined_data_9.txt")])


def test_parts_of_a_zip_are_told_by_the_zip(tmp_path: Path) -> None:
    """The source was said to be the folder that the zip lies in."""
    path = tmp_path / "netflix.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in (1, 2):
            archive.writestr(f"combined_data_{number}.txt", f"{number}:\n5,3,x\n")
    table = read_netflix([Part(path, f"combined_data_{number}.txt") for number in (1, 2)])
    assert table.source == {"path": str(path), "format": "netflix", "parts": 2}
    assert table.place(1) == f"line 2 of {path}:combined_data_2.txt"


def test_a_rating_of_minus_one_is_a_rating(tmp_path: Path) -> None:
    """It was taken for the line of a movie, so that the row was gone and others were of another movie."""
    (tmp_path / "mv_1.txt").write_text("7:\n1,-1,x\n2,4,x\n")
    table = read_netflix([Part(tmp_path / "mv_1.txt")])
    assert table.n_rows == 2
    assert table.ratings is not None
    assert table.ratings.tolist() == [-1, 4]
    assert table.item_ids.tolist() == [7]
