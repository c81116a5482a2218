"""`search.json` comes back as it was written; what cannot be gone on from is refused in a line that says what to do."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from distrecvae.errors import ResultsError
from distrecvae.search.folder.search_json import (
    FINISHED,
    FORMAT,
    INTERRUPTED,
    RUNNING,
    read_description,
    write_description,
)

DESCRIPTION: dict[str, Any] = {
    "status": RUNNING,
    "elapsed_s": 1.5,
    "settings": {"trials": 3},
    "data": "data/ähnlich",
    "space": {"model": "ease"},
    "dataset": {"fingerprint": "abc"},
    "plan": {"rungs": [4, 12]},
}


def refusal(folder: Path, **named: Any) -> str:
    with pytest.raises(ResultsError) as refused:
        read_description(folder, **named)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_description(tmp_path, {**DESCRIPTION, "more": None})
    assert read_description(tmp_path) == {"format": FORMAT, **DESCRIPTION, "more": None}


def test_what_was_read_can_be_written_again(tmp_path: Path) -> None:
    write_description(tmp_path, DESCRIPTION)
    write_description(tmp_path, {**read_description(tmp_path), "status": FINISHED})
    assert read_description(tmp_path)["status"] == FINISHED
    assert [path.name for path in tmp_path.iterdir()] == ["search.json"], "no temporary file is left"


def test_a_description_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    write_description(tmp_path, DESCRIPTION)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_description(tmp_path, {**DESCRIPTION, "elapsed_s": math.nan})
    assert read_description(tmp_path) == {"format": FORMAT, **DESCRIPTION}
    assert [path.name for path in tmp_path.iterdir()] == ["search.json"]


def test_the_words_of_the_three_states_are_those_that_folders_on_disk_have() -> None:
    assert (RUNNING, INTERRUPTED, FINISHED) == ("running", "interrupted", "finished")


def test_a_folder_without_a_search_is_refused_with_what_the_caller_says_to_do(tmp_path: Path) -> None:
    missing = f"{tmp_path} holds no search (search.json is missing); "
    assert refusal(tmp_path) == missing + "leave out --resume to start one"
    assert refusal(tmp_path, remedy="give another") == missing + "give another"
    assert "is missing" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b'{"format": 1, "sta', b"\xff\xfe"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "search.json").write_bytes(content)
    said = refusal(tmp_path)
    assert said.startswith(f"{tmp_path / 'search.json'} cannot be read (")
    assert said.endswith("); restore it, or start anew in another folder")


def test_a_folder_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "search.json").mkdir()
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "found"),
    [({**DESCRIPTION, "format": 2}, "2"), (DESCRIPTION, "None"), ([1], "None"), ("text", "None")],
)
def test_another_format_is_refused(tmp_path: Path, content: object, found: str) -> None:
    (tmp_path / "search.json").write_text(json.dumps(content), encoding="utf-8")
    assert refusal(tmp_path) == (
        f"{tmp_path / 'search.json'} has format {found}, this version reads {FORMAT}; use the version that wrote it"
    )


@pytest.mark.parametrize("name", sorted(DESCRIPTION))
def test_each_part_that_readers_count_on_is_asked_for(tmp_path: Path, name: str) -> None:
    write_description(tmp_path, {key: value for key, value in DESCRIPTION.items() if key != name})
    assert f"search.json lacks {name}; restore it" in refusal(tmp_path)


def test_all_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    write_description(tmp_path, {})
    assert "lacks status, elapsed_s, settings, data, space, dataset, plan;" in refusal(tmp_path)
