"""Touches what is private to Optuna, and nothing else does: each touch has a test that fails when Optuna changes.

Seen in Optuna 4 and 5. A touch that is not needed any more is deleted here, with its test.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import _split_trials, default_gamma
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

_UNCONSTRAINED = (
    {"constraints_enabled": False} if "constraints_enabled" in signature(_split_trials).parameters else {}
)
"""What Optuna 4 wants to be told; Optuna 5 has no such argument."""


def stored_id(trial: Trial | FrozenTrial) -> int:
    """Return what a storage knows the trial by; its number counts within its study."""
    return trial._trial_id


class Leaning(NamedTuple):
    """What a tree-structured Parzen estimator leans on.

    Attributes:
        good: numbers of the trials that it holds to be good.
        others: of those that it does not.
        log_ratios: by parameter, the logarithm of the density of its value among the good over that among the others,
            each parameter by itself. Where the estimator draws all of them together, as ours does, these are marginals.
    """

    good: tuple[int, ...]
    others: tuple[int, ...]
    log_ratios: dict[str, float]


def leaning_of(
    sampler: TPESampler, study: Study, trial: FrozenTrial, params: Mapping[str, Any]
) -> Leaning | None:
    """Return what the sampler would lean on in drawing `trial`, and how likely that makes `params`.

    Args:
        sampler: as it draws.
        study: with the trials before; `trial` may be in it.
        trial: the one that is drawn.
        params: values by Optuna's names.

    Returns None where it has nothing to lean on yet.
    """
    space = sampler.infer_relative_search_space(study, trial)
    states = [TrialState.COMPLETE, TrialState.PRUNED]
    if sampler._constant_liar:
        states.append(TrialState.RUNNING)
    known = [each for each in study.get_trials(deepcopy=False, states=states) if each.number != trial.number]
    ended = sum(each.state != TrialState.RUNNING for each in known)
    if not space or ended < sampler._n_startup_trials:
        return None
    good, others = _split_trials(study, known, default_gamma(ended), **_UNCONSTRAINED)
    below, above = (
        sampler._build_parzen_estimator(study, space, trials, handle_below=first)
        for trials, first in ((good, True), (others, False))
    )
    ratios = {}
    for place, (name, distribution) in enumerate(space.items()):
        value = np.array([[distribution.to_internal_repr(params[name])]])
        log_densities = []
        for mixture in (below._mixture_distribution, above._mixture_distribution):
            alone = mixture._replace(distributions=[mixture.distributions[place]])
            log_densities.append(float(alone.log_pdf(value)[0]))
        ratios[name] = log_densities[0] - log_densities[1]
    return Leaning(tuple(t.number for t in good), tuple(t.number for t in others), ratios)
