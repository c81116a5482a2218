"""A file is read if it is one: pipes and devices, which may never end, are not waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from distrecvae.regular import read_regular, require_regular


def test_files_and_links_to_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1\n")
    (tmp_path / "b").symlink_to("a")
    for name in "ab":
        assert read_regular(tmp_path / name) == b"1\n"
        require_regular(tmp_path / name)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_may_never_end_is_refused(kind: str, tmp_path: Path) -> None:
    """A model folder with a pipe as its config.json waited for ever, one with a link to /dev/zero read for ever."""
    path = tmp_path / "config.json"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    for read in (read_regular, require_regular):
        with pytest.raises(OSError, match="pipe"):
            read(path)


def test_what_is_too_long_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(1 << 40)  # sparse: it takes no room
    with pytest.raises(OSError, match="bytes, at most"):
        read_regular(tmp_path / "a")


def test_what_is_not_there_or_a_folder(tmp_path: Path) -> None:
    for read in (read_regular, require_regular):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "a")
        with pytest.raises(OSError, match=r"folder|directory"):
            read(tmp_path)
