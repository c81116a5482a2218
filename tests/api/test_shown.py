"""What results show of themselves: no mean is no number, a metric has its title, tables are HTML."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from distrecvae.api.shown import in_a_line, means, scores_html, table_html
from distrecvae.files import write_json


def test_means_over_no_users_are_not_numbers(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"valid": {"mean": {"ndcg_100": 0.25}}, "test": {"mean": {"ndcg_100": None}}})
    found = means(path)
    assert found["valid"] == {"ndcg_100": 0.25}
    assert math.isnan(found["test"]["ndcg_100"])


def test_a_line_and_tables() -> None:
    scores = {"valid": {"ndcg_100": 0.25}, "test": {"ndcg_100": 0.2}}
    assert in_a_line(scores, "ndcg_100") == "NDCG@100 0.2500 on valid users, 0.2000 on test users"
    assert "<td>0.2500</td>" in scores_html(scores)
    assert "NDCG@100" in scores_html(scores)
    assert "<td>0.1235</td>" in table_html(pd.DataFrame({"a": [0.123456]}))
