"""`ray job submit` of the documented entry point: its driver is killed in the middle, the job ends by itself."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pandas as pd
import psutil
import pytest

from tests import HANGS_AFTER_S
from tests.cluster.hosts import listens
from tests.results import n_reports
from tests.sites import make_site

RAY = str(Path(sys.executable).with_name("ray"))
PORTS = ("port", "dashboard-port", "dashboard-agent-listen-port", "ray-client-server-port")

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("aiohttp_cors") is None,
        reason="needs Ray's dashboard (pip install '.[cluster]')",
    ),
]


def free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(probe.getsockname()[1]) for probe in probes]


@contextmanager
def head(environment: dict[str, str]) -> Iterator[str]:
    """Start a cluster of one node with a job server; give the server's address."""
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    options = [f"--{name}={port}" for name, port in ports.items()]
    with subprocess.Popen(
        [RAY, "start", "--head", "--block", "--num-cpus=2", "--dashboard-host=127.0.0.1", *options],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            deadline = time.monotonic() + HANGS_AFTER_S
            while not listens(ports["dashboard-port"]):
                assert process.poll() is None
                assert time.monotonic() < deadline, "no job server"
                time.sleep(0.2)
            yield f"http://127.0.0.1:{ports['dashboard-port']}"
        finally:
            process.terminate()  # all of its Ray ends with it


def driver_in(folder: str) -> psutil.Process:
    for process in psutil.process_iter():
        try:
            if "distrecvae.search" in process.cmdline() and process.environ().get("RAY_TMPDIR") == folder:
                return process
        except psutil.Error:
            continue
    raise AssertionError("no driver runs")


def test_a_submitted_job_goes_on_after_its_driver_was_killed(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    folder = tempfile.mkdtemp(prefix="drj")  # a socket's path is short
    environment = {**site.environment(), "RAY_TMPDIR": folder, "RAY_AUTH_MODE": "disabled"}
    environment["PATH"] = f"{Path(RAY).parent}{os.pathsep}{environment['PATH']}"
    out, ledger = tmp_path / "out", tmp_path / "out/ledger.jsonl"
    search = (
        f"python -m distrecvae.job --data {tmp_path}/data --space {tmp_path}/space.yaml --out {out} --trials 4"
        " --max-passes 24 --scheduler none --elastic --concurrent 1 --gpus-per-trial 0 --resume-or-start"
    )
    try:
        with (
            head(environment) as address,
            subprocess.Popen(
                [RAY, "job", "submit", "--address", address, "--", *search.split()],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as submitted,
        ):
            deadline = time.monotonic() + HANGS_AFTER_S
            while n_reports(out) < 8:  # 6 reports a trial
                assert time.monotonic() < deadline, "no trial reports"
                time.sleep(0.02)
            driver_in(folder).kill()
            written = ledger.read_bytes()
            said, _ = submitted.communicate(timeout=HANGS_AFTER_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert submitted.returncode == 0, said
    assert "the search ended by signal 9 (Killed); it restarts in 1 s (1 of 10)" in said
    assert "4 of 4 trials" in said
    assert "succeeded" in said
    table = pd.read_parquet(out / "trials.parquet")
    assert table["trial"].tolist() == [0, 1, 2, 3]
    assert set(table["status"]) == {"finished"}
    points = pd.read_parquet(out / "history.parquet")
    assert len(points) == 24
    assert not points.duplicated(["trial", "passes"]).any()
    assert ledger.read_bytes().startswith(written[: written.rfind(b"\n")]), "what was reported was not kept"
