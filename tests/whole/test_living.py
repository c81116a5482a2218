"""An evening with a search, on a real Ray: steered, paused, killed at a request, resumed, ended, asked, trained on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import distrecvae
from distrecvae.errors import ConfigError, ResultsError
from distrecvae.search.core.chain import read_chain
from distrecvae.search.core.ledger import read_records
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.core.requests import Request
from distrecvae.search.folder.mailbox import Mailbox
from distrecvae.search.living.explanation import ADDED
from tests import HANGS_AFTER_S
from tests.results import n_reports
from tests.sites import Site, typed_here
from tests.whole.test_search import wait_for

# Long trials, so that nothing ends by itself while it is steered.
LONG = ("--trials", "30", "--max-passes", "100000", "--scheduler", "none", "--concurrent", "2",
        "--checkpoint-every", "3600", "--out", "evening")  # fmt: skip
NOTE = "import os; open('told', 'a').write(os.environ['DISTRECVAE_EVENT'] + chr(10))"


def records(folder: Path) -> dict[int, TrialRecord]:
    return read_records(folder, "valid/ndcg_100")


def running(folder: Path) -> list[int]:
    return [n for n, record in records(folder).items() if record.status is Status.RUNNING]


def steered(folder: Path) -> list[tuple[str, bool]]:
    lines = read_chain(folder / "ledger.jsonl").records
    return [(line["what"]["action"], line["done"]) for line in lines if line["kind"] == "steered"]


def command(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Type a command here: in another process than the search's."""
    return typed_here(site.folder, *arguments)


def workers_say(doing: str, folder: Path) -> bool:
    """Tell whether some worker is at that, as seen from elsewhere."""
    return any(record.doing == doing for record in distrecvae.top(folder).records.values())


def stands_still(folder: Path, process: Any) -> None:
    """Wait until no trial reports any more: all workers were given back."""
    seen = -1
    while seen != n_reports(folder):
        assert process.poll() is None
        seen = n_reports(folder)
        time.sleep(3.0)  # a cycle takes a tenth of a second; workers look every 2 s whether they are to go


@pytest.mark.ray
@pytest.mark.usefixtures("cluster")
def test_an_evening(site: Site) -> None:
    folder = site.folder / "evening"
    notify = f"{sys.executable} -c {json.dumps(NOTE)}"
    with site.searching(*LONG, "--notify", notify, environment=site.unhurried()) as process:
        wait_for(lambda: n_reports(folder) >= 4 and len(records(folder)) >= 2, process)
        # 1. A hand on it.
        done = command(site, "steer", "evening", "narrow", "learning_rate=0.0005:0.005")
        assert (done.returncode, done.stdout) == (
            0,
            "learning_rate is 0.0005 to 0.005, log from the next trial on\n",
        )
        assert distrecvae.steer(folder, "add", "latent_dim=16", "learning_rate=0.002") == "it will be trial 2"
        with pytest.raises(ConfigError, match="trial 2, which was added and has not begun, would not fit"):
            distrecvae.steer(folder, "fix", "latent_dim=8")
        with pytest.raises(ConfigError, match="there is no trial 77"):
            distrecvae.steer(folder, "stop", 77)
        assert distrecvae.steer(folder, "stop", 1) == "stopped trial 1"
        wait_for(lambda: 2 in records(folder) and bool(records(folder)[2].reports), process)
        assert distrecvae.steer(folder, "fix", "latent_dim=8").startswith("latent_dim is 8")
        # 2. How it stands, from elsewhere.
        shown = command(site, "top", "evening", "--once")
        assert "1 of 30 trials ended, 2 running" in shown.stdout
        wait_for(lambda: workers_say("training", folder), process)
        assert "running" in command(site, "list", ".").stdout
        with pytest.raises(ResultsError, match="is in use"):
            distrecvae.clean(folder, yes=True)
        # 3. The night: workers are given back with all that they have, and the driver is killed at the next request.
        distrecvae.steer(folder, "pause")
        stands_still(folder, process)
        assert distrecvae.top(folder).headline().startswith("recvae on data: paused")
        before = {n: record.passes for n, record in records(folder).items()}
        Mailbox(folder).send(Request(action="go"))
        process.send_signal(signal.SIGKILL)
        process.wait()
    if not Mailbox(folder).names:  # it had heard that one before it died: then it is in the ledger
        assert steered(folder)[-1] == ("go", True)
    # 4. The morning: it continues from where it was, steered as it was.
    with site.searching(*LONG, "--resume", "--notify", notify, environment=site.unhurried()) as process:
        wait_for(
            lambda: all(r.passes > before[n] for n, r in records(folder).items() if n in running(folder)),
            process,
        )
        assert ("go", True) in steered(folder)
        assert distrecvae.steer(folder, "concurrent", 1).startswith("1 trial at a time")
        assert distrecvae.steer(folder, "end").startswith("it ends: 2 trials are stopped")
        out, _ = process.communicate(timeout=HANGS_AFTER_S)
    assert process.returncode == 0, out
    found = records(folder)
    assert [str(record.status) for record in found.values()] == ["stopped"] * 3
    assert f"{len(found)} of {len(found)} trials" in out
    assert [action for action, done in steered(folder) if done] == [
        "narrow", "add", "stop", "fix", "pause", "go", "concurrent", "end"
    ]  # fmt: skip
    assert (site.folder / "told").read_text(encoding="utf-8").splitlines()[-1] == "end"
    assert distrecvae.top(folder).to_go() == ""
    # 5. Why, and again.
    assert distrecvae.why(folder, trial=2).origin.kind == ADDED
    assert found[2].config["latent_dim"] == 16
    assert distrecvae.why(folder, trial=2).origin.again
    assert distrecvae.reproduce(folder, trial=2, until=2, data=site.folder / "data").same
    # 6. One trains on, from its checkpoint, after the search is over.
    more = found[2].passes + 8
    gone_on = command(site, "continue", "evening", "--trial", "2", "--max-passes", str(more))
    assert gone_on.returncode == 0, gone_on.stdout + gone_on.stderr
    assert "trial 2 continues from" in gone_on.stdout
    record = records(folder)[2]
    assert (record.status, record.max_passes) == (Status.FINISHED, more)
    assert record.passes > found[2].passes
    assert record.reports[: len(found[2].reports)] == found[2].reports, "what was reported stands"
