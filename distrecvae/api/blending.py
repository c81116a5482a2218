"""`distrecvae.blend`: turns a call's arguments into a blend, and its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from distrecvae.api.folders import results_folder
from distrecvae.api.given import carried_out_by, spoken_in_python
from distrecvae.api.preparing import as_data
from distrecvae.api.results import Comparison, SearchResult, TrainResult
from distrecvae.api.searching import path_in
from distrecvae.blending.choice import AUTO, MAX_MEMBERS, Stage, Wish
from distrecvae.blending.costs import Limits
from distrecvae.blending.facts import BlendFacts
from distrecvae.blending.files import require_free
from distrecvae.blending.making import make_blend
from distrecvae.data.io import data_facts
from distrecvae.data.prepared import Data
from distrecvae.data.summary import facts
from distrecvae.errors import ConfigError
from distrecvae.layout import BEST_FOLDER, BLEND_FOLDER, METRICS_FILE, SEARCH_FILE, SUMMARY_FILE
from distrecvae.runs.refit import with_validation_users
from distrecvae.saved.model import LoadedModel, load_model
from distrecvae.saved.tensors import read_json
from distrecvae.search.folder.members import BEST_TRIALS, Place, candidates_in
from distrecvae.training.device import usable_device, use_threads

if TYPE_CHECKING:
    from distrecvae.api.preparing import DataLike


@dataclass(frozen=True, repr=False)
class BlendResult:
    """A blend; all of it lies in its folder.

    Attributes:
        folder: the results folder.
        facts: what the blend is, what it was chosen from, its scores and costs.
    """

    folder: Path
    facts: BlendFacts

    @property
    def summary(self) -> str:
        """Its members, gains and costs, for people."""
        return (self.folder / SUMMARY_FILE).read_text(encoding="utf-8").rstrip()

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """By group of users ("valid", "test"), each metric's mean; validation users are cross-fitted."""
        metrics = read_json(self.folder / BEST_FOLDER / METRICS_FILE)
        return {group: dict(metrics[group]["mean"]) for group in ("valid", "test")}

    @property
    def members(self) -> pd.DataFrame:
        """A row a member, heaviest first: where it came from, its weight, its size, its scores."""
        columns = ("name", "model", "source", "weight", "size_bytes", "test")
        return pd.DataFrame([{name: getattr(each, name) for name in columns} for each in self.facts.members])

    @property
    def model(self) -> LoadedModel:
        """The model; its `recommend` takes it from there."""
        with spoken_in_python():
            return load_model(self.folder, usable_device(None))

    def __str__(self) -> str:
        return self.summary

    def __repr__(self) -> str:
        said = " + ".join(f"{each.weight:.2f} {each.name}" for each in self.facts.members)
        return f"<BlendResult in {self.folder}: {said}>"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(self.summary)}</pre>"


def blend_in(
    runs: Sequence[Path],
    data: Data,
    *,
    out: Path | None,
    wish: Wish,
    best_trials: int,
    device: str | None,
    threads: int | None,
    stage: Stage,
    refit: bool = False,
) -> BlendResult:
    """Blend the models in results folders, for the command line and for Python.

    Args:
        runs: results folders, of trials, trainings, searches, comparisons or blends.
        data: the data set that they were trained on.
        out: the results folder; None for that in the only run, if it is a search's, or the next below runs/.
        wish: what is asked for.
        best_trials: of each search.
        device: where models score; None for a GPU where there is one.
        threads: CPU threads; None for all cores.
        stage: told of what is being done.
        refit: once members are chosen, train them again, on validation users, too.

    Raises:
        DistrecvaeError: a folder, the data or the wish does not fit; nothing was written then.
    """
    if not runs:
        raise ConfigError(
            "there is nothing to blend; give results folders of `distrecvae train`, a search or a comparison"
        )
    if best_trials < 1:
        raise ConfigError(f"--best-trials {best_trials} must be at least 1")
    own = out is None and len(runs) == 1 and (runs[0] / SEARCH_FILE).exists()
    folder = runs[0] / BLEND_FOLDER if own else results_folder(out, None, f"blend-{data.name}", resume=False)
    require_free(folder, replace=own)
    use_threads(threads)
    name = data.folder or "the data"
    place = Place(data.split, name, best_trials, usable_device(device))
    known = facts(data.split, data.protocol) if data.folder is None else data_facts(data.folder, data.split)
    made = make_blend(
        folder,
        candidates_in(runs, place),
        data.split,
        data=known,
        name=name,
        wish=wish,
        stage=stage,
        replace=own,
        refit_on=with_validation_users(data.split) if refit else None,
        device=place.device,
    )
    return BlendResult(folder, made)


