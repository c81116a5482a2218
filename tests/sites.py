"""A small data set on disk, and searches on a real Ray run as a user runs them: in their own process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest

from distrecvae.cli import main
from distrecvae.data.io import save_dataset
from distrecvae.data.synthetic import synthetic_split
from tests import HANGS_AFTER_S

SEAM = Path(__file__).parent / "faults" / "seam"
"""On PYTHONPATH it makes storage slow, or refuse."""
UNHURRIED_S = 0.05

SPACE = """
model: recvae
parameters:
  latent_dim: {type: int, low: 4, high: 16, step: 4}
  learning_rate: {type: float, low: 1.0e-4, high: 1.0e-2, log: true}
  mixture_weights: {type: simplex, components: [standard, previous, wide]}
  kl_weight:
    type: one_of
    branches:
      gamma: {gamma: {type: float, low: 5.0e-4, high: 5.0e-2, log: true}}
      beta: {beta: {type: float, low: 0.01, high: 1.0, log: true}}
fixed: {hidden_dim: 24, batch_size: 50}
default: {latent_dim: 8}
"""


def ray_folder() -> Path:
    """Return where the tests' Rays keep sockets and logs: a short path, for a socket's may have 107 bytes."""
    folder = Path(tempfile.gettempdir()) / f"dr{os.getpid()}"
    folder.mkdir(exist_ok=True)
    return folder


@dataclass
class Site:
    """A working directory with a prepared data set `data` and a space `space.yaml`."""

    folder: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def arguments(self, *options: str) -> list[str]:
        """Return a search's command line; later options win."""
        base = ["--data", "data", "--space", "./space.yaml", "--cpus-per-trial", "1", "--seed", "5"]
        return [sys.executable, "-m", "distrecvae.search", *base, *options]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "RAY_TMPDIR": str(ray_folder()), "PYTHONWARNINGS": "ignore"}

    def unhurried(self) -> dict[str, str]:
        """Return the environment of a search that is to run until it is interrupted: its ledger's disk is slow.

        Else its workers and its driver compute for nothing as fast as they can, beside the tests.
        """
        seam = self.folder / "unhurried"
        seam.mkdir(exist_ok=True)
        (seam / "slow").write_text(str(UNHURRIED_S), encoding="utf-8")
        path = os.pathsep.join(filter(None, (str(SEAM), os.environ.get("PYTHONPATH"))))
        return {**self.environment(), "FAULT_SEAM": str(seam), "PYTHONPATH": path}

    def search(self, *options: str, timeout: float = HANGS_AFTER_S) -> subprocess.CompletedProcess[str]:
        """Run a search to its end."""
        return subprocess.run(
            self.arguments(*options),
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def search_here(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run a search to its end in this process, on the Ray that it has (`cluster`): starts take most of the time.

        What a process of its own is for, signals and how it ends, is not seen so.
        """
        return typed_here(self.folder, "search", *self.arguments(*options)[3:])

    @contextmanager
    def searching(
        self, *options: str, module: str = "distrecvae.search", environment: dict[str, str] | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        """Start a search, or what else `module` makes of its options; kill it at the end if it still runs."""
        process = subprocess.Popen(
            [module if word == "distrecvae.search" else word for word in self.arguments(*options)],
            cwd=self.folder,
            env=environment or self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def typed_here(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Type `distrecvae WORDS` in this process, on the Ray that it has; return what it printed, and its exit status."""
    out, err = StringIO(), StringIO()
    with chdir(folder), redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main([*words])
    return subprocess.CompletedProcess(words, int(ended.value.code or 0), out.getvalue(), err.getvalue())


def make_site(folder: Path) -> Site:
    save_dataset(synthetic_split(n_users=400, n_items=120, seed=1), folder / "data", {"source": "synthetic"})
    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    return Site(folder)
