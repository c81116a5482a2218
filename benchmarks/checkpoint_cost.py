"""What do checkpoints cost a trial, in its loop and if a thread wrote them? About a minute.

OMP_NUM_THREADS=1 python benchmarks/checkpoint_cost.py --data DIR (a prepared MovieLens-1M)
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from distrecvae.data.io import load_dataset
from distrecvae.runs.resumable import ResumableTraining
from distrecvae.saved.places import StateFile
from distrecvae.saved.tensors import _checksum
from distrecvae.search.core.config import SearchConfig
from distrecvae.training import registry

CYCLES, SAVES = 4, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    split = load_dataset(options.data)
    trainer = registry.make_trainer("recvae", registry.config_from_dict("recvae", {}), split.train, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        run = ResumableTraining(
            StateFile(path),
            trainer,
            split.valid,
            identity={},
            metric="valid/ndcg_100",
            checkpoint_every_s=1e9,
        )
        cycles = [r["train_s"] + r["evaluate_s"] for r in run.cycles(lambda: trainer.cycle >= CYCLES)]
        saves, processor, sums, copies = [], [], [], []
        for _ in range(SAVES):
            started, used = time.perf_counter(), time.process_time()
            run.save()
            saves.append(time.perf_counter() - started)
            processor.append(time.process_time() - used)
            state = trainer.state_dict()
            started = time.perf_counter()
            _checksum(state)
            sums.append(time.perf_counter() - started)
            started = time.perf_counter()
            kept = {name: value.clone() for name, value in state.items()}
            copies.append(time.perf_counter() - started)
            del kept
        size = path.stat().st_size
    save, cycle = statistics.median(saves), statistics.median(cycles)
    every = SearchConfig().checkpoint_every_s
    print(f"state {size / 2**20:.0f} MiB, a cycle {cycle:.2f} s")
    print(f"a checkpoint: median {save:.3f} s ({statistics.median(processor):.3f} s of processor time)")
    print(
        f"  of it the checksum {statistics.median(sums):.3f} s; a copy for a thread {statistics.median(copies):.3f} s"
    )
    print(f"share of the time, one every {every:g} s: {save / (every + save):.2%}")


if __name__ == "__main__":
    main()
