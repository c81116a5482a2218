"""The layout of results folders: names that folders already on people's disks have, so they stay as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae import layout
from distrecvae.layout import trial_folder


def test_the_names_are_those_that_are_on_disks_already() -> None:
    # A changed name makes every folder of an older version unreadable: --resume would not know it.
    found = {name: value for name, value in vars(layout).items() if name.isupper()}
    assert found == {
        "RUN_FILE": "run.json",
        "SEARCH_FILE": "search.json",
        "COMPARISON_FILE": "compare.json",
        "BLEND_FILE": "blend.json",
        "BLEND_FOLDER": "blend",
        "DATA_FOLDER": "data",
        "BEST_FOLDER": "best",
        "CONFIG_FILE": "config.json",
        "METRICS_FILE": "metrics.json",
        "STATE_FILE": "state.safetensors",
        "REPORT_FILE": "report.html",
        "SUMMARY_FILE": "summary.txt",
        "LEDGER_FILE": "ledger.jsonl",
        "JOURNAL_FILE": "study.journal",
        "REQUESTS_FOLDER": "requests",
        "LIVE_FILE": "live.json",
        "TRACEBACK_FILE": "error.txt",
    }


@pytest.mark.parametrize(
    ("number", "name"), [(0, "00000"), (42, "00042"), (99_999, "99999"), (123_456, "123456")]
)
def test_a_trials_folder_is_its_number_of_five_digits_or_more(number: int, name: str) -> None:
    assert trial_folder(Path("out"), number) == Path("out/trials") / name


def test_trials_are_listed_in_their_order() -> None:
    folders = [str(trial_folder(Path("out"), number)) for number in (2, 9, 10, 101, 99_999)]
    assert sorted(folders) == folders
