"""What a release has: everything that is needed, and nothing else. Built by its own builder, in this process.

`.ci/release` builds it in isolation, installs it and uses it away from the checkout.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

import distrecvae
from distrecvae.packaged import PACKAGED_FOLDERS, PROJECT_FILES
from tests import ROOT

hatchling = pytest.importorskip("hatchling", reason="needs hatchling (pip install '.[test]')")

IGNORED = ("__pycache__", ".pyc")


def build(root: Path, target: str, folder: Path) -> Path:
    """Build the package that lies at `root`, in a process of its own: hatchling goes by the working directory."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (built,) = folder.iterdir()
    return built


def names_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def files_below(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not any(part in str(path) for part in IGNORED)
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel") / "dist")


def test_the_wheel_has_the_package_its_files_and_nothing_else(wheel: Path) -> None:
    wanted = {f"distrecvae/{name}" for name in files_below(ROOT / "distrecvae")}
    for folder in PACKAGED_FOLDERS:
        wanted |= {f"distrecvae/{folder}/{name}" for name in files_below(ROOT / folder)}
    wanted |= {f"distrecvae/project_files/{name}" for name in PROJECT_FILES}
    described = f"distrecvae-{distrecvae.__version__}.dist-info"
    wanted |= {
        f"{described}/{name}"
        for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }
    assert names_of(wheel) == wanted
    assert wheel.name == f"distrecvae-{distrecvae.__version__}-py3-none-any.whl"
    assert wheel.stat().st_size < 2 << 20, "no data set, no recorded result"


def test_nodes_build_the_same_wheel_from_an_installed_one(wheel: Path, tmp_path: Path) -> None:
    # What `ray up` copies from where the wheel lies: two folders were not among it once, and no node had the package.
    site, node = tmp_path / "site", tmp_path / "node"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)  # noqa: S202  (ours, just built)
    done = subprocess.run(
        [sys.executable, "-m", "distrecvae", "cluster", "init", "on-prem"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    mounts = yaml.safe_load((tmp_path / "on-prem.yaml").read_text(encoding="utf-8"))["file_mounts"]
    for remote, local in mounts.items():
        place = node / remote.removeprefix("~/distrecvae/")
        if "auth_token" in remote:
            continue
        assert Path(local).is_relative_to(site)
        place.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if Path(local).is_dir() else shutil.copy)(local, place)
    again = build(node, "wheel", tmp_path / "again")
    assert names_of(again) == names_of(wheel)
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert all(first.read(name) == second.read(name) for name in names_of(wheel))


def test_the_sdist_has_what_its_tests_look_at(tmp_path: Path) -> None:
    with tarfile.open(build(ROOT, "sdist", tmp_path / "dist")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("distrecvae", "tests", "docs", *PACKAGED_FOLDERS):
        assert {f"{folder}/{name}" for name in files_below(ROOT / folder)} <= names
    tops = {name.partition("/")[0] for name in names}
    assert {
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CITATION.cff",
        "constraints.txt",
        ".ci",
    } <= tops
    assert tops <= {path.name for path in ROOT.iterdir()} | {"PKG-INFO"}
    assert not any(name.startswith("benchmarks/results") for name in names), "megabytes that no test reads"


def test_the_version_is_one() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == distrecvae.__version__
    assert (cited["cff-version"], cited["type"], cited["license"]) == ("1.2.0", "software", "MIT")
    assert re.search(r"^## (Unreleased|" + re.escape(distrecvae.__version__) + r"\b)",
                     (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)  # fmt: skip


def test_hooks_run_what_the_check_runs_and_fetch_nothing() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in hooks["repos"]] == ["local"]
    typed = [hook["entry"] for repo in hooks["repos"] for hook in repo["hooks"]]
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (check,) = re.findall(r"^ruff check .*pytest.*$", page, re.MULTILINE)
    assert [words.split()[0] for words in typed] == ["ruff", "ruff", "mypy"]
    assert {" ".join(words.split()[:2]) for words in typed} <= {
        " ".join(words.split()[:2]) for words in check.split(" && ")
    }
