"""`distrecvae.evaluate`: a model's scores on held-out users, alone or against an earlier model's."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from distrecvae.api.blending import BlendResult
from distrecvae.api.given import carried_out_by
from distrecvae.api.preparing import as_data
from distrecvae.api.results import SearchResult, TrainResult
from distrecvae.data.prepared import Data
from distrecvae.data.summary import facts
from distrecvae.errors import ConfigError, DataError
from distrecvae.evaluation import Evaluation, Scoring
from distrecvae.metrics import METRICS, Float64Array, listed, title_of, trust_in
from distrecvae.paired import CONFIDENCE, Gain, paired_gain, users_in_words, users_to_tell
from distrecvae.runs.warm import trained_elsewhere
from distrecvae.saved.model import LoadedModel, load_model
from distrecvae.shared_items import Coverage, evaluate_shared
from distrecvae.storage.uri import as_place
from distrecvae.training.device import usable_device, use_threads
from distrecvae.words import counted

if TYPE_CHECKING:
    from typing import TypeAlias

    from distrecvae.api.preparing import DataLike

    ModelLike: TypeAlias = LoadedModel | SearchResult | TrainResult | BlendResult | str | PathLike[str]

GROUPS = ("test", "valid")
LEVEL = 1 - CONFIDENCE
"""Chance of shipping a model that is no better."""


@dataclass(frozen=True)
class Scored(Evaluation):
    """A model's scores on held-out users.

    Attributes:
        coverage: how many of the data's items the model knows.
        notes: what was not scored, and what makes the scores look too good, a line each.
    """

    coverage: Coverage = field(kw_only=True)
    notes: tuple[str, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class ScoredAgainst(Scored):
    """A model's scores beside an earlier one's, over the same users: those whom at least one can score.

    For a user whom only one of them can score, the other has 0: it recommends nothing that can be found.

    Attributes:
        against: the earlier model's scores, over the same users.
        gains: by metric of users, what users gain over the earlier model; the first metric decides.
    """

    against: Scored = field(kw_only=True)
    gains: Mapping[str, Gain] = field(kw_only=True)

    @property
    def better(self) -> bool:
        """Whether the model is better by the first metric, by more than chance."""
        gain = next(iter(self.gains.values()))
        return gain.mean > 0 and gain.p_value < LEVEL

    @property
    def verdict(self) -> str:
        """The line that decides: it begins with `ship it`, or with `keep`."""
        name, gain = next(iter(self.gains.items()))
        found = (
            f"{title_of(name)} {gain.mean:+.4f} ± {gain.standard_error:.4f}, p = {gain.p_value:.2g}, paired over"
            f" {counted(self.n_evaluated, 'user', 'users')}"
        )
        if self.better:
            return f"ship it: the model is better than the earlier one ({found})"
        if gain.mean < 0 and gain.p_value < LEVEL:
            return f"keep: the earlier model is better ({found})"
        words = f"keep: no difference beyond chance ({found})"
        if not gain.mean:
            return words
        needed = users_to_tell(gain.mean, gain.standard_error, self.n_evaluated)
        return f"{words}; to show one of this size takes {users_in_words(needed)}"


def _evaluate(given: dict[str, Any]) -> Evaluation:
    data, group = as_data(given["data"]), given.get("group", GROUPS[0])
    assert data is not None, "it was given"  # noqa: S101
    if group not in GROUPS:
        raise ConfigError(f"group={group!r} is not one of {', '.join(GROUPS)}")
    use_threads(given.get("threads"))
    loaded, name = _model(given["model"], given.get("device"), "the model")
    scored = scores_of(loaded, data, group, name=name, metrics=given.get("metrics"))
    if (earlier := given.get("against")) is not None:
        other, other_name = _model(earlier, given.get("device"), "the earlier model")
        metrics = ",".join(scored.names)
        scored = scores_against(scored, scores_of(other, data, group, name=other_name, metrics=metrics))
        for note in scored.against.notes:
            warnings.warn(note, UserWarning, stacklevel=4)
    for note in scored.notes:
        warnings.warn(note, UserWarning, stacklevel=4)
    return scored


def _model(model: ModelLike, device: str | None, name: str) -> tuple[LoadedModel, str]:
    if isinstance(model, LoadedModel):
        return model, name
    if isinstance(model, SearchResult | TrainResult | BlendResult):
        model = model.chosen if isinstance(model, TrainResult) else model.folder
    return load_model(as_place(model), usable_device(device)), str(model)


def scores_of(
    loaded: LoadedModel, data: Data, group: str, *, name: str, metrics: str | None = None
) -> Scored:
    """Score a model on a group of held-out users; items that it does not know are counted.

    Args:
        loaded: the model.
        data: the data.
        group: "test" or "valid".
        name: of the model, for messages.
        metrics: what to compute; None for the metrics the model was scored by when it was made.

    Raises:
        DataError: they share no item, or the model was trained on these users.
    """
    split, where = data.split, data.folder or "the data"
    if group == "valid" and loaded.metrics.get("refit"):
        raise DataError(
            f"{name} was trained on the validation users, too (--refit), so their scores say nothing; score"
            " the test users"
        )
    users = split.test if group == "test" else split.valid
    known = tuple(loaded.metrics.get(GROUPS[0], {}).get("mean", METRICS))
    trust_in(metrics or "")
    scoring = Scoring.of(known if metrics is None else listed(metrics), split.train)
    scored, coverage = evaluate_shared(
        loaded.recommender, loaded.item_ids, users, split.item_ids, scoring, names=(name, where)
    )
    notes = [f"{name}: {note}" for note in coverage.notes()]
    begun = loaded.metrics.get("begun_from") or {}
    trained_on = {loaded.data.get("fingerprint"), *begun.get("fingerprints", ())} - {None}
    if trained_elsewhere(trained_on, facts(split, data.protocol)):
        notes.append(
            f"{name} was trained on other data, some of whose users may be held out in {where}, which flatters it;"
            " prepare the data with --like the data that it was trained on"
        )
    return Scored(
        scored.per_user,
        scored.users,
        scored.n_skipped,
        scored.overall,
        coverage=coverage,
        notes=tuple(notes),
    )


def scores_against(scored: Scored, earlier: Scored) -> ScoredAgainst:
    """Return a model's scores beside an earlier one's, over the users whom at least one can score.

    Args:
        scored: the model's.
        earlier: the earlier one's, on the same group of the same data.

    Raises:
        ConfigError: no metric is of users.
    """
    users = np.union1d(scored.users, earlier.users)
    one, other = (_over(each, users) for each in (scored, earlier))
    gains = {name: paired_gain(one.per_user[name], other.per_user[name]) for name in one.per_user}
    if not gains:
        raise ConfigError("--against compares users one by one, and none of --metrics is of users; add one")
    return ScoredAgainst(
        one.per_user,
        users,
        one.n_skipped,
        one.overall,
        coverage=one.coverage,
        notes=one.notes,
        against=other,
        gains=gains,
    )


def _over(scored: Scored, users: np.ndarray[Any, np.dtype[np.int64]]) -> Scored:
    """Return scores of `users`, 0 where there are none."""
    at = np.searchsorted(users, scored.users)
    per_user: dict[str, Float64Array] = {}
    for name, values in scored.per_user.items():
        per_user[name] = np.zeros(users.size)
        per_user[name][at] = values
    notes = scored.notes
    if users.size > scored.users.size:
        without = counted(users.size - scored.users.size, "user", "users")
        notes = (*notes, f"{without} of those compared cannot be scored, which counts as 0")
    n_skipped = scored.n_skipped - (users.size - scored.users.size)
    return Scored(per_user, users, n_skipped, scored.overall, coverage=scored.coverage, notes=notes)


@carried_out_by(_evaluate)
def evaluate(
    model: LoadedModel | SearchResult | TrainResult | BlendResult | str | PathLike[str],
    data: DataLike,
    *,
    against: LoadedModel | SearchResult | TrainResult | BlendResult | str | PathLike[str] | None = None,
    group: str = GROUPS[0],
    metrics: str | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> Evaluation:
    """Score a model on held-out users; `.means()` has the means, `.per_user` each user's metrics.

    Items that the model does not know are counted (`.coverage`), and a `UserWarning` says what became of them: fold-in
    items are dropped, held-out items are misses, users of whom the model knows nothing are left out.

    Args:
        model: what `load`, `search`, `train` or `blend` returned, or a results folder.
        data: what `prepare` returned, or a dataset folder.
        against: an earlier model, scored on the same users: `.gains` has what they gain, paired, `.verdict` the line
            that begins with `ship it` or `keep`, `.better` whether it is the first.
        group: the held-out users to score, "test" or "valid".
        metrics: what to compute, such as "ndcg@10,map@10,coverage@20"; None for what the model was scored by.
        device: where to load a model that is not loaded yet; None for a GPU where there is one.
        threads: CPU threads; None for all cores.

    Raises:
        CheckpointError: there is no model.
        DataError: it is no data, or has none of the model's items.
    """
    raise NotImplementedError  # never run: `carried_out_by` takes the call
