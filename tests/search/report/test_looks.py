"""Every colour that a figure has, has a counterpart in the dark, and can be told from the paper there."""

from __future__ import annotations

import inspect
import re
from itertools import pairwise
from types import ModuleType

import pytest

from distrecvae.search.core.records import Status
from distrecvae.search.report import drawn, figures, looks, page, parameter_figures, several
from distrecvae.search.report.looks import COLOURS, DARK, GRID, INK, PAPER, SEARCHES, SHADES, blank_figure


def luminance(color: str) -> float:
    """Return the relative luminance of #rrggbb, as WCAG 2 defines it."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_a_figure_is_as_high_as_it_is_told_and_as_wide_as_its_place() -> None:
    layout = blank_figure("a thing", height=123, top=4, bottom=5).to_dict()["layout"]
    assert (layout["height"], layout["margin"]["t"], layout["margin"]["b"]) == (123, 4, 5)
    assert layout["meta"] == "a thing", "what it shows, for those who hear the page"
    assert "width" not in layout


def test_every_outcome_has_a_colour() -> None:
    assert set(COLOURS) == set(Status)


def test_every_colour_has_a_counterpart_in_the_dark() -> None:
    used = {
        *COLOURS.values(),
        *SHADES,
        *SEARCHES,
        *re.findall("#[0-9a-f]{6}", str(blank_figure("x", height=100))),
    }
    assert used <= set(DARK)
    # No counterpart is a colour in the light: what is put in twice would be another one.
    assert not set(DARK.values()) & set(DARK)


@pytest.mark.parametrize("module", [drawn, figures, page, parameter_figures, several])
def test_figures_take_their_colours_from_one_place(module: ModuleType) -> None:
    assert re.findall(r"#[0-9a-fA-F]{3,6}\b|\"white\"|rgba?\(", inspect.getsource(module)) == []


def test_words_and_lines_can_be_told_from_the_paper_light_and_dark() -> None:
    for paper, ink in ((PAPER, INK), (DARK[PAPER], DARK[INK])):
        assert contrast(paper, ink) > 7, "text, WCAG 2's AAA"
    for color in (*COLOURS.values(), *SEARCHES):
        # Stopped trials are many, and pale on purpose; 3 is what WCAG 2 asks of graphics.
        least = 2.4 if color == COLOURS[Status.STOPPED] else 3
        assert contrast(PAPER, color) > least, color
        assert contrast(DARK[PAPER], DARK[color]) > least, DARK[color]
    assert contrast(PAPER, GRID) < 1.5
    assert contrast(DARK[PAPER], DARK[GRID]) < 1.5


def test_the_better_a_trial_the_further_its_shade_is_from_the_paper() -> None:
    for paper, shades in ((PAPER, SHADES), (DARK[PAPER], [DARK[shade] for shade in SHADES])):
        assert all(contrast(paper, worse) < contrast(paper, better) for worse, better in pairwise(shades))
    assert looks.BEST not in SHADES
