"""The faults do what they say, and no more: what a storm damages by mistake would be called lost."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.faults.harness import Storm
from tests.sites import Site


@pytest.fixture
def storm(tmp_path: Path) -> Storm:
    """A search of two trials, the first of which has ended; its worker is gone."""
    made = Storm(Site(tmp_path), "search", ("--trials", "2"))
    for number in range(2):
        path = made.folder / "trials" / f"{number:05d}" / "state.safetensors"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"state")
        os.utime(path, (2.0 - number, 2.0 - number))  # the ended one's is the newer one
    write(made, {"kind": "ended", "trial": 0})
    return made


def write(storm: Storm, *lines: dict[str, object]) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (storm.folder / "ledger.jsonl").write_text(text, encoding="utf-8")


def test_a_garbled_state_is_a_running_trials(storm: Storm, monkeypatch: pytest.MonkeyPatch) -> None:
    # The state of a trial that had just ended was damaged: nothing writes it again, and the expected score of the best
    # model, which rests on it, was another than the undisturbed one's.
    monkeypatch.setattr(storm, "workers", list)
    storm._garbled()
    ended, running = (path.read_bytes() for path in sorted(storm.folder.glob("trials/*/state.safetensors")))
    assert ended == b"state"
    assert running != b"state"


def test_a_driver_may_die_of_sigterm_only_once_all_trials_have_ended(storm: Storm) -> None:
    storm.output.write_text("Searching\n", encoding="utf-8")

    class Ended:
        def wait(self, _seconds: float) -> int:
            return -signal.SIGTERM

        def poll(self) -> int:
            return -signal.SIGTERM

    storm._process = Ended()  # type: ignore[assignment]
    with pytest.raises(AssertionError, match="exit status -15"):
        storm._expect({130})
    write(storm, {"kind": "ended", "trial": 0}, {"kind": "ended", "trial": 1})
    storm._expect({130})
