"""Reads the model that a training keeps in its state file: the best one so far, without making a trainer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from distrecvae.errors import CheckpointError
from distrecvae.precisions import Precision
from distrecvae.runs.resumable import best_report, read_best
from distrecvae.saved.tensors import read_metadata


@dataclass(frozen=True, eq=False)
class Kept:
    """The model that a training keeps.

    Attributes:
        model: name in the registry.
        config: its settings, JSON-able.
        cycle: after how many cycles it was taken.
        passes: after how many data passes.
        seed: root of its training's randomness.
        precision: of the matrix products.
        state: its parameters, on the CPU.
    """

    model: str
    config: Mapping[str, Any]
    cycle: int
    passes: int
    seed: int
    precision: Precision
    state: Mapping[str, torch.Tensor]


def kept_model(path: Path, metric: str) -> Kept:
    """Return the best model in a state file, by `metric`, a key of its reports.

    Raises:
        CheckpointError: the file is missing or damaged, or holds no model yet.
    """
    metadata = read_metadata(path)
    identity, best = metadata.get("identity"), best_report(metadata.get("history") or [], metric)
    if not isinstance(identity, Mapping) or not {"model", "config"} <= identity.keys():
        raise CheckpointError(f"{path} is not a trial's state; give the folder of a trial")
    if best is None:
        raise CheckpointError(f"{path} holds no model yet; let its training report once")
    state = read_best(path, identity=identity, metric=metric, cycle=best["cycle"])
    if not state:
        raise CheckpointError(f"{path} holds no model beside its training; train it again")
    return Kept(
        model=identity["model"],
        config=identity["config"],
        cycle=best["cycle"],
        passes=best["passes"],
        seed=identity.get("seed", 0),
        precision=identity.get("precision", "float32"),
        state=state,
    )
