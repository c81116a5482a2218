"""The blend at the end of a comparison: one model of its searches' best ones, in `blend/`, and what it gains."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from distrecvae.blending.choice import Wish
from distrecvae.blending.making import make_blend
from distrecvae.blending.words import WIDTH, cost_sentence, gain_sentence
from distrecvae.data.dataset import Split
from distrecvae.data.io import data_facts
from distrecvae.errors import ConfigError, DistrecvaeError
from distrecvae.layout import BLEND_FOLDER
from distrecvae.search.comparison.row import Row, valid_mean
from distrecvae.search.folder.members import Place, candidates_in
from distrecvae.training.device import usable_device

MOST_CANDIDATES = 8
"""Searches whose models are candidates, the best on validation users: what weaker ones add is not worth the time."""


def require_room_for_a_blend(names: Sequence[str]) -> None:
    """Refuse a search that would lie where the blend does.

    Raises:
        ConfigError: one is called so.
    """
    if BLEND_FOLDER in names:
        raise ConfigError(
            f"--models: {BLEND_FOLDER!r} is where the comparison's blend lies; rename the space, or give --no-blend"
        )


def blend_searches(
    rows: Sequence[Row], folder: Path, split: Split, *, data: str, metric: str, check: Callable[[], None]
) -> str:
    """Blend the best model of each search, write it into `blend/`, and return what it gains, for people.

    Args:
        rows: of the searches that have a model.
        folder: the comparison's.
        split: its data set.
        data: where that lies.
        metric: by which it is chosen.
        check: called now and then; it may raise, and nothing is written then.
    """
    if len(rows) < 2:
        return ""
    best = sorted(rows, key=lambda row: -valid_mean(row, metric))[:MOST_CANDIDATES]

    def told(_done: int, _all: int) -> None:
        check()

    try:
        place = Place(split, data, best_trials=1, device=usable_device(None))
        found = candidates_in([folder / row.name for row in best], place)
        facts = make_blend(
            folder / BLEND_FOLDER,
            found,
            split,
            data=data_facts(data, split),
            name=data,
            wish=Wish(metric=metric),
            stage=lambda _what: told,
            replace=True,
        )
    except DistrecvaeError as error:
        return "\n".join(textwrap.wrap(f"No blend was made: {error}", WIDTH))
    if len(facts.members) == 1:
        text = f"No blend is better on validation users than {facts.members[0].name} alone."
    else:
        members = " + ".join(f"{member.weight:.2f} x {member.name}" for member in facts.members)
        text = f"Blended: {members}. {gain_sentence(facts)} {cost_sentence(facts)}"
    return "\n".join(textwrap.wrap(text, WIDTH))
