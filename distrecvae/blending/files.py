"""A blend's folder: `best/`, the model; `blend.json`; candidates; test users one by one; the summary."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from distrecvae.blending.facts import BlendFacts, facts_of, metrics_of
from distrecvae.blending.outcome import Outcome
from distrecvae.blending.words import blend_text
from distrecvae.errors import ResultsError
from distrecvae.files import new_folder, write_json, write_text
from distrecvae.layout import BEST_FOLDER, BLEND_FILE, SUMMARY_FILE
from distrecvae.saved.blend import BLEND, BlendConfig, MemberConfig, joined_state
from distrecvae.saved.model import save_model

CANDIDATES_FILE = "candidates.csv"
PER_USER_FILE = "test_per_user.parquet"


def require_free(folder: Path, *, replace: bool) -> None:
    """Refuse a folder that has something in it.

    Args:
        folder: where a blend is to be written.
        replace: an older blend may be replaced.

    Raises:
        ResultsError: it is a file, or has something in it that is not to be replaced.
    """
    if folder.exists() and not folder.is_dir():
        raise ResultsError(f"{folder} is a file; give the name of a folder to write")
    if folder.is_dir() and any(folder.iterdir()) and not (replace and (folder / BLEND_FILE).exists()):
        raise ResultsError(f"{folder} is not empty; an existing folder is never overwritten: choose another")


def write_blend(
    folder: Path,
    outcome: Outcome,
    *,
    item_ids: npt.NDArray[Any],
    item_counts: npt.NDArray[np.int64] | None = None,
    data: Mapping[str, Any],
    replace: bool = False,
) -> BlendFacts:
    """Write a blend's folder, which appears whole, and return what `blend.json` in it says.

    Args:
        folder: where.
        outcome: the blend, with its scores.
        item_ids: ids by item position.
        item_counts: users that the members were trained on who have each item, int64; None where that is not known.
        data: what it was chosen on, as `distrecvae.data.summary.facts` tells it.
        replace: an older blend there is replaced.

    Raises:
        ResultsError: there is something else in `folder`.
    """
    require_free(folder, replace=replace)
    choice = outcome.choice
    facts = facts_of(outcome, data["fingerprint"])
    members = tuple(
        MemberConfig(name=each.name, model=each.model, config=dict(each.config), weight=weight)
        for each, weight in zip(choice.members, choice.weights, strict=True)
    )
    retired = folder.with_name(f".{folder.name}.retired")
    shutil.rmtree(retired, ignore_errors=True)
    if (folder / BLEND_FILE).exists():
        folder.rename(retired)
    with new_folder(folder) as temporary:
        save_model(
            temporary / BEST_FOLDER,
            model=BLEND,
            config=BlendConfig(rule=choice.rule, members=members),
            state=joined_state([each.state for each in choice.members]),
            item_ids=item_ids,
            metrics=metrics_of(outcome),
            data=data,
            item_counts=item_counts,
        )
        write_json(temporary / BLEND_FILE, asdict(facts))
        write_text(temporary / SUMMARY_FILE, blend_text(facts) + "\n")
        with (temporary / CANDIDATES_FILE).open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(asdict(facts.candidates[0])))
            table.writeheader()
            table.writerows(map(asdict, facts.candidates))
        named = {"blend": outcome.test} | {
            each.name: test for each, test in zip(choice.members, outcome.members, strict=True)
        }
        named.setdefault(choice.single.name, outcome.single)
        pd.concat(
            pd.DataFrame({"model": name, "user": test.users, **test.per_user}) for name, test in named.items()
        ).to_parquet(temporary / PER_USER_FILE, index=False)
    shutil.rmtree(retired, ignore_errors=True)
    return facts
