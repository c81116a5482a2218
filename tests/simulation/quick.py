"""Optuna's own machinery, cheaper and the same: it copies and makes anew what no night needs.

Nothing of the package's is changed here, and no draw: `test_quick.py` holds that.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import Any

import numpy as np
from optuna import _convert_positional_args as positional
from optuna._transform import _SearchSpaceTransform, _untransform_numerical_param
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.samplers import RandomSampler
from optuna.samplers import _random as samplers
from optuna.samplers._lazy_random_state import LazyRandomState
from optuna.storages import InMemoryStorage
from optuna.storages import _in_memory as storages
from optuna.trial import FrozenTrial
from optuna.trial import _trial as trials

from distrecvae.search.core import ledger, study

_spare: list[np.random.RandomState] = []
_bounds: dict[tuple[Any, ...], tuple[float, float]] = {}
_texts: dict[tuple[Any, ...], str] = {}
MOST_KEPT = 1000
"""Remembered at a time."""


class _Reseeded(LazyRandomState):
    """A random state that was another sampler's, seeded anew: to make one costs a hundred times what seeding does.

    The sampler is its only user, and gives it back when it goes.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._rng = None
        if seed is not None:
            self._rng = _spare.pop() if _spare else np.random.RandomState()
            self._rng.seed(seed=seed)

    def __del__(self) -> None:
        if self._rng is not None:
            _spare.append(self._rng)


def _sample_independent(
    sampler: RandomSampler, study: Any, trial: Any, name: str, distribution: BaseDistribution
) -> Any:
    """Return what `RandomSampler.sample_independent` draws, without arrays of one number."""
    rng = sampler._rng.rng
    if isinstance(distribution, CategoricalDistribution):
        drawn = rng.uniform(size=len(distribution.choices))
        return distribution.to_external_repr(int(drawn.argmax()))
    key = (type(distribution), *vars(distribution).values())
    if key not in _bounds:
        if len(_bounds) >= MOST_KEPT:
            _bounds.clear()
        ((low, high),) = _SearchSpaceTransform({name: distribution}).bounds
        _bounds[key] = float(low), float(high)
    return _untransform_numerical_param(rng.uniform(*_bounds[key]), distribution, transform_log=True)


def _json(distribution: Any) -> str:
    """Return a range in Optuna's JSON: the same text for the same range."""
    if not isinstance(distribution, IntDistribution | FloatDistribution):
        return distribution_to_json(distribution)
    key = (type(distribution), *vars(distribution).values())
    if key not in _texts:
        if len(_texts) >= MOST_KEPT:
            _texts.clear()
        _texts[key] = distribution_to_json(distribution)
    return _texts[key]


def _shallow(trial: FrozenTrial) -> FrozenTrial:
    """Return what `copy.copy` returns of it."""
    other = object.__new__(type(trial))
    vars(other).update(vars(trial))
    return other


class _Copying:
    """Stands for the module `copy` where a trial is copied, or a dictionary of it, before it is changed."""

    deepcopy = staticmethod(copy.deepcopy)

    @staticmethod
    def copy(each: Any) -> Any:
        """Return a copy."""
        return _shallow(each) if isinstance(each, FrozenTrial) else copy.copy(each)


_create: Callable[..., int] = InMemoryStorage.create_new_trial


def _create_new_trial(
    storage: InMemoryStorage, study_id: int, template_trial: FrozenTrial | None = None
) -> int:
    """Add a trial; a storage changes none in place, and who made the template keeps nothing of it."""
    if template_trial is not None:
        template_trial = _shallow(template_trial)
        vars(template_trial)["__deepcopy__"] = lambda _: template_trial
    number = _create(storage, study_id, template_trial)
    if template_trial is not None:
        del vars(template_trial)["__deepcopy__"]
    return number


@contextmanager
def quick() -> Iterator[None]:
    """Let Optuna do its work so."""
    places: list[tuple[Any, str, Any]] = [
        (samplers, "LazyRandomState", _Reseeded),
        (RandomSampler, "sample_independent", _sample_independent),
        (positional, "_get_positional_arg_names", _names),
        (storages, "copy", _Copying),
        (trials, "copy", _Copying),
        (InMemoryStorage, "create_new_trial", _create_new_trial),
        (study, "quiet", nullcontext),
        (study, "distribution_to_json", _json),
        (ledger, "distribution_to_json", _json),
    ]
    with study.quiet(), standing_in(places):  # quiet once, and not for each trial
        yield


@contextmanager
def standing_in(places: Sequence[tuple[Any, str, Any]]) -> Iterator[None]:
    """Put each stand-in where its module, or class, has a name; put back what was there."""
    usual = [vars(module)[name] for module, name, _ in places]
    for module, name, stand_in in places:
        setattr(module, name, stand_in)
    try:
        yield
    finally:
        for (module, name, _), value in zip(places, usual, strict=True):
            setattr(module, name, value)


_names = lru_cache(positional._get_positional_arg_names)
