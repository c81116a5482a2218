"""What Ray leaves of commands that were killed goes with the next one; what others have there stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from distrecvae.search.on_ray.ray_internals import own_session_folder
from distrecvae.search.on_ray.session_folders import MARK, marked, remove_dead
from distrecvae.search.planning.resources import Cluster
from tests import ROOT

HOLD = """
import sys
from pathlib import Path
from distrecvae.search.on_ray.session_folders import marked
with marked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def session(folder: Path, name: str) -> Path:
    made = folder / f"session_{name}"
    (made / "logs").mkdir(parents=True)
    (made / "logs/raylet.out").touch()
    return made


def test_sessions_of_commands_that_were_killed_are_removed(tmp_path: Path) -> None:
    killed, living, others = (session(tmp_path, name) for name in ("killed", "living", "others"))
    (tmp_path / "session_latest").symlink_to(living)
    holding = [sys.executable, "-c", HOLD]
    with subprocess.Popen(
        [*holding, str(killed)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.kill()
    with marked(living):
        remove_dead(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "session_latest",
            "session_living",
            "session_others",
        ]
        assert (living / "logs/raylet.out").exists()
    remove_dead(tmp_path)
    assert not living.exists(), "it is over, too"
    assert others.exists(), "a cluster's, which no command of ours started"
    remove_dead(tmp_path / "not there")


@pytest.mark.ray
def test_a_living_session_is_marked(cluster: Cluster) -> None:
    assert cluster.cpus
    own = own_session_folder()
    assert own is not None
    assert (own / MARK).exists()
    assert (own / "sockets").is_dir(), "it is the folder of Ray's sockets"
    remove_dead(own.parent)
    assert (own / MARK).exists()
