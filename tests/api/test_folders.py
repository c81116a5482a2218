"""Results go where nothing of another run lies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distrecvae.api.folders import results_folder, results_place
from distrecvae.errors import ConfigError, ResultsError
from distrecvae.storage.store import Store
from distrecvae.storage.uri import default_copy

Place = Callable[..., Path]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return what says where results go, called in an empty working directory, by default for a new run."""
    monkeypatch.chdir(tmp_path)

    def ask(out: Path | None = None, name: str | None = None, **named: Any) -> Path:
        return results_folder(out, name, "ease-mine", **{"resume": False, **named})

    return ask


def used(*names: str) -> None:
    """Let something lie in these folders of runs/."""
    for name in names:
        Path("runs", name).mkdir(parents=True)
        Path("runs", name, "search.json").touch()


def test_a_folder_or_a_name_that_was_given_is_taken_whatever_lies_there(place: Place) -> None:
    # What lies there is refused, or resumed, by whoever writes there.
    used("mine", "ease-mine")
    for resume in (False, True):
        assert place(Path("some/where"), resume=resume) == Path("some/where")
        assert place(name="mine", resume=resume) == Path("runs/mine")
        assert place(name="new", resume=resume) == Path("runs/new")


def test_the_first_run_has_no_number_and_the_next_ones_count(place: Place) -> None:
    assert place() == Path("runs/ease-mine")
    used("ease-mine")
    assert place() == Path("runs/ease-mine-2")
    used("ease-mine-2")
    assert place() == Path("runs/ease-mine-3")


def test_a_number_is_above_all_others_though_some_are_gone(place: Place) -> None:
    # Otherwise --resume would continue with an older one than was begun last.
    used("ease-mine-9", "ease-mine-12")
    assert place() == Path("runs/ease-mine-13")


@pytest.mark.parametrize("order", [range(5, 15), range(14, 4, -1)], ids=["rising", "falling"])
def test_the_latest_has_the_highest_number_in_whichever_order_they_are_listed(
    order: range, place: Place
) -> None:
    # A file system lists by creation, by name or by hash; and 10 is above 9 as a number only.
    for place_of, number in enumerate(order, 1):
        used(f"ease-mine-{number}")
        assert place(resume=True) == Path(f"runs/ease-mine-{max(order[:place_of])}")


def test_a_resumed_run_is_the_latest(place: Place) -> None:
    used("ease-mine")
    assert place(resume=True) == Path("runs/ease-mine")
    used("ease-mine-2")
    assert place(resume=True) == Path("runs/ease-mine-2")


def test_what_only_begins_with_the_name_is_another_search(place: Place) -> None:
    used("ease-mine-big", "ease-mine2", "ease-mine-3-old", "my-ease-mine")
    assert place() == Path("runs/ease-mine")


def test_a_name_is_no_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    used("ease-c++")
    assert results_folder(None, None, "ease-c++", resume=False) == Path("runs/ease-c++-2")
    assert results_folder(None, None, "ease-c++", resume=True) == Path("runs/ease-c++")


def test_a_name_with_a_bracket_is_no_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # --data "data/ml[1]" could be searched once and never again, nor resumed.
    monkeypatch.chdir(tmp_path)
    used("ease-ml[1]")
    assert results_folder(None, None, "ease-ml[1]", resume=False) == Path("runs/ease-ml[1]-2")
    assert results_folder(None, None, "ease-ml[1]", resume=True) == Path("runs/ease-ml[1]")


def test_an_empty_folder_and_a_file_are_no_run(place: Place) -> None:
    Path("runs/ease-mine").mkdir(parents=True)
    Path("runs/ease-mine-2").touch()
    assert place() == Path("runs/ease-mine")
    with pytest.raises(ResultsError):
        place(resume=True)


def test_nothing_to_resume_is_said_with_where_it_was_looked_for(place: Place) -> None:
    with pytest.raises(ResultsError) as caught:
        place(resume=True)
    assert str(caught.value) == (
        "there is no runs/ease-mine to resume; leave out --resume, or say where with --out"
    )


def test_a_run_that_need_not_exist_is_begun_where_it_does_not(place: Place) -> None:
    # --resume-or-start.
    assert place(resume=True, must_exist=False) == Path("runs/ease-mine")
    used("ease-mine", "ease-mine-2")
    assert place(resume=True, must_exist=False) == Path("runs/ease-mine-2")


def test_two_places_are_one_too_many(place: Place) -> None:
    with pytest.raises(ConfigError) as caught:
        place(Path("a"), "b")
    assert str(caught.value) == (
        "--out a and --name b: only one of them can say where results go; leave one out"
    )


@pytest.mark.parametrize("out", ["s3://bucket/results", "gs://bucket/x", "file:///tmp/x", "abfs+x.1-y://z/x"])
def test_a_uri_that_became_a_path_is_refused(out: str, place: Place) -> None:
    # It has lost a slash already: Path("s3://bucket") is s3:/bucket, and would be a folder here.
    with pytest.raises(
        ConfigError, match=r"was a URI before it became a path; give it as text, such as s3://bucket"
    ):
        place(Path(out))


def test_results_at_a_uri_have_a_working_copy(tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/there/"
    assert results_place(uri, None, "ease-mine", resume=False) == (default_copy(uri), uri.rstrip("/"))
    copy = tmp_path / "copy"
    assert results_place(uri, None, "x", resume=False, working_copy=copy) == (copy, uri.rstrip("/"))
    assert results_place(tmp_path, None, "x", resume=False) == (tmp_path, None)
    assert results_place(str(tmp_path), None, "x", resume=False) == (tmp_path, None)


def test_a_run_that_goes_on_at_a_uri_fetches_what_is_there(tmp_path: Path) -> None:
    uri, copy, said = f"file://{tmp_path}/there", tmp_path / "copy", list[str]()
    Store(uri).put("search.json", b"{}")
    results_place(uri, None, "x", resume=False, working_copy=copy, tell=said.append)
    assert (copy.exists(), said) == (False, [])
    results_place(uri, None, "x", resume=True, working_copy=copy, tell=said.append)
    assert (copy / "search.json").read_bytes() == b"{}"
    assert len(said) == 1


def test_a_working_copy_is_of_a_uri_and_a_uri_has_no_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--working-copy copy without a URI in --out"):
        results_place(Path("a"), None, "x", resume=False, working_copy=Path("copy"))
    with pytest.raises(ConfigError, match="only one of them can say where results go"):
        results_place("s3://bucket/x", "b", "x", resume=False)
    with pytest.raises(ConfigError, match="names no folder"):
        results_place("s3://bucket", None, "x", resume=False)


@pytest.mark.parametrize("out", ["a:b", "C:mine/x", "here/s3:/x", "/here/s3:/x", "3s:/x"])
def test_a_path_with_a_colon_is_a_path(out: str, place: Place) -> None:
    assert place(Path(out)) == Path(out)
