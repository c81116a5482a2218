"""The choice of a sampler: how the next configuration is proposed.

A new sampler is made for every suggestion, seeded by the search's seed and the trial's number. What it
knows, it reads from the study; so a search that was interrupted proposes what it would have proposed, with
nothing pickled.
"""

# ruff: noqa: ARG002  (the arguments of Optuna's interface)
from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from distrecvae.errors import ConfigError, nearest
from distrecvae.rng import derive_seed, stream
from distrecvae.search.core.config import SAMPLERS
from distrecvae.search.core.guided import GuidedSampler
from distrecvae.search.core.guided.belief import Expected
from distrecvae.search.core.guided.guide import FIRST
from distrecvae.search.core.sobol import SobolSampler

STARTUP_TRIALS = 10
"""Ended trials before `tpe` and `gp` propose by what they know."""

REDRAWS = 10
"""How often a suggestion is drawn again that an earlier trial had, at most: a small space may have no other left."""

_PACKAGES = {"cmaes": ("cmaes",), "gp": ("scipy", "torch"), "guided": ("scipy",), "qmc": ("scipy",)}


def make_sampler(
    name: str,
    *,
    seed: int,
    trial_number: int,
    concurrent: int = 1,
    redraw: int = 0,
    most_passes: int | None = None,
    expected: Expected | None = None,
) -> BaseSampler:
    """Return the sampler for the suggestion of trial `trial_number`.

    - `tpe`: multivariate tree-structured Parzen estimator; running trials count as bad ones if `concurrent` >
    1, so that
      trials at the same time differ (the constant liar). It ranks stopped trials by how far they got, then by
      value.
    - `guided`: what is expected to improve most for its time, by a Gaussian process over configurations and passes.
    - `random`: uniform in each range.
    - `cmaes`: CMA-ES over numbers; categorical parameters, branches included, are drawn at random.
    - `gp`: Gaussian process with expected improvement; a stopped trial counts with its last value.
    - `qmc`: scrambled Sobol points; results are not looked at.

    Args:
        name: one of `SAMPLERS`.
        seed: the search's seed.
        trial_number: the number that the study gives to the trial.
        concurrent: trials at once.
        redraw: how often the suggestion was drawn before, and was an earlier trial's.
        most_passes: of a whole training; `guided` asks.
        expected: where the best values are expected, as `SearchSpace.expected` says it; `guided` asks.

    Raises:
        ConfigError: an unknown name, or a package that the sampler needs is missing.
    """
    if name not in SAMPLERS:
        hint = nearest(name, SAMPLERS)
        raise ConfigError(f"unknown sampler {name!r}; choose from {', '.join(SAMPLERS)}{hint}")
    missing = [package for package in _PACKAGES.get(name, ()) if importlib.util.find_spec(package) is None]
    if missing:
        packages = " ".join(missing)
        raise ConfigError(
            f"sampler {name!r} needs {packages}, which is not installed: pip install {packages}"
        )
    if name == "qmc":
        return SobolSampler(derive_seed(seed, "qmc"))  # one sequence for the whole search
    again = (redraw,) if redraw else ()
    trial_seed = derive_seed(seed, "sampler", trial_number, *again) % 2**32
    if name == "random":
        return RandomSampler(seed=trial_seed)
    if name == "guided":
        return GuidedSampler(trial_seed, most_passes, expected)
    with warnings.catch_warnings():
        # Optuna 4 marks multivariate and constant_liar as experimental, 4 and 5 consider_pruned_trials.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "tpe":
            return TPESampler(
                seed=trial_seed,
                multivariate=True,
                constant_liar=concurrent > 1,
                n_startup_trials=STARTUP_TRIALS,
            )
        if name == "cmaes":
            # Most trials of a search with early stopping end as pruned: without them, no generation fills.
            return CmaEsSampler(seed=trial_seed, consider_pruned_trials=True, warn_independent_sampling=False)
    return StoppedAwareGP(trial_seed)


