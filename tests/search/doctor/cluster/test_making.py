"""A cluster's file written from the package: the repository's own, whose ways lead to what is installed here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from distrecvae.errors import ResultsError
from distrecvae.packaged import PACKAGED_FOLDERS, PROJECT_FILES
from distrecvae.search.doctor.cluster import making
from distrecvae.search.doctor.cluster.commands import PARTS
from distrecvae.search.doctor.cluster.examination import examine_file
from distrecvae.search.doctor.cluster.making import CLUSTERS, make_cluster_file
from tests import ROOT


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a package as a wheel lays it out, its place has a space and a colon in it; it is taken for ours."""
    package = tmp_path / "lab: 1" / "distrecvae"
    (package / "project_files").mkdir(parents=True)
    for folder in PACKAGED_FOLDERS:
        shutil.copytree(ROOT / folder, package / folder)
    for name in PROJECT_FILES:
        shutil.copy(ROOT / name, package / "project_files" / name)

    def place(part: str) -> Path:
        inside = {"distrecvae": package, **{name: package / "project_files" / name for name in PROJECT_FILES}}
        return inside.get(part, package / part)

    monkeypatch.setattr(making, "built_from", place)
    return package


@pytest.mark.parametrize("kind", CLUSTERS)
def test_nothing_but_names_of_places_differs_from_the_repositorys(kind: str, tmp_path: Path) -> None:
    made = make_cluster_file(kind, tmp_path / "mine.yaml")
    assert [path.name for path in made.files] == ["mine.yaml", *CLUSTERS[kind][1:]]
    for name, path in zip(CLUSTERS[kind], made.files, strict=True):
        ours, written = (
            (ROOT / "cluster" / name).read_text(encoding="utf-8"),
            path.read_text(encoding="utf-8"),
        )
        assert "cluster/" not in written.replace(str(tmp_path), "").replace(str(ROOT), "").replace(
            "docs/cluster", ""
        )
        for old, new in zip(ours.splitlines(), written.splitlines(), strict=True):
            assert old == new or str(tmp_path) in new or str(ROOT) in new
        assert not made.files[0].stat().st_mode & 0o111


@pytest.mark.parametrize("kind", CLUSTERS)
def test_the_doctor_has_nothing_to_say_of_it_wherever_it_is_asked(
    kind: str, tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `ray up` was to be typed at the root of a checkout alone: a package from a wheel has none.
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (installed / "__init__.py").touch()
    made = make_cluster_file(kind)
    assert made.files[0] == Path(CLUSTERS[kind][0])
    assert [finding for path in made.files if path.name != "Dockerfile"
            for finding in examine_file(path) if finding.remedy is not None] == []  # fmt: skip


@pytest.mark.parametrize("kind", ["aws", "gcp", "on-prem"])
def test_nodes_get_the_package_that_is_installed(kind: str, tmp_path: Path, installed: Path) -> None:
    made = make_cluster_file(kind, tmp_path / "mine.yaml")
    mounts = yaml.safe_load(made.files[0].read_text(encoding="utf-8"))["file_mounts"]
    for part in PARTS:
        local = Path(mounts[f"~/distrecvae/{part}"])
        assert local.is_absolute()
        assert local.exists()
        assert local.is_relative_to(installed)


def test_the_image_gets_it_too(tmp_path: Path, installed: Path) -> None:
    made = make_cluster_file("kubernetes", tmp_path / "mine.yaml")
    image = made.files[1].read_text(encoding="utf-8")
    copies = [line.split()[1:] for line in image.splitlines() if line.startswith("COPY ")]
    found = {}
    for *sources, target in copies:
        for source in sources:
            assert (installed / source).exists(), source
            found[Path(source).name if target == "./" else target] = source
    assert set(found) == set(PARTS)
    assert found["distrecvae"] == "."
    assert (
        f"docker build -f '{made.files[1]}'" in made.commands[0] or f"-f {made.files[1]}" in made.commands[0]
    )
    assert made.commands[0].endswith(f"-t REGISTRY/distrecvae:0.2 '{installed}'")
    assert str(installed) in image, "the comment names the folder, too"


def test_what_is_to_be_changed_is_named_with_its_line(tmp_path: Path) -> None:
    made = make_cluster_file("gcp", tmp_path / "mine.yaml")
    lines = made.files[0].read_text(encoding="utf-8").splitlines()
    assert made.changes
    assert all(lines[number - 1].strip() == text for number, text in made.changes)
    assert [text.split(":")[0] for _, text in made.changes] == ["project_id", "region", "availability_zone"]


def test_nothing_is_written_over_and_then_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "iam-head.json").write_text("mine", encoding="utf-8")
    with pytest.raises(ResultsError, match=r"iam-head\.json is there already.*give --out"):
        make_cluster_file("aws", tmp_path / "cluster.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["iam-head.json"]
    assert (tmp_path / "iam-head.json").read_text(encoding="utf-8") == "mine"
    (tmp_path / "gcp.yaml").symlink_to(tmp_path / "gone")
    with pytest.raises(ResultsError, match=r"gcp\.yaml is there already"):
        make_cluster_file("gcp", tmp_path / "gcp.yaml")


def test_every_file_of_the_folder_is_some_kinds() -> None:
    assert sorted(name for names in CLUSTERS.values() for name in names) == sorted(
        path.name for path in (ROOT / "cluster").iterdir()
    )
