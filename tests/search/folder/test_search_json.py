"""`search.json` comes back as it was written; what cannot be resumed is refused in a line that says what to do."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from distrecvae.errors import ResultsError
from distrecvae.search.core.chain import Mark
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.folder.search_json import (
    FINISHED,
    FORMAT,
    INTERRUPTED,
    RUNNING,
    DatasetFacts,
    Description,
    PlanFacts,
    WarmStart,
    read_description,
    write_description,
)
from distrecvae.search.space.space import SearchSpace

SPACE = SearchSpace.load("ease")
DESCRIPTION = Description(
    status=RUNNING,
    distrecvae="0.1.0",
    command="distrecvae search",
    started="2026-11-25T10:00:00+00:00",
    elapsed_s=1.5,
    settings=SearchConfig(data="data/ähnlich", model="ease", trials=3, time_budget_s=60.0),
    data="data/ähnlich",
    space=SPACE.to_dict(),
    dataset=DatasetFacts(
        fingerprint="abc", n_items=5, train_users=9, valid_users=2, test_users=2, train_interactions=30
    ),
    plan=PlanFacts(
        concurrent=2, cpus=1, gpus=0.25, device="cuda", device_name="a GPU", precision="bfloat16", rungs=(4, 12),
        shared_bytes=1, common_bytes=2, common_lent=True, trial_bytes=3, storage_bytes=4,
    ),
    warm_start=WarmStart("earlier", (3, 1), ({"regularization": 70.0}, {"regularization": 2.0}), (2,)),
    versions={"python": "3.11.7"},
    platform="Linux",
    ledger=Mark(7, "0123456789abcdef" * 2),
)  # fmt: skip


def refusal(folder: Path, **named: Any) -> str:
    with pytest.raises(ResultsError) as refused:
        read_description(folder, **named)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def write(folder: Path, **changes: Any) -> None:
    """Write it with these parts changed, as a hand in an editor would."""
    form = {**json.loads(json.dumps(asdict(DESCRIPTION))), **changes}
    text = json.dumps({name: value for name, value in form.items() if value is not ...})
    (folder / "search.json").write_text(text, encoding="utf-8")


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_description(tmp_path, DESCRIPTION)
    assert read_description(tmp_path) == DESCRIPTION
    assert read_description(tmp_path).searched() == SPACE
    assert json.loads((tmp_path / "search.json").read_text(encoding="utf-8"))["format"] == FORMAT


def test_what_was_read_can_be_written_again(tmp_path: Path) -> None:
    write_description(tmp_path, DESCRIPTION)
    write_description(tmp_path, replace(read_description(tmp_path), status=FINISHED))
    assert read_description(tmp_path).status == FINISHED
    assert [path.name for path in tmp_path.iterdir()] == ["search.json"], "no temporary file is left"


def test_a_description_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    write_description(tmp_path, DESCRIPTION)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_description(tmp_path, replace(DESCRIPTION, elapsed_s=math.nan))
    assert read_description(tmp_path) == DESCRIPTION
    assert [path.name for path in tmp_path.iterdir()] == ["search.json"]


def test_the_words_of_the_three_states_are_those_that_folders_on_disk_have() -> None:
    assert (RUNNING, INTERRUPTED, FINISHED) == ("running", "interrupted", "finished")


def test_a_folder_without_a_search_is_refused_with_what_the_caller_says_to_do(tmp_path: Path) -> None:
    missing = f"{tmp_path} holds no search (search.json is missing); "
    assert refusal(tmp_path) == missing + "leave out --resume to start one"
    assert refusal(tmp_path, remedy="give another") == missing + "give another"
    assert "is missing" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "content", [b"", b'{"format": 2, "sta', b"\xff\xfe", b"[1]", b'"text"', b"[" * 99_999]
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "search.json").write_bytes(content)
    said = refusal(tmp_path)
    assert said.startswith(f"{tmp_path / 'search.json'} cannot be read (")
    assert said.endswith("); restore it, or start over in another folder")


def test_a_folder_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "search.json").mkdir()
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("found", [1, 3, "2"])
def test_another_format_is_refused(tmp_path: Path, found: object) -> None:
    write(tmp_path, format=found)
    assert refusal(tmp_path) == (
        f"{tmp_path / 'search.json'} has format {found!r}, this version reads {FORMAT}; use the version that wrote it"
    )


def test_the_format_before_this_one_is_refused_whatever_else_it_has(tmp_path: Path) -> None:
    (tmp_path / "search.json").write_text('{"format": 1, "status": "finished", "plan": {}}', encoding="utf-8")
    assert "has format 1, this version reads 2" in refusal(tmp_path)


def test_what_earlier_versions_did_not_write_is_not_asked_for(tmp_path: Path) -> None:
    form = asdict(DESCRIPTION)
    del form["begun_in"], form["results"]
    (tmp_path / "search.json").write_text(json.dumps(form), encoding="utf-8")
    assert read_description(tmp_path) == replace(DESCRIPTION, begun_in="", results="")


@pytest.mark.parametrize("name", sorted(set(asdict(DESCRIPTION)) - {"format", "begun_in", "results"}))
def test_each_part_is_asked_for(tmp_path: Path, name: str) -> None:
    write(tmp_path, **{name: ...})
    assert f"cannot be read ({name}: field required); restore it" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "banana"}, "status is 'banana'"),
        ({"elapsed_s": "abc"}, "elapsed_s is 'abc'"),
        ({"elapsed_s": -1}, "elapsed_s is -1"),
        ({"started": None}, "started is None"),
        ({"plan": {}}, "plan.concurrent: field required"),
        ({"settings": {"trials": 0}}, "settings: trials=0 must be a whole number"),
        ({"settings": {"trials": "3"}}, "settings.trials is '3'"),
        ({"settings": {"tirals": 3}}, "settings.tirals: unexpected"),
        ({"space": {}}, "not a stored search space"),
        ({"dataset": []}, "dataset is []"),
        ({"warm_start": {"source": "x"}}, "warm_start.trials: field required"),
        ({"ledger": {"lines": 3, "check": "abc"}}, "not a mark of a ledger"),
        ({"ledger": None}, "ledger is None"),
        ({"versions": {"ray": 2}}, "versions.ray is 2"),
        ({"more": 1}, "more: unexpected"),
    ],
)
def test_what_a_hand_has_edited_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    write(tmp_path, **changes)
    assert words in refusal(tmp_path)


def test_a_warm_start_says_what_it_takes_over() -> None:
    warm = DESCRIPTION.warm_start
    assert warm is not None
    assert warm.text() == (
        "Warm start from earlier: trials 3, 1; outside of this search's space and left out: 2."
    )
    assert [point["regularization"] for point in warm.points(SPACE)] == [70.0], "2 is outside of the range"