def redrawing_samplers(
    name: str,
    *,
    seed: int,
    trial_number: int,
    concurrent: int = 1,
    most_passes: int | None = None,
    expected: Expected | None = None,
) -> Iterator[BaseSampler]:
    """Yield what draws a suggestion again that was an earlier trial's: the same kind of sampler, then random ones.

    Arguments as for `make_sampler`. One whose suggestions do not depend on the trial's seed is not asked again.
    """
    for redraw in range(1, REDRAWS + 1):
        kind = "random" if name == "qmc" or redraw > REDRAWS // 2 else name
        yield make_sampler(
            kind,
            seed=seed,
            trial_number=trial_number,
            concurrent=concurrent,
            redraw=redraw,
            most_passes=most_passes,
            expected=expected,
        )


def starting_values(name: str, start: Mapping[str, Any], *, seed: int, trial_number: int) -> dict[str, Any]:
    """Return the parameters of trial `trial_number` that are set before the sampler draws the others.

    Trial 0 is the start, whole. The other startup trials of `tpe` and `gp`, which these would draw from the whole
    space, keep each parameter of the start with probability one half (a simplex or a branch as one): the published
    configuration is good, and what is good lies nearer to it than to a random point. Draws that keep all of it, which
    with one parameter were every second one, are drawn again: the trial would repeat the first.

    Args:
        name: one of `SAMPLERS`; the others draw every trial but the first by themselves.
        start: the start's Optuna parameters, `SearchSpace.default_point`.
        seed: the search's seed.
        trial_number: the number that the study gives to the trial.
    """
    if trial_number == 0:
        return dict(start)
    if name not in ("tpe", "gp") or trial_number >= STARTUP_TRIALS:
        return {}
    random = stream(seed, "startup", trial_number)
    names = sorted({key.split("/")[0] for key in start})
    kept = names
    while names and kept == names:
        kept = [name for name in names if random.random() < 0.5]
    return {key: value for key, value in start.items() if key.split("/")[0] in kept}


def begins(name: str, trial_number: int, ended: int) -> bool:
    """Tell whether a sampler draws that trial without knowing anything yet, `ended` trials having ended before it."""
    if name == "guided":
        return trial_number < FIRST
    return name in ("tpe", "gp") and ended < STARTUP_TRIALS


class StoppedAwareGP(BaseSampler):
    """Optuna's Gaussian process, which by itself sees finished trials only, fed with stopped ones too.

    With early stopping most trials are stopped ones, and a process that does not see them keeps proposing
    their like.
    """

    def __init__(self, seed: int) -> None:
        with warnings.catch_warnings():
            # Optuna 4 marks the whole class as experimental.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._gp = GPSampler(seed=seed, n_startup_trials=STARTUP_TRIALS, warn_independent_sampling=False)
        self._space = IntersectionSearchSpace(include_pruned=True)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that every ended trial has."""
        space = self._space.calculate(study)
        return {name: distribution for name, distribution in space.items() if not distribution.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the point of greatest expected improvement; nothing before enough trials have ended."""
        if not search_space:
            return {}
        seen = optuna.create_study(direction=study.direction)
        for known in study.get_trials(deepcopy=False):
            if known.number != trial.number and (counted := _counted(known, search_space)) is not None:
                seen.add_trial(counted)
        seen.add_trial(create_trial(state=TrialState.RUNNING))
        return self._gp.sample_relative(seen, seen.get_trials(deepcopy=False)[-1], search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a uniform draw."""
        return self._gp.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Do nothing: all that counts is in the study."""


def _counted(trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]) -> FrozenTrial | None:
    if not search_space.keys() <= trial.params.keys():
        return None
    if trial.state == TrialState.RUNNING:
        return create_trial(state=trial.state, params=trial.params, distributions=trial.distributions)
    value = trial.value if trial.state == TrialState.COMPLETE else None
    if trial.state == TrialState.PRUNED and trial.last_step is not None:
        value = trial.intermediate_values[trial.last_step]
    if value is None:
        return None
    return create_trial(value=value, params=trial.params, distributions=trial.distributions)
