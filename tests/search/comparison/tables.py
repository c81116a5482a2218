"""Tables of comparisons without a search. For tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from distrecvae.search.comparison.kept import Table
from distrecvae.search.comparison.row import Row
from tests.search.comparison.rows import row


def table(data: str, *rows: Row, **more: Any) -> Table:
    """Return the table of a data set."""
    facts: dict[str, Any] = {
        "title": f"{data}: a title", "data": data, "fingerprint": f"of {data}", "metric": "ndcg_100",
        "n_test_users": 60, "rows": rows, "versions": {"distrecvae": "0.1.0", "torch": "2.8"},
    }  # fmt: skip
    return Table(**facts | more)


def rows_of(seed: int, names: str = "abc", n_users: int = 60) -> list[Row]:
    """Return rows whose validation scores fall in their order, and whose test users are drawn by `seed`."""
    generator = np.random.default_rng(seed)
    return [
        row(name, 0.5 - 0.1 * place, generator.random(n_users) - 0.2 * place)
        for place, name in enumerate(names)
    ]
