"""What helps where one trial does not fit: figures that are so."""

from __future__ import annotations

import numpy as np

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.search.planning.remedies import remedies
from distrecvae.training import registry
from distrecvae.words import gib

GIB = 1 << 30


def long_tailed(n_items: int) -> InteractionMatrix:
    """Return users of whom item i has about n_items / (i + 1), and at least one."""
    counts = np.maximum(n_items // (np.arange(n_items) + 1), 1)
    users = np.concatenate([np.arange(count) % 2000 for count in counts.tolist()])
    return InteractionMatrix.from_pairs(
        users, np.repeat(np.arange(n_items), counts), n_users=2000, n_items=n_items
    )


def test_fewer_items_or_a_model_that_takes_less() -> None:
    train = long_tailed(40_000)
    config = registry.config_from_dict("ease", {})
    assert registry.memory_bytes("ease", config, train)[0] > 22 * GIB
    least = int((train.item_counts() >= 2).sum())
    assert least < 40_000
    said = remedies("ease", config, train, 22 * GIB)
    smaller = registry.memory_bytes(
        "ease", config, InteractionMatrix.from_pairs([], [], n_users=2000, n_items=least)
    )[0]
    slim = registry.memory_bytes("slim", registry.config_from_dict("slim", {}), train)[0]
    assert said.split(", or ")[:2] == [  # then others that are made of X^T X, where there are any
        f"prepare the data with --min-item-interactions 2 (about {least:,} of 40,000 items are left, and a trial takes"
        f" {gib(smaller)})",
        f"take --model slim, which takes less (about {gib(slim)})",
    ]


def test_what_does_not_fit_is_not_advised() -> None:
    train = long_tailed(2_000)
    assert remedies("ease", registry.config_from_dict("ease", {}), train, 1) == ""
    recvae = remedies("recvae", registry.config_from_dict("recvae", {}), train, 10 * GIB)
    assert "--model" not in recvae, "others have nothing in common with it"
