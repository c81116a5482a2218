"""What ships with the package is found by name, in a checkout and in a wheel; a path is never taken for a name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from distrecvae.packaged import (
    PACKAGED_FOLDERS,
    PROJECT_FILES,
    built_from,
    is_path,
    packaged_file,
    packaged_names,
)
from tests import ROOT

KINDS = ("configs", "search_spaces")


@pytest.mark.parametrize(
    "source", ["a.yaml", "a.yml", "a.json", "./a", "a/b", "a\\b", "/", ".yaml", "../recvae", "C:\\a"]
)
def test_a_separator_or_a_suffix_makes_a_path(source: str) -> None:
    assert is_path(source)


@pytest.mark.parametrize("source", ["recvae", "recvae-demo", "", "a.b", "yaml", "a.yaml.old", "recvae.YAML"])
def test_anything_else_is_a_name(source: str) -> None:
    assert not is_path(source)


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_those_of_the_yaml_files_sorted(kind: str) -> None:
    names = packaged_names(kind)
    assert names
    assert list(names) == sorted(path.stem for path in (ROOT / kind).glob("*.yaml"))
    assert not any(is_path(name) for name in names), "a name that is taken for a path could not be given"


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_has_its_file(kind: str) -> None:
    for name in packaged_names(kind):
        file = packaged_file(kind, name)
        assert file is not None
        assert file.read_bytes() == (ROOT / kind / f"{name}.yaml").read_bytes()


def test_a_name_that_is_not_there_is_none() -> None:
    assert packaged_file("search_spaces", "recvea") is None
    assert packaged_file("search_spaces", "recvae.yaml") is None
    assert packaged_file("search_spaces", "") is None


def test_a_folder_that_does_not_ship_has_no_names() -> None:
    assert packaged_names("recipes") == ()
    assert packaged_file("recipes", "recvae") is None


def installed(folder: Path, expression: str) -> Any:
    """Evaluate in a process whose distrecvae is a copy of two modules in `folder`; the value goes through JSON."""
    package = folder / "distrecvae"
    package.mkdir(parents=True, exist_ok=True)
    for name in ("__init__.py", "packaged.py"):
        (package / name).write_bytes((ROOT / "distrecvae" / name).read_bytes())
    code = f"import json, sys; sys.path.insert(0, {str(folder)!r})\n" + (
        f"from distrecvae.packaged import built_from, packaged_file, packaged_names\nprint(json.dumps({expression}))"
    )
    # Not through an editable install's finder: -S leaves site-packages out, and -I the working directory.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_a_wheel_has_them_in_the_package_and_looks_nowhere_else(tmp_path: Path) -> None:
    inside, beside = tmp_path / "distrecvae" / "configs", tmp_path / "configs"
    for folder, name in ((inside, "b"), (inside, "a"), (beside, "not-ours")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(f"{name}: 1")
    (inside / "README.md").touch()
    assert installed(tmp_path, "packaged_names('configs')") == ["a", "b"]
    assert installed(tmp_path, "packaged_file('configs', 'a').read_text()") == "a: 1"
    assert installed(tmp_path, "packaged_file('configs', 'not-ours')") is None


def test_a_checkout_has_them_beside_the_package(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "a.yaml").write_text("a: 1")
    assert installed(tmp_path, "packaged_names('configs')") == ["a"]
    assert installed(tmp_path, "packaged_file('configs', 'a').read_text()") == "a: 1"


@pytest.mark.parametrize("part", ["distrecvae", *PROJECT_FILES, *PACKAGED_FOLDERS])
def test_all_that_the_package_is_built_from_is_there(part: str) -> None:
    assert built_from(part) == ROOT / part
    assert built_from(part).exists()


def test_a_wheel_has_what_it_is_built_from_in_the_package(tmp_path: Path) -> None:
    package = tmp_path / "distrecvae"
    for part, place in {
        "distrecvae": package,
        "configs": package / "configs",
        "pyproject.toml": package / "project_files" / "pyproject.toml",
    }.items():
        assert installed(tmp_path, f"str(built_from({part!r}))") == str(place)