def _blend(given: dict[str, Any]) -> BlendResult:
    data, runs = as_data(given["data"]), given["runs"]
    assert data is not None, "it was given"  # noqa: S101
    listed = (
        [runs]
        if isinstance(runs, str | PathLike | SearchResult | TrainResult | Comparison | BlendResult)
        else runs
    )
    return blend_in(
        [_folder_of(each) for each in listed],
        data,
        out=path_in(given, "out"),
        wish=Wish(
            metric=given.get("metric", Wish.metric),
            rule=given.get("rule", AUTO),
            max_members=given.get("max_members", MAX_MEMBERS),
            limits=Limits(given.get("max_bytes"), given.get("max_latency")),
        ),
        best_trials=given.get("best_trials", BEST_TRIALS),
        device=given.get("device"),
        threads=given.get("threads"),
        stage=lambda _what: lambda _done, _all: None,
        refit=given.get("refit", False),
    )


def _folder_of(run: object) -> Path:
    if isinstance(run, SearchResult | TrainResult | Comparison | BlendResult):
        return run.folder
    if isinstance(run, str | PathLike):
        return Path(run)
    raise ConfigError(
        f"a run to blend is a {type(run).__name__}; give a results folder, or what search, compare or train returned"
    )


@carried_out_by(_blend)
def blend(
    runs: Sequence[str | PathLike[str] | SearchResult | TrainResult | Comparison | BlendResult]
    | str
    | PathLike[str]
    | SearchResult
    | TrainResult
    | Comparison
    | BlendResult,
    data: DataLike,
    *,
    out: str | PathLike[str] | None = None,
    metric: str = Wish.metric,
    rule: str = AUTO,
    max_members: int = MAX_MEMBERS,
    best_trials: int = BEST_TRIALS,
    max_bytes: int | None = None,
    max_latency: float | None = None,
    refit: bool = False,
    device: str | None = None,
    threads: int | None = None,
) -> BlendResult:
    """Make one model of several: their scores made comparable a user at a time, and weighted.

    Rule, members and weights are chosen on validation users, by greedy selection, cross-fitted so that the validation
    score is honest; test users are scored once, for the blend and its members.

    Args:
        runs: what is blended: results folders, or what `search`, `compare`, `train` or `blend` returned. Of a search
            its best trials are candidates, of a training with several seeds every seed, of a comparison each of its
            searches.
        data: the data set that they were trained on.
        out: results folder; None for RUN/blend of one search, or runs/blend-DATA, numbered.
        metric: maximised on validation users; a value a user, such as "ndcg@10".
        rule: by which scores are made comparable: "standardized", "log-softmax" or "ranks"; "auto" chooses.
        max_members: members at most.
        best_trials: trials of each search that are candidates.
        max_bytes: what the members' weights may take together; item-item weights may be thinned for it.
        max_latency: milliseconds that scoring one user may take, measured here.
        refit: once they are chosen, train the members again on training and validation users together, as many passes
            as before; test users are scored by these.
        device: where models score; None for a GPU where there is one.
        threads: CPU threads; None for all cores.

    Raises:
        CheckpointError: a run holds no model.
        ConfigError: an argument breaks its rule, no blend is within the limits, or it is not known how to refit a run.
        DataError: a model was trained on other data.
        ResultsError: `out` is not empty.
    """
    raise NotImplementedError  # never run: `carried_out_by` takes the call
