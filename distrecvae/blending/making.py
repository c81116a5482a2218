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
from distrecvae.data.dataset import Split, require_scored


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

    Raises:
        ConfigError: no blend keeps within the limits.
        DataError: no validation user can be scored.
        ResultsError: there is something else in `folder`.
    """
    require_free(folder, replace=replace)
    require_scored(split, name, "valid")
    choice = choose_blend(candidates, split.valid, wish, stage)
    outcome = score(choice, split.test, stage("test users"))
    return write_blend(folder, outcome, item_ids=split.item_ids, data=data, replace=replace)
