"""What is said, in a line, where Ray cannot be started or joined."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from distrecvae.errors import ResourceError
from distrecvae.search.doctor.doctor import examine
from distrecvae.search.on_ray.joining import (
    LONGEST_SOCKET,
    ray_folder,
    require_listener,
    require_room_for_sockets,
    stderr_kept,
)
from distrecvae.search.on_ray.session import ray_session
from tests import HANGS_AFTER_S, ROOT
from tests.sites import ray_folder as short_folder


@pytest.mark.parametrize(("address", "name"), [("127.0.0.1:1", "--address 127"), (None, "RAY_ADDRESS=127")])
def test_an_address_where_nothing_listens_is_called_by_what_gave_it(
    address: str | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It said `--address` of a variable that somebody had set for another program.
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ResourceError, match=f"^{name}.0.0.1:1: nothing listens there"), ray_session(address):
        pass


def test_words_for_addresses_are_not_looked_at() -> None:
    for word in ("auto", "local"):
        require_listener(word, "--address")


def test_a_folder_too_long_for_a_socket_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # Ray showed a traceback, of `AF_UNIX path length cannot exceed 107 bytes`.
    monkeypatch.setenv("RAY_TMPDIR", "/x" + 93 * "y")
    told = r"^RAY_TMPDIR=/xy+ has 95 bytes, too many for the sockets that Ray makes in it; name a folder of at most \d"
    with pytest.raises(ResourceError, match=told), ray_session(None):
        pass
    (finding,) = (found for found in examine(None) if found.subject == "Ray")
    assert finding.text.endswith("too many for the sockets that Ray makes in it")
    assert (finding.remedy or "").startswith("name a folder of at most ")
    monkeypatch.delenv("RAY_TMPDIR")
    monkeypatch.setattr(tempfile, "tempdir", "/x" + 93 * "y")
    with pytest.raises(ResourceError, match=r"^TMPDIR=/xy+ has 95 bytes"):
        require_room_for_sockets()


@pytest.mark.ray
def test_a_folder_that_just_fits_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    beyond = len(f"/ray/session_2026-01-31_23-59-59_123456_{os.getpid()}/sockets/plasma_store")
    place = short_folder()
    name = place / ("z" * (LONGEST_SOCKET - beyond - len(str(place)) - 1))
    monkeypatch.setenv("RAY_TMPDIR", str(name))
    assert ray_folder() == str(name)
    with ray_session(None) as cluster:
        assert cluster.cpus


def test_what_is_written_to_stderr_is_shown_unless_it_failed(capfd: pytest.CaptureFixture[str]) -> None:
    with stderr_kept() as read:
        os.write(2, b"by a library\n")
        assert read() == "by a library\n"
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "by a library\n"

    def fail() -> None:
        with stderr_kept():
            os.write(2, b"twenty raw lines\n")
            raise ConnectionError

    with pytest.raises(ConnectionError):
        fail()
    assert capfd.readouterr().err == ""


GUARDED = """
import os, subprocess, sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
join = "import sys; from distrecvae.search.on_ray import session\\n"
join += "with session.ray_session(sys.argv[1]): print('joined')"
for token in (os.environ["RAY_AUTH_TOKEN"], sys.argv[1]):
    typed = [sys.executable, "-W", "ignore", "-c", join, cluster.address]
    done = subprocess.run(typed, env={**os.environ, "RAY_AUTH_TOKEN": token}, capture_output=True, text=True)
    print(done.stdout.strip(), done.stderr.count("gcs_client"), "raw lines", done.stderr.splitlines()[-1:], flush=True)
cluster.shutdown()
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_token_that_does_not_fit_is_said(tmp_path: Path) -> None:
    # After twenty raw lines it said that no cluster answers there.
    own, other = secrets.token_hex(32), secrets.token_hex(32)
    auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": own}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", GUARDED, other],
        cwd=tmp_path,
        env={**os.environ, **auth, "PYTHONPATH": str(ROOT), "RAY_TMPDIR": str(short_folder())},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS_AFTER_S,
    )
    assert done.returncode == 0, done.stderr
    joined, refused = done.stdout.splitlines()
    assert joined.startswith("joined 0 raw lines")
    assert refused.startswith(' 0 raw lines ["distrecvae.errors.ResourceError: --address ')
    assert "it answered and refused the token; give the cluster's own in RAY_AUTH_TOKEN" in refused
