"""Randomness: a root seed and a name give a stream; nothing carries generator state.

Every random draw in the package comes from a generator made on the spot for what is drawn: the root seed and the
coordinates of the draw (purpose, cycle, pass, batch). So a restored run continues bit for bit without saving any
generator, and a trial's result depends on its configuration and the kind of its device, not on when or where it ran. A
GPU's generators draw otherwise than a CPU's, or than another kind of GPU's: what continues on another kind is said to
differ.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np


def derive_seed(seed: int, *name: str | int) -> int:
    """Return the 63-bit seed of the stream called `name` under the root `seed`.

    Distinct names give independent streams; the same name always gives the same one, on every platform.
    """
    label = json.dumps([int(seed), *name], separators=(",", ":"))
    digest = hashlib.blake2b(label.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """Return a fresh NumPy generator for the stream called `name` under the root `seed`."""
    return np.random.default_rng(derive_seed(seed, *name))


def trial_seed(seed: int, parameters: Mapping[str, Any]) -> int:
    """Return the training seed of the configuration `parameters` in the search seeded with `seed`.

    Equal configurations get equal seeds whatever the order of their keys, so a repeated trial repeats its result.
    """
    return derive_seed(seed, "trial", json.dumps(dict(parameters), sort_keys=True, separators=(",", ":")))
