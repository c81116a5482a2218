"""What does a blend gain over the single model that validation users choose? Trains members, blends, scores test once.

    python benchmarks/blend.py --data data/ml-1m --members ml-1m --work WORK --out .../2026-11-26-blend/ml-1m
    python benchmarks/blend.py --data data/synthetic-0 --members small --work WORK --out .../synthetic-0

Members that lie in WORK already are not trained again. What is chosen from what, rule and weights, is decided by
`distrecvae.blend` on validation users alone; test users are scored by it once, in the end.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import distrecvae as dr

_BATCH = {"batch_size": 100}
MEMBERS: dict[str, dict[str, tuple[str, dict[str, Any], dict[str, Any]]]] = {
    # Of MovieLens-1M's split: the settings that its searches chose on validation users (2026-11-25-compare-ml-1m),
    # rounded, and RecVAE with batches of 100 users, published otherwise but for what is named.
    "ml-1m": {
        "ease": ("ease", {"regularization": 609.0}, {}),
        "slim": ("slim", {"l1": 0.2, "l2": 490.0}, {}),
        "wmf": ("wmf", {"latent_dim": 180, "regularization": 100.0, "alpha": 12.74}, {"max_passes": 16}),
        "cdae2": (
            "cdae",
            {
                "hidden_dim": 300, "loss": "logistic", "negatives": None, "dropout": 0.5, "regularization": 2.3e-5,
                "learning_rate": 0.002455, "batch_size": 250,
            },
            {"max_passes": 80, "patience": 24},
        ),
        "recvae100-s1": ("recvae", _BATCH, {"max_passes": 120, "patience": 32, "seed": 1}),
        "recvae100-s2": ("recvae", {**_BATCH, "latent_dim": 300}, {"max_passes": 120, "patience": 32, "seed": 2}),
        "recvae100-g2": (
            "recvae",
            {**_BATCH, "gamma": 0.0035, "dropout": 0.6},
            {"max_passes": 120, "patience": 32, "seed": 3},
        ),
        "recvae250-l2": (
            "recvae",
            {
                "hidden_dim": 500, "gamma": None, "beta": 0.147, "mixture_weights": (0.157, 0.515, 0.328),
                "encoder_passes": 4, "decoder_passes": 2, "dropout": 0.638, "learning_rate": 0.00107755,
                "batch_size": 250,
            },
            {"max_passes": 84, "patience": 24},
        ),
        "implicitslim100": ("recvae-implicitslim", _BATCH, {"max_passes": 100, "patience": 24}),
        "popularity": ("popularity", {}, {}),
    },
    "small": {
        "ease": ("ease", {"regularization": 200.0}, {}),
        "slim": ("slim", {"l1": 1.0, "l2": 200.0}, {}),
        "popularity": ("popularity", {}, {}),
        "recvae": ("recvae", {**_BATCH, "hidden_dim": 300, "latent_dim": 100}, {"max_passes": 60, "patience": 20}),
        "cdae": ("cdae", {"hidden_dim": 100, "batch_size": 250}, {"max_passes": 40, "patience": 12}),
    },
}  # fmt: skip


def main() -> None:
    """Train what is missing, blend, keep the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--members", choices=list(MEMBERS), required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    folders = []
    for name, (model, settings, options) in MEMBERS[asked.members].items():
        folder = asked.work / name
        folders.append(folder)
        if not (folder / "best").exists():
            print(f"training {name}", flush=True)
            dr.train(
                asked.data, model=model, set=settings, out=folder, device="cpu", threads=1, precision="float32",
                **options,
            )  # fmt: skip
    made = dr.blend(folders, asked.data, out=asked.work / "blend", device="cpu", threads=1)
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in ("blend.json", "candidates.csv", "summary.txt", "test_per_user.parquet"):
        shutil.copyfile(made.folder / name, asked.out / name)
    print(made)


if __name__ == "__main__":
    main()
