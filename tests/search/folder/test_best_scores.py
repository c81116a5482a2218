"""What was written of a chosen model's scores is read back, under each name that the first trial has had."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from distrecvae.search.folder.best_scores import read_best_scores
from tests import ROOT
from tests.search.report.made import best_scores, first_scores, group_scores

FIRST = first_scores(group_scores(0.3), group_scores(0.2), (0.1, 0.01), (0.05, 0.02))
SCORES = best_scores(3, group_scores(0.4), group_scores(0.3), FIRST)


def write(folder: Path, document: Any) -> None:
    (folder / "best").mkdir(exist_ok=True)
    (folder / "best" / "metrics.json").write_text(json.dumps(document), encoding="utf-8")


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    nobody = best_scores(0, group_scores(0.4), group_scores(None, skipped=3))
    for scores in (SCORES, nobody):
        write(tmp_path, asdict(scores))
        assert read_best_scores(tmp_path) == scores


def test_the_first_trial_is_read_under_the_name_that_it_had(tmp_path: Path) -> None:
    # It was `published`, in a file that says what was published in the folder, of a trial that need not be so.
    document = asdict(SCORES)
    document["published"] = document.pop("first")
    write(tmp_path, document)
    assert read_best_scores(tmp_path) == SCORES
    del document["published"]  # as it was where there was nothing to compare with
    write(tmp_path, document)
    found = read_best_scores(tmp_path)
    assert found is not None
    assert found.first is None


def test_the_kept_folders_scores_are_read() -> None:
    for folder in sorted((ROOT / "tests" / "kept").glob("search-*")):
        found = read_best_scores(folder)
        assert found is not None
        assert found.first is not None
        assert (found.trial, found.first.trial) == (5, 0)


@pytest.mark.parametrize(
    "changed",
    [
        {"trial": "3"},
        {"test": {"mean": {}}},
        {"selected_by": None},
        {"surprise": 1},
        {"ledger": {"lines": 3}},
    ],
)
def test_what_does_not_fit_is_not_taken_for_scores(changed: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path, {**asdict(SCORES), **changed})
    assert read_best_scores(tmp_path) is None


def test_a_folder_without_a_model_has_no_scores(tmp_path: Path) -> None:
    assert read_best_scores(tmp_path) is None
