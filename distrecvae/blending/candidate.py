"""What a blend is chosen from: models that score the same items, wherever they came from."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from distrecvae.evaluation import Recommender
from distrecvae.precisions import Precision
from distrecvae.saved.blend import total_bytes
from distrecvae.training.registry import config_from_dict, load_recommender


@dataclass(frozen=True, kw_only=True)
class Trained:
    """How a model was trained from nothing: what it takes to train it again, on more users.

    Attributes:
        passes: data passes after which it was taken.
        seed: root of its training's randomness.
        precision: of the matrix products.
    """

    passes: int
    seed: int = 0
    precision: Precision = "float32"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A model that a blend may have.

    Attributes:
        name: what it is called; unique among those it is chosen with.
        source: the folder that it was read from.
        model: its name in the registry.
        config: its settings, JSON-able.
        state: its parameters, on the CPU.
        recommender: the model itself.
        thin_of: the candidate's name whose greatest weights alone these are; None of a whole model.
        trained: how; None where that is not known.
    """

    name: str
    source: str
    model: str
    config: Mapping[str, Any]
    state: Mapping[str, torch.Tensor]
    recommender: Recommender
    thin_of: str | None = None
    trained: Trained | None = None

    @property
    def whole(self) -> str:
        """The name of the model that this is, or is a part of."""
        return self.thin_of or self.name

    @property
    def size_bytes(self) -> int:
        """What its parameters take in a file."""
        return total_bytes(self.state)


def candidate(
    name: str,
    source: str,
    model: str,
    config: Mapping[str, Any],
    state: Mapping[str, torch.Tensor],
    n_items: int,
    device: torch.device | str = "cpu",
    trained: Trained | None = None,
) -> Candidate:
    """Return a candidate of the parameters `state`; `trained` says how it came by them, where that is known.

    Raises:
        CheckpointError: they do not fit the configuration or the number of items.
        ConfigError: the configuration breaks a rule.
    """
    recommender = load_recommender(model, config_from_dict(model, config), n_items, state, device)
    return Candidate(name, source, model, config, state, recommender, trained=trained)


def distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates without those that are another one's copy, with names that differ."""
    kept: dict[object, Candidate] = {}
    for each in candidates:
        kept.setdefault((each.model, _checksum(each.state)), each)
    names: dict[str, int] = {}
    found = []
    for each in kept.values():
        names[each.name] = names.get(each.name, 0) + 1
        number = names[each.name]
        found.append(each if number == 1 else replace(each, name=f"{each.name} ({number})"))
    return found


def _checksum(state: Mapping[str, torch.Tensor]) -> int:
    crc = 0
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous().reshape(-1)
        crc = zlib.crc32(value.view(torch.uint8).numpy().data, zlib.crc32(name.encode(), crc))
    return crc
