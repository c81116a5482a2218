"""What is said of cluster files: nothing of ours, of each planted mistake its remedy, and never a traceback."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from distrecvae.errors import DistrecvaeError
from distrecvae.search.doctor.cluster.examination import examine_file
from tests import ROOT
from tests.search.doctor.cluster.planted import ALL, FILES, Planted, copy_with, names, said_of

PLANTED = [
    pytest.param(planted, id=f"{room}: {planted.name}") for room, all_ in ALL.items() for planted in all_
]


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_wrong_with_our_files(name: str) -> None:
    (finding,) = examine_file(ROOT / "cluster" / name)
    assert finding.remedy is None
    assert "to fill in: line" in finding.text


@pytest.mark.parametrize("name", FILES)
def test_nor_is_it_where_they_lie_elsewhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What they copy to the nodes counts from where `ray up` is typed.
    shutil.copy(ROOT / "cluster" / name, tmp_path)
    monkeypatch.chdir(ROOT)
    assert said_of(tmp_path / name) == []


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_mistake_is_named_with_its_remedy(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    findings = said_of(copy_with(planted, tmp_path))
    assert names(planted, findings), findings


def test_they_are_more_than_fifty_and_no_two_are_the_same() -> None:
    all_ = [planted for several in ALL.values() for planted in several]
    assert len({(planted.file, planted.old, planted.new) for planted in all_}) == len(all_) > 50


def test_what_is_to_be_changed_is_said_until_it_is(tmp_path: Path) -> None:
    text = (ROOT / "cluster/cluster.yaml").read_text(encoding="utf-8")
    (tmp_path / "cluster.yaml").write_text(
        text.replace("ami-CHANGE", "ami-0123456789abcdef0"), encoding="utf-8"
    )
    last = list(examine_file(tmp_path / "cluster.yaml"))[-1]
    assert last.text.endswith("is of Ray's cluster launcher")


def test_kinds_of_nodes_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("cluster_name: a\nprovider: {type: aws}\n", encoding="utf-8")
    assert any("available_node_types is missing" in finding.text for finding in said_of(tmp_path / "a.yaml"))


def test_of_a_cloud_that_we_have_no_file_for_the_rest_is_looked_at(tmp_path: Path) -> None:
    text = (ROOT / "cluster/cluster.yaml").read_text(encoding="utf-8").replace("type: aws", "type: azure")
    (tmp_path / "a.yaml").write_text(text.replace("--block", ""), encoding="utf-8")
    assert {finding.subject for finding in said_of(tmp_path / "a.yaml")} <= {"files"}


WRONG: tuple[Any, ...] = (
    None,
    0,
    -1,
    2.5,
    True,
    "",
    "text",
    [],
    [None],
    ["a"],
    {},
    {"a": 1},
    [[{}]],
    float("nan"),
)


def places_in(content: Any) -> list[tuple[Any, Any]]:
    """Return every value of a file by what holds it, and under which key."""
    found: list[tuple[Any, Any]] = []
    entries = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content)
        if isinstance(content, list)
        else ()
    )
    for key, value in entries:
        found += [(content, key), *places_in(value)]
    return found


@pytest.mark.parametrize("name", FILES)
def test_whatever_stands_in_a_file_it_is_looked_at_to_the_end(name: str, tmp_path: Path) -> None:
    text, draw = (ROOT / "cluster" / name).read_text(encoding="utf-8"), random.Random(0)  # noqa: S311
    n_places = len(places_in(yaml.safe_load(text)))
    for place in range(n_places):
        content = yaml.safe_load(text)
        holder, key = places_in(content)[place]
        holder[key] = draw.choice(WRONG)
        (tmp_path / name).write_text(yaml.safe_dump(content), encoding="utf-8")
        try:
            findings = list(examine_file(tmp_path / name))
        except DistrecvaeError:
            continue  # no cluster's file any more
        assert findings[-1].subject == "file"
        assert all("\n" not in finding.text for finding in findings)
