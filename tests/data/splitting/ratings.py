"""Ratings with times as MovieLens has them: whole seconds, many of one user's at the same, in no order in the file."""

from __future__ import annotations

import numpy as np
import pandas as pd

FIRST, DAYS = 1_420_070_400, 700
"""The second at which 2015 began in UTC, and how many days the ratings continue."""


def ratings(n_users: int = 120, n_items: int = 60, seed: int = 3) -> pd.DataFrame:
    """Return userId, movieId, rating and timestamp: each user comes some day, and again on some later ones."""
    random = np.random.default_rng(seed)
    parts = []
    for user in range(n_users):
        n = int(random.integers(6, 30))
        visits = np.sort(random.integers(0, DAYS, size=3)) * 86_400
        parts.append(
            pd.DataFrame(
                {
                    "userId": 1000 + user,
                    "movieId": 10 * random.permutation(n_items)[:n],
                    "rating": random.choice([2.0, 3.5, 4.0, 5.0], size=n),
                    "timestamp": FIRST + visits[random.integers(3, size=n)] + random.integers(0, 4, size=n),
                }
            )
        )
    return pd.concat(parts).sample(frac=1.0, random_state=seed).reset_index(drop=True)
