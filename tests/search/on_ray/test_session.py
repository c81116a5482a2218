"""Ray as a driver sees it: what is refused before it is asked, what it has, and data that is put there once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import ray

from distrecvae.data.shared import dataset_bytes, shared_arrays
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ResourceError
from distrecvae.search.on_ray import session
from distrecvae.search.on_ray.session import Session, living_nodes, on_every_node, ray_session, survey
from distrecvae.search.planning.resources import Cluster, Slots
from distrecvae.training import registry
from distrecvae.training.device import DeviceFacts, device_facts
from tests import HANGS_AFTER_S, ROOT
from tests.sites import ray_folder

SPLIT = synthetic_split(n_users=100, n_items=60, seed=1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("where", ["127.0.0.1:{}", "127.0.0.1:port", "ray://127.0.0.1:{}"])
def test_an_address_where_nothing_listens_is_refused_at_once(where: str) -> None:
    where = where.format(free_port())
    # Ray itself would try for minutes.
    with pytest.raises(ResourceError, match="nothing listens there") as refused, ray_session(where):
        pytest.fail("there is no such Ray")
    assert f"--address {where}" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not ray.is_initialized()


def test_a_trial_on_the_cpus_here_is_surveyed_without_ray() -> None:
    here = Cluster(nodes=((2.0, 0.0),), object_store_bytes=10**9, memory_bytes=10**9)
    told: list[str] = []
    assert survey(Slots(2, 1, 0.0), here, told.append) == device_facts("cpu")
    assert told == []
    assert not ray.is_initialized()


def test_what_is_common_is_lent_only_where_it_fits() -> None:
    needed = dataset_bytes(SPLIT)
    common = registry.common_of("ease")
    assert common is not None
    for room, lent in (
        (needed + common.size(SPLIT.train), True),
        (needed + common.size(SPLIT.train) - 1, False),
    ):
        session = Session(Cluster(nodes=((2.0, 0.0),), object_store_bytes=room, memory_bytes=10**9), SPLIT)
        assert session.lends_common("ease") is lent
        assert not session.lends_common("recvae"), "it has nothing in common"


def this_process() -> int:
    return os.getpid()


def broken() -> None:
    raise ValueError("this node\nis ill")


def test_ray_leaves_the_wish_to_end_to_those_who_heard_it_before(monkeypatch: pytest.MonkeyPatch) -> None:
    # Ray's own handler ends the process with status 15, where the command line says 130 and tidies up.
    before = signal.getsignal(signal.SIGTERM)
    here = Cluster(nodes=((2.0, 0.0),), object_store_bytes=10**9, memory_bytes=10**9)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: signal.signal(signal.SIGTERM, lambda *_: None))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(session, "living_nodes", lambda **_: here)
    with ray_session(None):
        assert signal.getsignal(signal.SIGTERM) == before
    assert signal.getsignal(signal.SIGTERM) == before


GONE = ray.exceptions.RaySystemError("Failed to connect to GCS.\nPlease check if it is running")
SLOW = Exception("The current node timed out during startup.\nThe GCS has become overloaded.")


def ray_says(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let Ray refuse to start, or to be joined, with this error."""

    def refuses(**_: object) -> None:
        raise error

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuses)


@pytest.mark.parametrize(
    ("address", "said", "words"),
    [
        (None, GONE, "Ray did not start on this machine ("),
        (None, SLOW, "Ray did not start on this machine ("),
        (None, RuntimeError("no info of this\nnode"), "Ray did not start on this machine ("),
        ("auto", GONE, "--address auto: Ray did not answer in time ("),
        ("auto", SLOW, "--address auto: Ray did not answer in time ("),
    ],
)
def test_a_ray_that_does_not_start_in_time_is_a_line_and_worth_another_try(
    monkeypatch: pytest.MonkeyPatch, address: str | None, said: Exception, words: str
) -> None:
    # A storm's search was resumed where other work left it next to nothing of two processors: it ended with Ray's
    # traceback, and the status of a bug.
    ray_says(monkeypatch, said)
    with pytest.raises(ResourceError) as refused, ray_session(address):
        pytest.fail("there is no Ray")
    assert refused.value.passing
    assert str(refused.value).startswith(words)
    assert "--resume" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "said"),
    [(None, TypeError("an unexpected keyword")), ("auto", RuntimeError("Version mismatch"))],
)
def test_what_another_try_would_not_change_is_said_as_it_is(
    monkeypatch: pytest.MonkeyPatch, address: str | None, said: Exception
) -> None:
    ray_says(monkeypatch, said)
    with pytest.raises(type(said), match=str(said)), ray_session(address):
        pytest.fail("there is no Ray")


