"""The critical-difference diagram: names, bars and the difference stand where the ranks say."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.backends.backend_agg as agg
import numpy as np
import pytest
from matplotlib.figure import Figure

from distrecvae.search.comparison.diagram import save_diagram
from distrecvae.search.comparison.ranks import Ranks

RANKS = Ranks(("best", "next", "third", "last"), np.array([1.1, 1.9, 2.9, 4.2]), 20, 0.01, 1.2)


def drawn(monkeypatch: pytest.MonkeyPatch, path: Path, ranks: Ranks) -> Figure:
    figures: list[Figure] = []

    class Canvas(agg.FigureCanvasAgg):
        def __init__(self, figure: Figure) -> None:
            figures.append(figure)
            super().__init__(figure)

    monkeypatch.setattr(agg, "FigureCanvasAgg", Canvas)
    save_diagram(path, ranks, "a title")
    return figures[0]


def test_models_bars_and_the_critical_difference_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    axes = drawn(monkeypatch, tmp_path / "a.png", RANKS).axes[0]
    words = [text.get_text() for text in axes.texts]
    for name, mean in zip(RANKS.names, RANKS.mean, strict=True):
        assert f"{name} ({mean:.2f})" in words
    assert "CD = 1.20" in words
    thick = [line for line in axes.lines if line.get_linewidth() == 4]
    spans = [tuple(np.asarray(line.get_xdata(), dtype=float).round(2)) for line in thick]
    assert spans == [(1.07, 1.93), (1.87, 2.93)], "a bar a run of models that are not told apart"
    heights = {float(np.asarray(line.get_ydata())[0]) for line in thick}
    assert len(heights) == 2, "bars that overlap lie below each other"


def test_what_can_tell_nothing_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    few = Ranks(("a", "b", "c"), np.array([1.0, 2.0, 3.0]), 2, 0.1, 2.34)
    axes = drawn(monkeypatch, tmp_path / "a.png", few).axes[0]
    assert any("nothing can be told apart" in text.get_text() for text in axes.texts)


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_it_is_a_picture_without_a_screen(
    kind: str, magic: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    save_diagram(tmp_path / "picture.part", RANKS, "title", kind)
    assert (tmp_path / "picture.part").read_bytes().startswith(magic)
