"""Mistakes that people make in cluster files, planted in copies of ours: planted.yaml has them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import yaml

from distrecvae.search.doctor.cluster.examination import examine_file
from distrecvae.search.doctor.finding import Finding
from tests import ROOT

FILES = ("cluster.yaml", "gcp.yaml", "on-prem.yaml", "kuberay-rayjob.yaml")


class Planted(NamedTuple):
    """A mistake.

    Attributes:
        name: what it is.
        file: the file that it is made in.
        old: a pattern; its first match is replaced.
        new: by what.
        said: part of the finding.
        remedy: part of the remedy.
    """

    name: str
    file: str
    old: str
    new: str
    said: str
    remedy: str


def copy_with(planted: Planted, folder: Path) -> Path:
    """Return a copy of the file with the mistake in it."""
    written = (ROOT / "cluster" / planted.file).read_text(encoding="utf-8")
    changed, times = re.subn(planted.old, planted.new, written, count=1, flags=re.MULTILINE)
    assert times == 1, f"{planted.file} has nothing like {planted.old}"
    assert changed != written
    path = folder / planted.file
    path.write_text(changed, encoding="utf-8")
    return path


def said_of(path: Path) -> list[Finding]:
    """Return what the doctor finds wrong with a file."""
    return [finding for finding in examine_file(path) if finding.remedy is not None]


def names(planted: Planted, findings: list[Finding]) -> bool:
    """Tell whether one of the findings is of the mistake, in one line with its remedy."""
    return any(
        planted.said in finding.text
        and planted.remedy in str(finding.remedy)
        and "\n" not in finding.text + str(finding.remedy)
        for finding in findings
    )


def _planted() -> dict[str, list[Planted]]:
    path = Path(__file__).with_name("planted.yaml")
    rooms = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {room: [Planted(**mistake) for mistake in mistakes] for room, mistakes in rooms.items()}


ALL = _planted()
"""By the module that finds them."""
