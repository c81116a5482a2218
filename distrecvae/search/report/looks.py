"""How figures look: their colours in the light and in the dark, and a blank figure in the style of the page."""

from __future__ import annotations

import plotly.graph_objects as go

from distrecvae.search.core.records import Status

INK, FAINT, GRID, AXIS, ZERO, PAPER = "#222222", "#666666", "#e8e8e8", "#999999", "#cccccc", "#ffffff"
BEST, START, SPENT, SAVED, CHANCE = "#d9730d", "#111111", "#1f5fa8", "#dfe7f0", "#c9ced6"
COLOURS = {
    Status.FINISHED: "#1f5fa8",
    Status.STOPPED: "#7fa6cf",
    Status.RUNNING: "#3c9a5f",
    Status.DIVERGED: "#b3261e",
    Status.FAILED: "#b3261e",
}
SHADES = ("#dfe7f0", "#c3d5e8", "#9dbddd", "#6f9fce", "#437fb9", "#1f5fa8", "#123f75")
"""From the worst to the best."""
SHADED_EDGE = "#7d93ab"
SEARCHES = ("#1f5fa8", "#d9730d", "#3c9a5f", "#8e4fb0", "#b3261e", "#00727d", "#7a6a00", "#555555")
"""Of several searches in one figure, in turn."""
DARK = {
    INK: "#e6e6e6", FAINT: "#a9b1bb", GRID: "#2f353d", AXIS: "#7d8590", ZERO: "#454d57", PAPER: "#15181c",
    BEST: "#ff9f45", START: "#f2f2f2", CHANCE: "#4b5561", "#1f5fa8": "#6cb0f5", "#7fa6cf": "#557da5",
    "#3c9a5f": "#5fc98a", "#b3261e": "#ff8a80", "#dfe7f0": "#2c3a4a", "#c3d5e8": "#33506d", "#9dbddd": "#3f6a94",
    "#6f9fce": "#4b85bb", "#437fb9": "#5c9bdc", "#123f75": "#b5d8ff", SHADED_EDGE: "#8aa0b8",
    "#8e4fb0": "#c79be0", "#00727d": "#4fc3cf", "#7a6a00": "#d6c34a", "#555555": "#bbbbbb",
}  # fmt: skip
"""What each colour of a figure is where the page is dark; the page puts them in."""
NOTHING = "rgba(0,0,0,0)"
_FONT = {"family": "system-ui, sans-serif", "size": 12, "color": INK}


def blank_figure(about: str, *, height: int, top: int = 40, bottom: int = 48) -> go.Figure:
    """Return an empty figure in the style of the page, as wide as its place.

    Args:
        about: what it shows, in words, for those who hear the page.
        height: in pixels.
        top: the margin there, in pixels.
        bottom: the margin there, in pixels.
    """
    axis = {"gridcolor": GRID, "linecolor": AXIS, "zerolinecolor": ZERO, "automargin": True}
    return go.Figure(
        layout={
            "meta": about,
            "template": "none",
            "height": height,
            "font": _FONT,
            "paper_bgcolor": NOTHING,
            "plot_bgcolor": NOTHING,
            "margin": {"l": 56, "r": 12, "t": top, "b": bottom},
            # Above the figure: below it, its distance would follow the figure's height and meet the axis title.
            "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
            "hoverlabel": {"align": "left"},
            "xaxis": axis,
            "yaxis": axis,
        }
    )
