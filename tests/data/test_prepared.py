"""A data set in memory is the one that lies in the folder it was written to."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.data.io import read_protocol
from distrecvae.data.prepared import prepare_data, read_data
from distrecvae.data.summary import describe
from distrecvae.errors import ConfigError, DataError, ResultsError
from tests.data.sources.test_frames import FRAME


def test_it_is_written_and_read_back(tmp_path: Path) -> None:
    made = prepare_data(None, users=100, items=60, seed=3)
    assert made.folder is None
    assert made.name == "synthetic"
    saved, found = made.save(tmp_path / "mine"), read_data(tmp_path / "mine")
    assert saved.folder == found.folder == str(tmp_path / "mine")
    assert saved.name == found.name == "mine"
    assert found.fingerprint == made.fingerprint == saved.fingerprint
    assert {name: found.protocol[name] for name in made.protocol} == dict(made.protocol)
    assert read_protocol(tmp_path / "mine") == found.protocol
    with pytest.raises(ResultsError, match="mine"):
        made.save(tmp_path / "mine")


def test_it_says_what_it_is(tmp_path: Path) -> None:
    made = prepare_data(None, users=100, items=60)
    assert str(made).splitlines() == describe(made.split, made.protocol)
    assert "in memory: 80 + 10 + 10 users x" in repr(made)
    assert str(tmp_path / "mine") in repr(made.save(tmp_path / "mine"))
    assert made._repr_html_().startswith("<pre>read ")


def test_the_stages_are_told(tmp_path: Path) -> None:
    from contextlib import contextmanager

    told: list[tuple[str, str]] = []

    @contextmanager
    def stage(doing: str, what: str):  # type: ignore[no-untyped-def]
        told.append((doing, what))
        yield

    prepare_data(None, users=100, items=60, stage=stage).save(tmp_path / "mine")
    prepare_data(tmp_path / "mine", stage=stage)
    assert [doing for doing, _ in told] == ["reading", "splitting", "reading"]


def test_a_folder_that_is_split_takes_no_options(tmp_path: Path) -> None:
    prepare_data(None, users=100, items=60).save(tmp_path / "mine")
    with pytest.raises(ConfigError, match="already split; --min-rating"):
        prepare_data(tmp_path / "mine", min_rating=3.5)


def test_a_frame_is_no_file() -> None:
    with pytest.raises(ConfigError, match="--member"):
        prepare_data(FRAME, member="a.csv")
    with pytest.raises(DataError, match="no such"):
        read_data("absent")
