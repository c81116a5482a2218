"""A blend from its candidates to its folder: chosen on validation users, frozen, scored on test users, written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distrecvae.blending.candidate import Candidate
from distrecvae.blending.choice import Stage, Wish, choose_blend
from distrecvae.blending.facts import BlendFacts
from distrecvae.blending.files import require_free, write_blend
from distrecvae.blending.outcome import score
from distrecvae.blending.refitting import refitted, require_refittable
from distrecvae.data.dataset import Split, require_scored
from distrecvae.data.interactions import InteractionMatrix


def make_blend(
    folder: Path,
    candidates: Sequence[Candidate],
    split: Split,
    *,
    data: Mapping[str, Any],
    name: str,
    wish: Wish,
    stage: Stage,
    replace: bool = False,
    refit_on: InteractionMatrix | None = None,
    device: str = "cpu",
) -> BlendFacts:
    """Choose a blend, score it on the test users once, write its folder, and return what `blend.json` says.

    Args:
        folder: where.
        candidates: what it is chosen from; one at least.
        split: the data set that they were trained on.
        data: what is known of it, as `distrecvae.data.summary.facts` tells it.
        name: what the data is called in messages.
        wish: what is asked for.
        stage: told of what is being done.
        replace: an older blend in `folder` is replaced.
        refit_on: users to train the members again on, once they are chosen; None for not at all.
        device: where they are trained again.

    Raises:
        ConfigError: no blend keeps within the limits, or it is not known how to train a candidate again.
        DataError: no validation user can be scored.
        ResultsError: there is something else in `folder`.
    """
    require_free(folder, replace=replace)
    require_scored(split, name, "valid")
    if refit_on is not None:
        require_refittable(candidates)
    choice = choose_blend(candidates, split.valid, wish, stage)
    if refit_on is not None:
        choice = refitted(choice, refit_on, device, stage)
    outcome = score(choice, split.test, stage("test users"))
    return write_blend(
        folder,
        outcome,
        item_ids=split.item_ids,
        item_counts=(split.train if refit_on is None else refit_on).item_counts(),
        data=data,
        replace=replace,
    )
