"""The end of a search: the chosen model on the test users, beside the first trial's, in `best/`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from distrecvae.data.dataset import Split
from distrecvae.data.io import data_facts
from distrecvae.errors import ResourceError
from distrecvae.evaluation import Evaluation, Recommender, Scoring, evaluate
from distrecvae.layout import BEST_FOLDER
from distrecvae.paired import Gain, paired_gain
from distrecvae.runs.trial import best_model, kept_model
from distrecvae.saved.model import save_model
from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.records import KEPT_TRIALS, Status, TrialRecord, by_score
from distrecvae.search.core.states import TrialStates
from distrecvae.search.folder.best_scores import BestScores, FirstScores, GroupScores, MeanGain
from distrecvae.search.folder.search import Search
from distrecvae.selection import ExpectedScore, expected_of_chosen
from distrecvae.training import registry
from distrecvae.training.device import usable_device


@dataclass(frozen=True)
class Scored:
    """A trial's best model on both groups of held-out users.

    Attributes:
        record: the trial.
        valid: on the validation users.
        test: on the test users.
        expected: of the chosen one, what its score by the metric that chose it could be expected to be over other
            users, before any test user was looked at; None where too few trials tell.
    """

    record: TrialRecord
    valid: Evaluation
    test: Evaluation
    expected: ExpectedScore | None = None


@dataclass(frozen=True)
class _Candidate:
    """A trial's best model, scored on the validation users alone.

    Attributes:
        record: the trial.
        state: the model's parameters.
        model: the model.
        valid: its scores.
    """

    record: TrialRecord
    state: dict[str, Any]
    model: Recommender
    valid: Evaluation

    def tested(self, split: Split, scoring: Scoring, expected: ExpectedScore | None = None) -> Scored:
        """Return its scores on both groups."""
        return Scored(self.record, self.valid, evaluate(self.model, split.test, scoring), expected)


def _candidate(
    conductor: Conductor,
    states: TrialStates,
    record: TrialRecord,
    split: Split,
    metric: str,
    scoring: Scoring,
) -> _Candidate:
    """Return a trial's best model by `metric`, a key of its reports."""
    report = _at_best(record, metric)
    # The state that a trial left is read anywhere; only where it is gone is the trial repeated.
    task = conductor.task(record)
    task = replace(task, device=_like(task.device))
    state = best_model(task, states.path(record.number), int(report["cycle"]), split.train, split.valid)
    config = registry.config_from_dict(task.model, task.config)
    model = registry.load_recommender(task.model, config, split.n_items, state)
    return _Candidate(record, state, model, evaluate(model, split.valid, scoring))


def _like(device: str) -> str:
    """Return the trials' device if this machine has it, for random values are its kind's; else what there is."""
    try:
        return usable_device(device)
    except ResourceError:
        return usable_device(None)


def _at_best(record: TrialRecord, metric: str) -> dict[str, Any]:
    report = record.best_report(metric)
    assert report is not None, "a trial with a model has a report"  # noqa: S101
    return report


def gains(best: Evaluation, other: Evaluation) -> dict[str, Gain]:
    """Return what `best` gains over `other` by metric, paired over the same users."""
    return {name: paired_gain(best.per_user[name], other.per_user[name]) for name in best.per_user}


def publish_best(search: Search, conductor: Conductor, split: Split) -> tuple[Scored, Scored | None] | None:
    """Score the chosen trial on the test users and write `best/`; return it with the first trial's scores.

    Test users are looked at here and nowhere else, after the choice was made on validation users. The first trial,
    where the space starts, is scored beside it so that the gain can be told from luck; it is None where that is the
    chosen one, or has no model. Returns None, and writes nothing, where no trial has a model: all of them diverged or
    failed.

    Args:
        search: what is searched, and where.
        conductor: its trials.
        split: its data set.
    """
    model, metric = search.config.model, search.metric
    record = conductor.ledger.best()
    if record is None:
        return None
    states, scoring = TrialStates(search.folder), Scoring.of(search.config.scored, split.train)
    chosen = _candidate(conductor, states, record, split, metric, scoring)
    expected = expected_score(search, conductor, states, split, chosen.valid)
    best = chosen.tested(split, scoring, expected)
    first = conductor.ledger.records[0]
    beside = None
    if first.number != record.number and first.has_model:
        beside = _candidate(conductor, states, first, split, metric, scoring).tested(split, scoring)
    report = _at_best(record, metric)
    scores = BestScores(
        trial=record.number,
        selected_by=metric,
        cycle=report["cycle"],
        passes=report["passes"],
        valid=_summary(best.valid),
        test=_summary(best.test),
        ledger=conductor.ledger.mark,
        first=None if beside is None else _first(beside, best),
        expected=expected,
    )
    save_model(
        search.folder / BEST_FOLDER,
        model=model,
        config=registry.config_from_dict(model, record.config),
        state=chosen.state,
        item_ids=split.item_ids,
        metrics=asdict(scores),
        data=data_facts(search.described.data, split),
        item_counts=split.train.item_counts(),
    )
    return best, beside


def expected_score(
    search: Search, conductor: Conductor, states: TrialStates, split: Split, chosen: Evaluation
) -> ExpectedScore | None:
    """Return what the best trial's score can be expected to be over users who did not choose it.

    The models of the next best trials score the validation users once more: how their users differ from the best one's,
    `chosen`, says how much of a score is luck that another model does not share. They are of trials that trained to
    their end: these have a state, and whether a stopped trial's reaches its best cycle depends on the clock. Test users
    are not looked at.
    """
    name, order = search.config.metric, by_score(conductor.ledger.records.values())
    if name not in chosen.per_user:
        return None  # one value of all lists
    evaluations = [chosen]
    for record in order[1:KEPT_TRIALS]:
        if record.status is not Status.FINISHED:
            continue
        task = conductor.task(record)
        cycle = int(_at_best(record, search.metric)["cycle"])
        if (state := kept_model(task, states.path(record.number), cycle)) is not None:
            config = registry.config_from_dict(task.model, task.config)
            model = registry.load_recommender(task.model, config, split.n_items, state)
            evaluations.append(evaluate(model, split.valid, Scoring.of((name,), split.train)))
    return expected_of_chosen(
        [record.score for record in order if record.score is not None],
        [each.per_user[name] for each in evaluations],
        chosen.mean(name),
        chosen.standard_error(name),
    )


def _first(first: Scored, best: Scored) -> FirstScores:
    return FirstScores(
        trial=first.record.number,
        valid=_summary(first.valid),
        test=_summary(first.test),
        gain_valid=_means(gains(best.valid, first.valid)),
        gain_test=_means(gains(best.test, first.test)),
    )


def _summary(evaluation: Evaluation) -> GroupScores:
    return GroupScores(**evaluation.summary())


def _means(gains: Mapping[str, Gain]) -> dict[str, MeanGain]:
    # Over no users there is no mean; JSON has no word for it but null.
    return {
        name: MeanGain(mean=None, standard_error=None)
        if math.isnan(gain.mean)
        else MeanGain(mean=gain.mean, standard_error=gain.standard_error)
        for name, gain in gains.items()
    }
