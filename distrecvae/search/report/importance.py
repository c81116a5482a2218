"""How much each parameter mattered in a search, and how much would seem to matter by chance."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, create_trial

from distrecvae import rng
from distrecvae.search.core.study import quiet
from distrecvae.search.space.parameters import OneOf, Parameter

FEWEST_TRIALS = 15
"""Trials with a score below which nothing is said: the best third would be fewer than five."""
N_SHUFFLES = 19
"""Shuffles of the scores: what beats all of them would do so by chance once in twenty times."""
_TOP, _FEWEST_TOP = 0.25, 5
_KNOWN = inspect.signature(PedAnovaImportanceEvaluator.__init__).parameters
_QUANTILE = "target_quantile" if "target_quantile" in _KNOWN else "baseline_quantile"  # Optuna 5 and 4


@dataclass(frozen=True)
class Importance:
    """One parameter's importance.

    Attributes:
        name: the entry of the space, or `field (if branch)`.
        share: of the sum over all parameters, 0 to 1.
        beaten: of `N_SHUFFLES` random shuffles of the scores among the trials, those that gave it less.
        n_trials: trials that have the parameter.
    """

    name: str
    share: float
    beaten: int
    n_trials: int

    @property
    def stands_out(self) -> bool:
        """Whether it is more than every shuffle gave."""
        return self.beaten == N_SHUFFLES


def importances(
    parameters: Mapping[str, Parameter],
    trials: Sequence[FrozenTrial],
    scores: Sequence[float],
    configs: Sequence[Mapping[str, Any]],
) -> list[Importance]:
    """Return the parameters' importances, the largest first; none for fewer than `FEWEST_TRIALS` trials.

    Importance is PED-ANOVA's (Watanabe et al., IJCAI 2023) as Optuna has it: how far the values of the best quarter of
    the trials (at least five) are distributed otherwise than those of all trials. It needs only the trials' order, so
    one that was stopped early counts with the score it had, among those that were not the best. The sticks of a
    simplex are added up. A branch's field is judged among the trials that chose the branch.

    Args:
        parameters: the space's entries.
        trials: Optuna's trials, those with a score.
        scores: theirs, greater is better.
        configs: their configurations.
    """
    if len(trials) < FEWEST_TRIALS or len(set(scores)) < 2:
        return []
    found: dict[str, tuple[float, int, int]] = {}
    for name, parameter in parameters.items():
        for label, key, uses in _columns(name, parameter, configs):
            # What was fixed under way was not drawn from then on.
            chosen = [i for i in uses if _keys(trials[i], key)]
            if len(chosen) < FEWEST_TRIALS:
                continue
            real, *shuffled = _divergences(
                [trials[i] for i in chosen], key, [scores[i] for i in chosen], label
            )
            found[label] = (real, sum(real > chance for chance in shuffled), len(chosen))
    total = sum(real for real, _, _ in found.values())
    if total <= 0:
        return []
    listed = [Importance(label, real / total, beaten, n) for label, (real, beaten, n) in found.items()]
    return sorted(listed, key=lambda each: -each.share)


def _columns(
    name: str, parameter: Parameter, configs: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str, list[int]]]:
    """Return (label, Optuna's name, positions of the trials that use it) for each thing that is searched."""
    everyone = list(range(len(configs)))
    columns = [(name, name, everyone)]
    if isinstance(parameter, OneOf):
        for branch, fields in parameter.branches.items():
            chosen = [i for i in everyone if parameter.active(configs[i]) == branch]
            columns += [(f"{field} (if {branch})", f"{name}/{branch}/{field}", chosen) for field in fields]
    return columns


def _keys(trial: FrozenTrial, name: str) -> list[str]:
    """Return Optuna's names of what was drawn for an entry: one, or one a stick of a simplex; none if it was not."""
    sticks = re.compile(re.escape(name) + r"(/\d+)?")
    return [key for key in trial.params if sticks.fullmatch(key)]


def _divergences(
    trials: Sequence[FrozenTrial], name: str, scores: Sequence[float], label: str
) -> list[float]:
    """Return the unnormalised importance under the scores, then under each shuffle of them."""
    keys = _keys(trials[0], name)
    # Where a range was changed under way, the evaluator would judge its parts apart, and leave out the small ones.
    ranges = {key: _widest([trial.distributions[key] for trial in trials]) for key in keys}
    with quiet():
        study = optuna.create_study()
    study.add_trials(
        create_trial(
            params={key: trial.params[key] for key in keys},
            distributions=ranges,
            value=0.0,
        )
        for trial in trials
    )
    random = rng.stream(0, "importance", label)
    orders = [np.asarray(scores), *(random.permutation(scores) for _ in range(N_SHUFFLES))]
    return [sum(_importance(study, key, order) for key in keys) for order in orders]


def _widest(found: Sequence[BaseDistribution]) -> BaseDistribution:
    """Return the range that has the values of all of these, which are ranges of one parameter at several times."""
    first, others = found[0], [each for each in found if each != found[0]]
    if not others:
        return first
    if isinstance(first, CategoricalDistribution):
        every = [each for each in found if isinstance(each, CategoricalDistribution)]
        return CategoricalDistribution(tuple(dict.fromkeys(c for each in every for c in each.choices)))
    assert isinstance(first, IntDistribution | FloatDistribution)  # noqa: S101  (there are three kinds)
    numbers = [each for each in found if isinstance(each, IntDistribution | FloatDistribution)]
    wide = copy(first)
    wide.low, wide.high = min(each.low for each in numbers), max(each.high for each in numbers)
    return wide


def _importance(study: optuna.Study, key: str, scores: npt.NDArray[np.float64]) -> float:
    with quiet():
        # Given a target, the evaluator takes the smallest values for the best ones.
        found = get_param_importances(
            study,
            evaluator=_evaluator(len(scores)),
            params=[key],
            target=lambda trial: -float(scores[trial.number]),
            normalize=False,
        )
    return float(found[key])


def _evaluator(n_trials: int) -> PedAnovaImportanceEvaluator:
    quantile: dict[str, Any] = {_QUANTILE: max(_TOP, _FEWEST_TOP / n_trials)}
    return PedAnovaImportanceEvaluator(**quantile)
