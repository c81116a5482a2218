"""The picture of a comparison: what is drawn where, asked of the figure itself."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import matplotlib.backends.backend_agg as agg
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from distrecvae.search.comparison.plot import save_plot
from distrecvae.search.comparison.row import Row
from tests.search.comparison.rows import row

BEST, BEHIND, UNDECIDED = "#1f5fa8", "#7a7a7a", "#5b93cf"
NOISE = np.random.default_rng(0).random(80)
ROWS = (
    row("weak", 0.2, NOISE - 0.3 + 0.1 * NOISE[::-1]),
    row("best", 0.4, NOISE),
    row("close", 0.3, NOISE[::-1]),
)


def drawn(
    monkeypatch: pytest.MonkeyPatch, path: Path, rows: tuple[Row, ...], metric: str = "ndcg_100"
) -> Figure:
    """Save the picture and return the figure that it is of."""
    figures: list[Figure] = []

    class Canvas(agg.FigureCanvasAgg):
        def __init__(self, figure: Figure) -> None:
            figures.append(figure)
            super().__init__(figure)

    monkeypatch.setattr(agg, "FigureCanvasAgg", Canvas)
    save_plot(path, rows, metric, "ml-1m: a title")
    return figures[0]


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    return drawn(monkeypatch, tmp_path / "picture.png", ROWS).axes[0]


def test_it_is_a_png_of_a_height_that_the_rows_need(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Without pyplot: its state would outlive the call, and its figures need a screen.
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    heights = []
    for rows in (ROWS[:1], ROWS):
        save_plot(tmp_path / "picture.png", rows, "ndcg_100", "title")
        content = (tmp_path / "picture.png").read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", content[16:24])
        assert width == 800
        heights.append(height)
    assert heights[1] - heights[0] == pytest.approx(72, abs=1)


def test_the_best_stands_on_top(axes: Any) -> None:
    assert [label.get_text() for label in axes.get_yticklabels()] == ["best", "close", "weak"]
    assert axes.get_yticks().tolist() == [0, 1, 2]
    bottom, top = axes.get_ylim()
    assert bottom > 2
    assert top < 0


def test_a_dot_is_the_test_mean_and_its_bar_95_percent(axes: Any) -> None:
    assert len(axes.containers) == 3
    for place, (bar, name) in enumerate(zip(axes.containers, ("best", "close", "weak"), strict=True)):
        values = next(each.test.per_user["ndcg_100"] for each in ROWS if each.name == name)
        dot, _, (line,) = bar.lines
        assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (pytest.approx(values.mean()), place)
        ((left, _), (right, _)) = line.get_segments()[0]
        half = 1.96 * values.std() / 80**0.5
        assert (left, right) == (pytest.approx(values.mean() - half), pytest.approx(values.mean() + half))
        assert axes.texts[place].get_text() == f"{values.mean():.3f}"


def test_a_ring_is_the_validation_mean(axes: Any) -> None:
    rings = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    assert [(ring.get_xdata()[0], ring.get_ydata()[0]) for ring in rings] == [
        (pytest.approx(0.4), 0), (pytest.approx(0.3), 1), (pytest.approx(0.2), 2),
    ]  # fmt: skip


def test_grey_is_what_is_surely_behind(axes: Any) -> None:
    assert [to_hex(bar.lines[0].get_color()) for bar in axes.containers] == [BEST, UNDECIDED, BEHIND]
    rings = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    assert [to_hex(ring.get_markeredgecolor()) for ring in rings] == [BEST, UNDECIDED, BEHIND]


def test_it_says_what_it_shows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, axes: Any) -> None:
    assert axes.get_title(loc="left") == "ml-1m: a title"
    assert axes.get_xlabel().startswith("NDCG@100: test (dot, 95 % interval), validation (ring)\n")
    assert "p < 0.05" in axes.get_xlabel()
    other = drawn(monkeypatch, tmp_path / "other.png", ROWS[:1], "recall_50").axes[0]
    assert other.get_xlabel().startswith("Recall@50: ")
