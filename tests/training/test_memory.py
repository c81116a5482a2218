"""The memory estimate, against a process that trains: what decides whether a search may start is near the truth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, sys
from pathlib import Path
import psutil, torch
from benchmarks.textbook import power_law_users
from distrecvae.data.dataset import HeldOutUsers
from distrecvae.evaluation import evaluate
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.training import registry

def peak():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024

def trained(n_items, hidden_dim):
    train = power_law_users(500, n_items, 50)
    config = RecVAEConfig(hidden_dim=hidden_dim, latent_dim=64, encoder_passes=2)
    trainer = registry.make_trainer("recvae", config, train, seed=0, precision=sys.argv[1])
    trainer.step()
    best = trainer.model_state()
    trainer.step()
    evaluate(trainer.model, HeldOutUsers(train, train))
    return registry.memory_bytes("recvae", config, train, precision=sys.argv[1])[0], best

trained(300, 8)  # libraries are not counted
before = peak()
estimate, _ = trained(40_000, 256)
print(json.dumps([estimate, peak() - before]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads a process's peak from /proc")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_takes_about_what_was_estimated(precision: str) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, precision],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    estimate, measured = json.loads(done.stdout)
    assert 0.7 * estimate <= measured <= 1.1 * estimate, f"{measured / 2**20:.0f} MiB"
