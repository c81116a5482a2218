"""What a continued trial resumes from is said before anything starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from distrecvae.errors import ConfigError, ResultsError
from distrecvae.search.core.requests import Request
from distrecvae.search.living.going_on import before_going_on
from tests import ROOT

KEPT = ROOT / "tests" / "kept" / "search-2"


def asked(trial: int, passes: int) -> Request:
    return Request(action="continue", trials=[trial], number=passes)


def test_it_says_from_where(tmp_path: Path) -> None:
    shutil.copytree(KEPT, tmp_path / "mine")
    said = before_going_on(tmp_path / "mine", asked(5, 40))
    assert said == "trial 5 continues from 16 passes to at most 40; its checkpoint has 16 passes"
    said = before_going_on(tmp_path / "mine", asked(3, 40))
    assert said.endswith("its checkpoint is not kept, so it is trained again from its first pass")


def test_what_cannot_go_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give --max-passes 20 or more"):
        before_going_on(KEPT, asked(5, 17))
    with pytest.raises(ResultsError, match="holds no search"):
        before_going_on(tmp_path, asked(5, 17))
