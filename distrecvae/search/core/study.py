"""Shows trials to Optuna, whose samplers and tools read a study: one in memory, made from the ledger's records."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from distrecvae.search.core.records import Status, Suggestion, TrialRecord
from distrecvae.search.space.changing import fitting_point
from distrecvae.search.space.space import SearchSpace

CONFIG_KEY = "config"
"""User attribute of a study's trial: the model's configuration."""
SECONDS_KEY = "seconds_a_pass"
"""User attribute of a study's trial that has reported: seconds that a pass of it took, training and scoring."""

Suggest = Callable[[optuna.trial.Trial], dict[str, Any]]
"""Draws a configuration from a trial."""


def state_of(record: TrialRecord) -> TrialState:
    """Return what Optuna calls it: its TPE ranks pruned trials by how far they got, then by value."""
    if record.status is Status.RUNNING:
        return TrialState.RUNNING
    if record.score is None:
        return TrialState.FAIL
    return TrialState.PRUNED if record.status is Status.STOPPED else TrialState.COMPLETE


def values_of(record: TrialRecord, state: TrialState) -> list[float] | None:
    """Return the values of a trial in that state: its score, a stopped one's too; None where it has none to show."""
    if record.score is None or state not in (TrialState.COMPLETE, TrialState.PRUNED):
        return None
    return [record.score]


Express = Callable[[TrialRecord], Suggestion | None]
"""Puts a trial into the words of another space than it was proposed from; None where that cannot have it."""


def expressed_in(space: SearchSpace) -> Express:
    """Return what puts trials into the words of `space`: a sampler learns of a space that was changed from all of them.

    What a sampler remembered of a proposal is left out: it was of another space.
    """

    def express(record: TrialRecord) -> Suggestion | None:
        point = fitting_point(space, record.config)
        trial = FixedTrial(point)
        try:
            space.suggest(trial)
        except ValueError:  # a parameter is missing: the space does not reach to where it was
            return None
        distributions = {name: distribution_to_json(each) for name, each in trial.distributions.items()}
        return Suggestion(point, distributions, {}, record.suggestion.at)

    return express


def as_optuna_has_it(record: TrialRecord, express: Express | None = None) -> FrozenTrial:
    """Return the trial as Optuna's own; the value of a report is the running best.

    Args:
        record: the trial.
        express: puts it into the words of another space; a trial that cannot be put so counts as failed.
    """
    state = state_of(record)
    suggestion = record.suggestion if express is None else express(record)
    if suggestion is None:
        state, suggestion = TrialState.FAIL, Suggestion(at=record.suggestion.at)
    values = {int(r["passes"]): best for r, best in zip(record.reports, record.best, strict=True)}
    trial = create_trial(
        state=state,
        values=values_of(record, state),
        params=dict(suggestion.params),
        distributions={name: _distribution(text) for name, text in suggestion.distributions.items()},
        intermediate_values=values,
        user_attrs={CONFIG_KEY: record.config, **clocked(record)},
        system_attrs=dict(suggestion.attrs),
    )
    trial.number = record.number
    trial.datetime_start = _local(suggestion.at)
    ended_at = record.ended_at or (None if state is TrialState.RUNNING else record.suggestion.at)
    trial.datetime_complete = None if ended_at is None else _local(ended_at)
    return trial


@lru_cache(maxsize=256)  # of a search's trials, all have the same few
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)


def clocked(record: TrialRecord) -> dict[str, float]:
    """Return the user attributes of a trial that come from a clock; none before it has reported."""
    return {SECONDS_KEY: record.duration_s / record.passes} if record.duration_s and record.passes else {}


def _local(at: datetime) -> datetime:
    """Return a time as Optuna writes it: the clock's on the wall, without a zone."""
    return at.astimezone().replace(tzinfo=None)


def study_of(
    records: Iterable[TrialRecord], storage: optuna.storages.InMemoryStorage, express: Express | None = None
) -> optuna.Study:
    """Return a study in memory with these trials, in the order of their numbers, as `as_optuna_has_it` puts them."""
    with quiet():
        # Each proposal brings its own sampler. Optuna's default one takes longer to make than the study.
        sampler = optuna.samplers.RandomSampler()
        study = optuna.create_study(storage=storage, direction="maximize", sampler=sampler)
        study.add_trials(as_optuna_has_it(record, express) for record in records)
    return study


def propose(
    study: optuna.Study,
    number: int,
    make_sampler: Callable[[int], optuna.samplers.BaseSampler],
    suggest: Suggest,
    starting_values: Callable[[int], Mapping[str, Any]],
    redraws: Callable[[int], Iterable[optuna.samplers.BaseSampler]] = lambda _: (),
    anew: Callable[[], optuna.Study] | None = None,
) -> tuple[dict[str, Any], FrozenTrial]:
    """Add the trial of that number to the study; return its configuration and the trial as Optuna has it.

    A configuration that an earlier trial had would give that one's reports again. It is drawn again, with no values
    set, by one sampler of `redraws` after the other, until it is another one; if none is found, the last draw stands.

    Args:
        study: the trials before it; how it comes out depends on nothing else.
        number: the new trial's.
        make_sampler: returns the sampler for it.
        suggest: draws a configuration.
        starting_values: parameters that are set before the sampler draws the others.
        redraws: returns the samplers that draw it again.
        anew: returns the study once more as it was given: a trial cannot be taken back. None draws once.
    """
    known = [trial.user_attrs.get(CONFIG_KEY) for trial in study.get_trials(deepcopy=False)]
    with quiet():
        sampler = make_sampler(number)
    config, asked = _drawn(study, number, sampler, suggest, starting_values(number))
    if config in known and anew is not None:
        for sampler in redraws(number):
            config, asked = _drawn(anew(), number, sampler, suggest, {})
            if config not in known:
                break
    return config, asked


def _drawn(
    study: optuna.Study,
    number: int,
    sampler: optuna.samplers.BaseSampler,
    suggest: Suggest,
    values: Mapping[str, Any],
) -> tuple[dict[str, Any], FrozenTrial]:
    with quiet():
        if values:
            study.enqueue_trial(dict(values))
        study.sampler = sampler
        trial = study.ask()
        config = suggest(trial)
        trial.set_user_attr(CONFIG_KEY, config)
    return config, study.get_trials(deepcopy=False)[number]


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's log lines and its notes about experimental features; the search has its own words."""
    verbosity = optuna.logging.get_verbosity()
    if verbosity < optuna.logging.ERROR:  # each change drops what the loggers of the process remember
        optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator computes")
            yield
    finally:
        if verbosity < optuna.logging.ERROR:
            optuna.logging.set_verbosity(verbosity)
