"""Bytes in stretches: a replacement must not be lost where two stretches meet."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrecvae.data.sources.opening import Chain, Part, Replacing, parts_of


@given(st.text(":,\n12", max_size=60), st.integers(1, 7), st.integers(1, 9))
def test_replacing_across_every_border(text: str, size: int, buffer: int) -> None:
    """ "::" like bytes.replace does it, left to right, wherever the chunks end."""
    for old, new in ((b"::", b"\t"), (b":\n", b":,,\n")):
        file = Replacing(io.BytesIO(text.encode()), old, new, size)
        found = b""
        while piece := file.read(buffer):
            found += piece
        assert found == text.encode().replace(old, new)


def test_chain_separates_parts(tmp_path: Path) -> None:
    for name, content in (("a", b"1\n2"), ("b", b""), ("c", b"3\n")):
        (tmp_path / name).write_bytes(content)
    chain = io.BufferedReader(Chain([Part(tmp_path / name) for name in "abc"]))
    assert chain.read() == b"1\n2\n3\n"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["ratings.csv", "movies.csv", "tags.csv"], ["ratings.csv"]),
        (["a/ratings.dat", "a/movies.dat", "a/README"], ["a/ratings.dat"]),
        (["README.md", "ml.inter", "ml.item", "ml.user"], ["ml.inter"]),
        (["notes.txt", "clicks.csv"], ["clicks.csv"]),
        (["only.anything"], ["only.anything"]),
        (
            ["probe.txt", "combined_data_2.txt", "combined_data_1.txt"],
            ["combined_data_1.txt", "combined_data_2.txt"],
        ),
    ],
)
def test_which_file_of_a_folder(names: list[str], chosen: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [part.path.relative_to(tmp_path).as_posix() for part in parts_of(tmp_path)] == chosen
