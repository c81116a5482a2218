"""`ray up cluster/on-prem.yaml` for real, on three hosts made of this machine that share nothing but the network.

During a search a worker is cut off, then the head loses its power and is started again with its disk.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from distrecvae.data.io import save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.layout import STATE_FILE
from tests import HANGS_AFTER_S, ROOT
from tests.cluster.hosts import Hosts, listens, why_not
from tests.results import reports_of

RAY = str(Path(sys.executable).with_name("ray"))
TRIALS = 8
PASSES = 400
LOST = "lost its process or its node; it continues from its last checkpoint"
JOB_LOG = "/tmp/ray/session_latest/logs/job-driver-search.log"  # noqa: S108  (on a host)
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


def test_a_search_on_three_hosts_outlives_a_worker_and_the_head(
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
    ray("rsync-up", file, f"{hosts.base}/data", "/root/data/")
    ray("rsync-up", file, f"{hosts.base}/space.yaml", "/root/space.yaml")
    out = hosts.disk(0) / "root/runs/search"  # as this machine sees it

    def reported() -> set[int]:
        return {line["trial"] for line in reports_of(out)}

    before = [hosts.received_bytes(number) for number in range(3)]
    search = (
        "python -m distrecvae.job --data /root/data/data --space /root/space.yaml --out /root/runs/search"
        f" --trials {TRIALS} --max-passes {PASSES} --scheduler none --sampler random --checkpoint-every 1"
        " --elastic --concurrent 4 --gpus-per-trial 0"
    )
    address = f"http://127.0.0.1:{PORT}"

    @contextmanager
    def tunnel() -> Iterator[None]:
        # A foreground command of the person's own: here, a child that ends with the block.
        with subprocess.Popen(
            [RAY, "dashboard", "--port", PORT, file],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                wait(lambda: listens(int(PORT)), "no tunnel")
                yield
            finally:
                process.terminate()

    def submit(name: str) -> None:
        ray(
            "job", "submit", "--address", address, "--submission-id", name, "--no-wait", "--", *search.split()
        )

    try:
        with tunnel():
            refused = subprocess.run(
                [RAY, "job", "list", "--address", address],
                env={**environment, "HOME": "/nonexistent", "RAY_AUTH_TOKEN": "0" * len(token)},
                capture_output=True,
                text=True,
                check=False,
            )
            assert refused.returncode != 0, "the job server takes any token"
            submit("search")
            wait(lambda: bool(reported()), "no trial reports")
            first_s = time.monotonic() - begun
            wait(lambda: len(reported()) >= 4, "not all workers work")
            wait(
                lambda: "ray::ImplicitFunc" in hosts.ssh(2, "ps -eo args").stdout, "no trial on the last host"
            )
            states = [out / f"trials/{number:05d}" / STATE_FILE for number in range(4)]
            wait(lambda: all(state.exists() for state in states), "not every trial's state is kept")
            for number in (1, 2):
                assert not list(hosts.disk(number).rglob(STATE_FILE)), (
                    "a worker wrote a state on its own host"
                )
            hosts.cut(2)
            cut_at, at_cut = time.monotonic(), len(reports_of(out))
            # What the host was training continues from the states that the head has, on the other one.
            wait(lambda: LOST in hosts.ssh(0, f"cat {JOB_LOG}").stdout, "the lost host is not noticed")
            noticed_s = time.monotonic() - cut_at
        hosts.fail(0)
        hosts.mend(2)
        written = (out / "ledger.jsonl").read_bytes()
        at_failure = len(reported())
        failed_at = time.monotonic()
        hosts.restart(0)
        ray("up", "-y", file)
        with tunnel():
            submit("again")
            wait(
                lambda: json.loads((out / "search.json").read_text(encoding="utf-8"))["status"] == "finished",
                "the search does not end",
            )
            ended_s = time.monotonic() - failed_at
            wait(
                lambda: "succeeded" in ray("job", "status", "--address", address, "again"),
                "the job does not end",
            )
            log = ray("job", "logs", "--address", address, "again")
    except AssertionError:
        print(hosts.ssh(0, "tail -c 4000 /tmp/ray/session_latest/logs/job-driver-*.log; ray status").stdout)
        raise
    received = [hosts.received_bytes(number) - before[number] for number in range(3)]

    fetched = hosts.base / "fetched"
    fetched.mkdir()
    ray("rsync-down", file, "/root/runs/search/", f"{fetched}/")
    ray("down", "-y", file)
    table = pd.read_parquet(fetched / "trials.parquet")
    assert at_failure < TRIALS, "it was over before the head failed"
    assert at_cut < len(reports_of(fetched))
    assert (fetched / "ledger.jsonl").read_bytes().startswith(written[: written.rfind(b"\n") + 1])
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
    assert "Traceback" not in log
    assert hosts.ssh(0, "pgrep -c raylet || true").stdout.strip() == "0", "`ray down` left the head running"
    record_property("lost host to the word of it [s]", round(noticed_s, 1))
    record_property("lost head to the end [s]", round(ended_s, 1))
    record_property("ray up [s]", round(up_s, 1))
    record_property("ray up to first report [s]", round(first_s, 1))
    record_property("received by host [bytes]", received)
    print(
        f"\nray up {up_s:.1f} s, to the first report {first_s:.1f} s, from the cut to the word of it"
        f" {noticed_s:.1f} s, from the head's failure to the end {ended_s:.1f} s"
    )
    print(f"received by head and workers: {received} bytes")
