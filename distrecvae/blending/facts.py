"""`blend.json`: what a blend is, what it was chosen from, what it is worth and what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from distrecvae import __version__
from distrecvae.blending.outcome import Outcome
from distrecvae.errors import ResultsError
from distrecvae.evaluation import Evaluation
from distrecvae.layout import BLEND_FILE
from distrecvae.paired import Gain
from distrecvae.typed import MisfitError, read_typed

FORMAT: Literal[1] = 1
"""Of `blend.json`."""


@dataclass(frozen=True, kw_only=True)
class GainFacts:
    """A mean difference and its standard error, paired over users; None over no users."""

    mean: float | None
    standard_error: float | None


@dataclass(frozen=True, kw_only=True)
class CandidateFacts:
    """What a blend was chosen from: `valid` is the metric on validation users, `single_ms` a user asked for alone."""

    name: str
    source: str
    model: str
    valid: float | None
    size_bytes: int
    single_ms: float
    batch_ms: float


@dataclass(frozen=True, kw_only=True)
class MemberFacts:
    """One member.

    Attributes:
        name: what it is called.
        source: the folder that it was read from.
        model: its name in the registry.
        weight: of its scores.
        size_bytes: of its weights, as the blend stores them.
        test: the metric on test users, alone.
        behind: what the blend gains over it on test users.
        worth: what the blend gains by having it; None of a blend of one.
        thin_loss: what its thin weights lose of the blend's metric on validation users; None where they are whole.
    """

    name: str
    source: str
    model: str
    weight: float
    size_bytes: int
    test: float | None
    behind: GainFacts
    worth: GainFacts | None
    thin_loss: float | None


@dataclass(frozen=True, kw_only=True)
class BlendFacts:
    """What `blend.json` says.

    Attributes:
        distrecvae: the version that wrote it.
        fingerprint: the data set's.
        metric: by which it was chosen.
        rule: by which scores are made comparable.
        members: by falling weight.
        candidates: what it was chosen from.
        single: the candidate that validation users choose alone.
        size_bytes: of all weights.
        single_ms: milliseconds a user asked for alone, measured.
        batch_ms: milliseconds a user of many, measured.
        valid: the metric on validation users, each under a choice made without the user's fold; None where there were
            too few users.
        in_sample: the same on the users that chose the weights: too good.
        test: the metric on test users.
        gain_valid: over the best single candidate on validation users, both cross-fitted.
        gain_test: over `single` on test users.
        fold_weights: what was chosen without each fold, a weight a candidate.
        refit_users: users that the members and `single` were trained again on before test users were scored, validation
            users among them; None where they were not. Validation scores are of the members before.
        format: of the file.
    """

    distrecvae: str
    fingerprint: str
    metric: str
    rule: str
    members: tuple[MemberFacts, ...]
    candidates: tuple[CandidateFacts, ...]
    single: str
    size_bytes: int
    single_ms: float
    batch_ms: float
    valid: float | None
    in_sample: float | None
    test: float | None
    gain_valid: GainFacts | None
    gain_test: GainFacts
    fold_weights: tuple[tuple[float, ...], ...]
    refit_users: int | None = None
    format: Literal[1] = FORMAT


def facts_of(outcome: Outcome, fingerprint: str) -> BlendFacts:
    """Return what is written down of a blend."""
    choice = outcome.choice
    metric = choice.wish.metric
    worths: list[GainFacts | None] = [*map(_gain, outcome.worths())]
    worths = worths or [None] * len(choice.members)
    gain_valid = outcome.gain_on_validation()
    return BlendFacts(
        distrecvae=__version__,
        fingerprint=fingerprint,
        metric=metric,
        rule=choice.rule,
        members=tuple(
            MemberFacts(
                name=member.name,
                source=member.source,
                model=member.model,
                weight=weight,
                size_bytes=member.size_bytes,
                test=_mean(test, metric),
                behind=_gain(behind),
                worth=worth,
                thin_loss=thin_loss,
            )
            for member, weight, test, behind, worth, thin_loss in zip(
                choice.members,
                choice.weights,
                outcome.members,
                outcome.gains_over_members(),
                worths,
                choice.thin_losses,
                strict=True,
            )
        ),
        candidates=tuple(
            CandidateFacts(
                name=each.name,
                source=each.source,
                model=each.model,
                valid=_mean(valid, metric),
                size_bytes=cost.size_bytes,
                single_ms=cost.single_ms,
                batch_ms=cost.batch_ms,
            )
            for each, valid, cost in zip(choice.candidates, choice.valid, choice.costs, strict=True)
        ),
        single=choice.single.name,
        size_bytes=choice.cost.size_bytes,
        single_ms=choice.cost.single_ms,
        batch_ms=choice.cost.batch_ms,
        valid=None if choice.cross_fitted is None else _mean(choice.cross_fitted, metric),
        in_sample=_mean(choice.in_sample, metric),
        test=_mean(outcome.test, metric),
        gain_valid=None if gain_valid is None else _gain(gain_valid),
        gain_test=_gain(outcome.gain_over_single()),
        fold_weights=choice.fold_weights,
        refit_users=choice.refit_users,
    )


def metrics_of(outcome: Outcome) -> Mapping[str, Any]:
    """Return a blend's `metrics.json`: validation scores are the cross-fitted ones, where there are such."""
    choice = outcome.choice
    return {
        "selected_by": f"valid/{choice.wish.metric}",
        "valid": (choice.cross_fitted or choice.in_sample).summary(),
        "cross_fitted": choice.cross_fitted is not None,
        "in_sample": choice.in_sample.summary(),
        "test": outcome.test.summary(),
        **({} if choice.refit_users is None else {"refit": True, "train_users": choice.refit_users}),
    }


def read_facts(folder: Path) -> BlendFacts:
    """Return `blend.json` of a blend's folder.

    Raises:
        ResultsError: there is none, or it cannot be read or does not fit.
    """
    path = folder / BLEND_FILE
    try:
        return read_typed(path, BlendFacts)
    except FileNotFoundError:
        raise ResultsError(
            f"{folder} holds no blend ({BLEND_FILE} is missing); `distrecvae blend` makes one"
        ) from None
    except (OSError, MisfitError) as error:
        raise ResultsError(f"{path} cannot be read ({error}); restore it, or blend again") from None


def _mean(evaluation: Evaluation, metric: str) -> float | None:
    mean = evaluation.mean(metric)
    return None if math.isnan(mean) else mean


def _gain(gain: Gain) -> GainFacts:
    if math.isnan(gain.mean):
        return GainFacts(mean=None, standard_error=None)
    return GainFacts(mean=gain.mean, standard_error=gain.standard_error)
