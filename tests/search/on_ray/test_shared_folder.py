"""Whether another node sees the results folder; tests/whole/test_cluster.py asks real nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.errors import ResourceError
from distrecvae.search.on_ray import shared_folder
from distrecvae.search.on_ray.shared_folder import answer, holds, not_shared, require_shared
from distrecvae.search.planning.resources import Cluster


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_folder, "SEEN_WITHIN_S", 0.0)


def test_a_node_that_sees_the_marker_answers_where_the_driver_can_read_it(tmp_path: Path) -> None:
    marker = tmp_path / ".distrecvae-1"
    marker.write_text(marker.name, encoding="utf-8")
    assert answer(str(marker), str(tmp_path / "answer"))
    assert (tmp_path / "answer").read_text(encoding="utf-8") == marker.name


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("content", [None, "", ".distrecvae-2"], ids=["missing", "empty", "another's"])
def test_a_node_that_sees_something_else_answers_nothing(content: str | None, tmp_path: Path) -> None:
    marker = tmp_path / ".distrecvae-1"
    if content is not None:
        marker.write_text(content, encoding="utf-8")
    assert not answer(str(marker), str(tmp_path / "answer"))
    assert not (tmp_path / "answer").exists()


def test_a_file_that_comes_late_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A network file system shows on one node some seconds later what another one wrote.
    late = tmp_path / "late"
    monkeypatch.setattr(
        "distrecvae.search.on_ray.shared_folder.time.sleep",
        lambda _: late.write_text("here", encoding="utf-8"),
    )
    assert holds(late, "here")


def test_what_to_do_is_said_in_a_line() -> None:
    said = not_shared(Path("runs/a"), "10.0.0.7")
    assert said.startswith("runs/a is not shared with node 10.0.0.7: ")
    assert said.endswith("give --out a folder on storage that all nodes mount (NFS, EFS, Filestore)")
    assert "\n" not in said
    assert str(ResourceError(said)) == said


@pytest.mark.ray
def test_a_single_node_is_not_asked(cluster: Cluster, tmp_path: Path) -> None:
    assert len(cluster.nodes) == 1
    require_shared(tmp_path / "later" / "results")
    assert list(tmp_path.iterdir()) == [], "nothing is written, nothing made"
