"""A kept search that is searched on, without Ray."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from distrecvae.search.on_ray import session, tuning
from tests import ROOT
from tests.whole.test_bad_input import without_ray
from tests.whole.test_extend import run_here

KEPT = ROOT / "tests" / "kept"


def kept_here(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of a kept search, `mine`, beside its data in `folder`; trials are run in this process."""
    shutil.copytree(KEPT / "data", folder / "data")
    shutil.copytree(KEPT / name, folder / "mine")
    monkeypatch.chdir(folder)
    without_ray(monkeypatch)
    monkeypatch.setattr(session, "lend", lambda split, _: split)
    monkeypatch.setattr(tuning, "run_trials", run_here)
    return Path("mine")
