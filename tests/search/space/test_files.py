"""A search space's file: found by name or by path, read as the YAML that people mean, refused by its name."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from distrecvae.errors import SpaceError
from distrecvae.search.space import files as files_module
from distrecvae.search.space.files import available_spaces, read_space


def read(folder: Path, content: str) -> Any:
    path = folder / "mine.yaml"
    path.write_text(content, encoding="utf-8")
    name, parsed = read_space(path)
    assert name == str(path)
    return parsed


@pytest.mark.parametrize("name", ["space.yaml", "space.yml", "space.json"])
def test_a_path_is_read_given_as_text_or_as_a_path(tmp_path: Path, name: str) -> None:
    path, content = tmp_path / name, {"model": "net", "parameters": {}}
    path.write_text(json.dumps(content))
    assert read_space(path) == read_space(str(path)) == (str(path), content)


def test_a_path_needs_no_suffix_if_it_has_a_separator_or_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recvae").write_text("model: mine")
    assert read_space("./recvae") == ("./recvae", {"model": "mine"})
    assert read_space(Path("recvae")) == ("recvae", {"model": "mine"})
    assert read_space("recvae") != ("recvae", {"model": "mine"}), (
        "a bare name is the package's, not the folder's"
    )


def test_packaged_spaces_have_names() -> None:
    names = available_spaces()
    assert {"popularity", "recvae", "recvae-demo"} <= set(names)
    assert list(names) == sorted(names)
    for name in names:
        shown, content = read_space(name)
        assert shown == name
        assert isinstance(content, dict)
        assert content["model"]


@pytest.mark.parametrize("source", ["gone.yaml", "folder/gone", "."])
def test_a_missing_file_is_refused(source: str) -> None:
    with pytest.raises(SpaceError) as refusal:
        read_space(source)
    assert str(refusal.value).startswith(f"{source}: no such ")
    assert "recvae" in str(refusal.value), "what there is instead"


def test_a_folder_is_no_space(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"no such file; give a search space's path, or one of .*recvae"):
        read_space(tmp_path)


def test_of_another_packages_model_it_says_where_a_space_would_be() -> None:
    with pytest.raises(SpaceError, match="its entry brings no search space; let it have a `space`"):
        read_space("tests.training.anothers:without_a_space")


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        SpaceError,
        match=r"^recvea: no such search space; did you mean 'recvae'.*; choose from .*or give a path$",
    ):
        read_space("recvea")


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.yaml"
    path.touch()

    def broken(*_: Any, **__: Any) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files_module, "read_regular", broken)
    with pytest.raises(SpaceError) as refusal:
        read_space(path)
    assert str(refusal.value) == f"{path}: cannot be read: Input/output error"


def test_a_key_may_go_over_one_that_was_merged(tmp_path: Path) -> None:
    """A mapping that merges one that merges a third was told that its key is given twice."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "a: &a {low: 1, high: 2}\nb: &b {<<: *a, high: 3}\nc: {<<: *b, low: 0}\nd: [{<<: *b, high: 4}, *b]\n"
    )
    assert read_space(path)[1] == {
        "a": {"low": 1, "high": 2},
        "b": {"low": 1, "high": 3},
        "c": {"low": 0, "high": 3},
        "d": [{"low": 1, "high": 4}, {"low": 1, "high": 3}],
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model: [", "is not YAML: "),
        (
            "model: net\nparameters:\n  size: {type: int, low: 1}\n  size: {type: int, low: 2}",
            "is not YAML: 'size' is given twice (line 4, column 3)",
        ),
        (
            "model: net\nparameters: {size: {type: int, low: 1, low: 2, high: 99}}",
            "'low' is given twice (line 2, column 40)",
        ),
        ("1: a\n1.0: b", "1.0 is given twice (line 2, column 1)"),  # equal keys, though other text
        ("model: net\n---\nmodel: net", "is not YAML: "),
        ("model: !!python/object/apply:os.getcwd []", "is not YAML: could not determine a constructor"),
        ("{[1]: 2}", "is not YAML: a name is not text (line 1, column 2)"),
        ("model: \x07", "is not YAML: "),  # an error without a place
        ("[" * 5000, "is not a search space: it is nested too deeply"),
        ("model: 2026-13-45", "a value in it is impossible: month must be in 1..12"),
        (f"model: {'9' * 5000}", "a value in it is impossible"),
        (b"\xff\xfe\x00", "is not UTF-8 text; a search space is a YAML file"),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_a_damaged_file_is_refused_with_its_name(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SpaceError) as refusal:
        read_space(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_exponents_without_a_point_are_numbers(tmp_path: Path) -> None:
    """YAML 1.1, which PyYAML follows, takes 1e-4 for text."""
    for text in ("1e-4", "1E+0", "-5e3", "+2e10", "1.e5", "1.5e3", "0e0"):
        value = read(tmp_path, f"low: {text}")["low"]
        assert isinstance(value, float)
        assert value == float(text)


def test_what_only_looks_like_an_exponent_is_text(tmp_path: Path) -> None:
    for text in ("e5", "1e", "1e-", "1e5x", "x1e5", "1e5.5", "one_of"):
        assert read(tmp_path, f"low: {text}") == {"low": text}
    assert read(tmp_path, "low: '1e-4'") == {"low": "1e-4"}, "quoted is text"


def test_ordinary_yaml_means_what_it_does_elsewhere(tmp_path: Path) -> None:
    assert read(tmp_path, "") is None
    assert read(tmp_path, "[1, 2.5, x, true, null]") == [1, 2.5, "x", True, None]
    assert read(tmp_path, "größe: 1") == {"größe": 1}


def test_a_range_may_be_named_merged_and_changed(tmp_path: Path) -> None:
    """The key of a merge may come again: that is what merging is for."""
    content = (
        "a: &a {type: int, low: 1}\nb: &b {low: 3, high: 9}\nc: {<<: *a, low: 2}\nd: {<<: [*a, *b]}\ne: *a"
    )
    assert read(tmp_path, content) == {
        "a": {"type": "int", "low": 1},
        "b": {"low": 3, "high": 9},
        "c": {"type": "int", "low": 2},
        "d": {"type": "int", "low": 1, "high": 9},
        "e": {"type": "int", "low": 1},
    }