ONE_OF_ITS_OWN = """
import os, signal
from distrecvae.search.on_ray.session import ray_session

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: print("heard", flush=True))
    with ray_session(None):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    print("lives", flush=True)
"""


@pytest.mark.ray
def test_a_signal_is_heard_after_ray_was_left(tmp_path: Path) -> None:
    # A Ray of its own, for that is what takes the handler away when it ends: a storm's SIGTERM after the last trial
    # ended a search without a word.
    (tmp_path / "left.py").write_text(ONE_OF_ITS_OWN, encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
        "RAY_TMPDIR": str(ray_folder()),
    }
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "left.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS_AFTER_S,
    )
    assert (ended.returncode, ended.stdout) == (0, "heard\nlives\n"), ended.stderr


@pytest.mark.ray
def test_a_ray_of_ones_own_has_this_machine(cluster: Cluster) -> None:
    assert living_nodes(joined=False) == cluster
    assert len(cluster.nodes) == 1
    assert 1 <= cluster.cpus <= (os.cpu_count() or 1)
    assert 0 < cluster.memory_bytes < psutil.virtual_memory().total
    assert cluster.object_store_bytes > 2**20
    assert living_nodes(joined=True).joined


@pytest.mark.ray
def test_each_node_is_asked_in_a_process_of_its_own(cluster: Cluster) -> None:
    (answer,) = on_every_node(this_process).values()
    assert answer != os.getpid()
    assert psutil.Process(answer).is_running()
    (told,) = on_every_node(broken).values()
    assert told.endswith("ValueError: this node is ill"), "the reason, in one line"


@pytest.mark.ray
def test_data_is_put_there_once_and_has_no_test_user(cluster: Cluster) -> None:
    session = Session(cluster, SPLIT)
    assert session.data is session.data
    held: dict[str, Any] = ray.get(session.data)
    expected = shared_arrays(SPLIT)
    assert held.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(held[name], value)
        assert isinstance(value, int) or not held[name].flags.writeable, "workers map it"


@pytest.mark.ray
def test_what_two_models_have_in_common_is_computed_once(cluster: Cluster) -> None:
    session = Session(cluster, SPLIT)
    assert session.common("recvae") is None
    assert session.common("ease") is session.common("slim")
    gram = SPLIT.train.to_scipy().T @ SPLIT.train.to_scipy()
    (held,) = (a for a in ray.get(session.common("ease")).values() if np.asarray(a).ndim == 2)
    np.testing.assert_array_equal(held, gram.toarray())


@pytest.mark.ray
@pytest.mark.slow
def test_a_worker_that_was_asked_for_its_device_ends(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It lived on with its CUDA context, half a GB of the GPU that nobody counted.
    monkeypatch.setattr(session, "device_facts", lambda _device: DeviceFacts(str(os.getpid()), "float32", 0))
    asked = psutil.Process(int(survey(Slots(1, 1, 0.0), replace(cluster, joined=True)).name))
    asked.wait(HANGS_AFTER_S)


@pytest.mark.ray
@pytest.mark.slow
def test_a_worker_without_its_device_says_why(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_device: str) -> DeviceFacts:
        raise ResourceError("no such GPU")

    monkeypatch.setattr(session, "device_facts", refuse)
    with pytest.raises(ResourceError, match=r"^a worker cannot use its device: no such GPU$"):
        survey(Slots(1, 1, 0.0), replace(cluster, joined=True))
