"""`ray up cluster/on-prem.yaml` for real, on three hosts made of this machine; one is lost during a search."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from distrecvae.data.io import save_dataset
from distrecvae.data.synthetic import synthetic_split
from tests import HANGS_AFTER_S, ROOT
from tests.cluster.hosts import Hosts, listens, why_not
from tests.results import reports_of

RAY = str(Path(sys.executable).with_name("ray"))
TRIALS = 6
PASSES = 120
PORT = "28265"
SPACE = """
model: recvae
parameters: {learning_rate: {type: float, low: 1.0e-4, high: 1.0e-2, log: true}}
fixed: {latent_dim: 8, hidden_dim: 24, batch_size: 200}
"""

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not())]


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    # Not in /tmp: each host has its own.
    made = Hosts(Path(tempfile.mkdtemp(dir="/var/tmp", prefix="drh")), 3)
    try:
        made.up()
        yield made
    finally:
        made.down()


def cluster_file(hosts: Hosts) -> Path:
    """Write cluster/on-prem.yaml with the values that a person would change."""
    text = (ROOT / "cluster/on-prem.yaml").read_text(encoding="utf-8")
    for old, new in {
        r"head_ip: \S+": f"head_ip: {hosts.address(0)}",
        r"worker_ips: \[.*\]": f"worker_ips: [{hosts.address(1)}, {hosts.address(2)}]",
        r"ssh_user: \S+": "ssh_user: root",
        r"ssh_private_key: \S+": f"ssh_private_key: {hosts.key}",
        r"(?<=[ /])/shared/": f"{hosts.shared}/",
        r"ray start --head": "ray start --head --num-cpus=0",  # two cores are all there is for three hosts
    }.items():
        text, count = re.subn(old, new, text)
        assert count, old
    path = hosts.base / "on-prem.yaml"
    path.write_text(text, encoding="utf-8")
    yaml.safe_load(text)
    return path


def wait(condition: Callable[[], bool], what: str, timeout_s: float = HANGS_AFTER_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def test_a_search_on_three_hosts_outlives_one_of_them(
    hosts: Hosts, record_property: Callable[..., None]
) -> None:
    home = hosts.base / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "RAY_TMPDIR": str(hosts.base), "RAY_AUTH_MODE": "token"}
    environment["PATH"] = f"{Path(RAY).parent}:{environment['PATH']}"

    def ray(*arguments: str, timeout_s: float = HANGS_AFTER_S) -> str:
        done = subprocess.run(
            [RAY, *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"ray {arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    split = synthetic_split(n_users=1200, n_items=200, seed=1)
    save_dataset(split, hosts.base / "data", {"source": "synthetic"})
    (hosts.base / "space.yaml").write_text(SPACE, encoding="utf-8")
    token = ray("get-auth-token", "--generate")
    file = str(cluster_file(hosts))

    begun = time.monotonic()
    ray("up", "-y", file)
    up_s = time.monotonic() - begun
    ray("rsync-up", file, f"{hosts.base}/data", f"{hosts.shared}/data/")
    out = hosts.shared / "runs/search"

    def reported() -> set[int]:
        return {line["trial"] for line in reports_of(out)}

    before = [hosts.received_bytes(number) for number in range(3)]
    search = (
        f"python -m distrecvae.job --data {hosts.shared}/data/data --space {hosts.base}/space.yaml --out {out}"
        f" --trials {TRIALS} --max-passes {PASSES} --scheduler none --sampler random --checkpoint-every 1"
        " --elastic --concurrent 4 --gpus-per-trial 0"
    )
    # The tunnel is a foreground command of the person's own: here, a child that ends with the test.
    with subprocess.Popen(
        [RAY, "dashboard", "--port", PORT, file],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as tunnel:
        try:
            address = f"http://127.0.0.1:{PORT}"
            submit = ["job", "submit", "--address", address, "--submission-id", "search", "--no-wait", "--"]
            wait(lambda: listens(int(PORT)), "no tunnel")
            refused = subprocess.run(
                [RAY, "job", "list", "--address", address],
                env={**environment, "HOME": "/nonexistent", "RAY_AUTH_TOKEN": "0" * len(token)},
                capture_output=True,
                text=True,
                check=False,
            )
            assert refused.returncode != 0, "the job server takes any token"
            ray(*submit, *search.split())
            wait(lambda: bool(reported()), "no trial reports")
            first_s = time.monotonic() - begun
            wait(lambda: len(reported()) >= 4, "not all workers work")
            wait(
                lambda: "ray::ImplicitFunc" in hosts.ssh(2, "ps -eo args").stdout, "no trial on the last host"
            )
            hosts.cut(2)
            cut_at = time.monotonic()
            at_cut = len(reported())
            wait(
                lambda: json.loads((out / "search.json").read_text(encoding="utf-8"))["status"] == "finished",
                "the search does not end",
            )
            ended_s = time.monotonic() - cut_at
            wait(
                lambda: "succeeded" in ray("job", "status", "--address", address, "search"),
                "the job does not end",
            )
            log = ray("job", "logs", "--address", address, "search")
        except AssertionError:
            print(
                hosts.ssh(
                    0, "tail -c 4000 /tmp/ray/session_latest/logs/job-driver-search.log; ray status"
                ).stdout
            )
            raise
        finally:
            tunnel.terminate()
    received = [hosts.received_bytes(number) - before[number] for number in range(3)]

    fetched = hosts.base / "fetched"
    fetched.mkdir()
    ray("rsync-down", file, f"{out}/", f"{fetched}/")
    ray("down", "-y", file)
    table = pd.read_parquet(fetched / "trials.parquet")
    assert at_cut < TRIALS, "it was over before the host was cut off"
    assert table["trial"].tolist() == list(range(TRIALS))
    assert set(table["status"]) == {"finished"}, table[["trial", "status", "reason"]].to_string()
    points = pd.read_parquet(fetched / "history.parquet")
    for number in range(TRIALS):
        mine = points[points["trial"] == number]["passes"]
        assert mine.is_monotonic_increasing
        assert mine.is_unique
        assert mine.iloc[-1] == PASSES
        events = EventAccumulator(str(fetched / f"trials/{number:05d}"), {"tensors": 0}).Reload()
        assert [point.step for point in events.Tensors("valid/ndcg_100")] == mine.tolist()
    assert (fetched / "best/model.safetensors").exists()
    assert f"{TRIALS} of {TRIALS} trials" in log
    assert "lost its process or its node; it goes on from its last checkpoint" in log
    assert "Traceback" not in log
    assert hosts.ssh(0, "pgrep -c raylet || true").stdout.strip() == "0", "`ray down` left the head running"
    record_property("lost host to the end [s]", round(ended_s, 1))
    record_property("ray up [s]", round(up_s, 1))
    record_property("ray up to first report [s]", round(first_s, 1))
    record_property("received by host [bytes]", received)
    print(
        f"\nray up {up_s:.1f} s, to the first report {first_s:.1f} s, from the cut to the end {ended_s:.1f} s"
    )
    print(f"received by head and workers: {received} bytes")
