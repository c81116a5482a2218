"""The words of a report: the verdict, the scores, what stopping early saved; plain text, no HTML."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from distrecvae.metrics import title_of
from distrecvae.paired import what_users_tell
from distrecvae.search.commands import model_commands
from distrecvae.search.core.records import Status, cut_short, no_score
from distrecvae.search.folder.best_scores import BestScores, FirstScores, GroupScores, MeanGain
from distrecvae.search.folder.search_json import FINISHED, RUNNING
from distrecvae.search.report.data import SearchResults, Trial
from distrecvae.search.report.importance import FEWEST_TRIALS, N_SHUFFLES, Importance
from distrecvae.search.report.tables import Table
from distrecvae.training import registry
from distrecvae.words import counted, duration, with_error


def headline(results: SearchResults) -> str:
    """Return the first line: what was searched, on what, for how long."""
    data, counts = results.described.dataset, Counter(trial.status for trial in results.trials)
    how = ", ".join(f"{counts[status]} {status}" for status in Status if counts[status])
    ended = len(results.trials) - counts[Status.RUNNING]
    return (
        f"{results.settings.model} on {data.train_users:,} training users x {data.n_items:,} items"
        f" ({data.train_interactions:,} interactions): {ended} of {results.settings.trials} trials"
        f"{' ended' if counts[Status.RUNNING] else ''} ({how}) in {duration(results.described.elapsed_s)}."
    )


def verdict(results: SearchResults) -> list[str]:
    """Return the verdict: a sentence on the best trial, and one on validation against test."""
    best, scores = results.best, results.scores
    if best is None:
        return [no_score([trial.status for trial in results.trials], over=not _goes_on(results))]
    if scores is None:
        return _verdict_before_the_end(results, best)
    valid = (
        f"On the validation users that chose it: {_scored(scores.valid, results.metric)}.{_expected(scores)}"
    )
    if not scores.test.n_evaluated:
        return [
            f"{_chosen(results, scores)}: no test user can be scored, there is no test score (n/a).",
            valid,
        ]
    if scores.first is not None:
        return _verdict_on_the_gain(results, scores, scores.first)
    start = results.space.start_name
    beside = "" if scores.trial == 0 else f"; the {start} configuration has no score to compare with"
    return [f"{_chosen(results, scores)}: {_on_test(results, scores)}{beside}.", valid]


def _verdict_before_the_end(results: SearchResults, best: Trial) -> list[str]:
    title, start, first = title_of(results.metric), results.space.start_name, results.trials[0].score
    beside = "" if first is None or best.number == 0 else f", the {start} configuration has {first:.4f}"
    state = "was interrupted"
    if results.described.status == RUNNING:
        state = "is running" if results.runs else "was killed, or runs where it cannot be seen"
    over = (
        f"The search {state}"
        if _goes_on(results)
        else "The search is over, its chosen model is not published"
    )
    return [
        f"Best so far is trial {best.number} with validation {title} {best.score:.4f}{beside}.",
        f"{over}: test users have not been looked at.",
    ]


def _verdict_on_the_gain(results: SearchResults, scores: BestScores, first: FirstScores) -> list[str]:
    start, metric = results.space.start_name, results.metric
    gain, error = _gain(first.gain_test[metric])
    gain_valid, error_valid = _gain(first.gain_valid[metric])
    missing, both = gain_valid - gain, math.hypot(error, error_valid)
    kept = (
        "clearly less: part of the gain on validation was luck of the choice"
        if missing > 2 * both
        else "clearly more"
        if missing < -2 * both
        else "the same within two standard errors"
    )
    trial = results.trials[0]
    cut = trial.status is Status.STOPPED
    stopped = cut_short(start, trial.passes, results.settings.most_passes) if cut else ""
    return [
        f"{_chosen(results, scores)}: {_on_test(results, scores)},"
        f" {gain:+.4f} ± {error:.4f} against the {start} configuration on the same users."
        f" {what_users_tell(gain, error, scores.test.n_evaluated)}{stopped}",
        f"On the validation users that chose it the gain is {gain_valid:+.4f} ±"
        f" {error_valid:.4f}; on the test users it is {kept}.{_expected(scores)}",
    ]


def _expected(scores: BestScores) -> str:
    """Return what was to be expected of the chosen model before any test user was looked at; empty where unknown."""
    found = scores.expected
    if found is None:
        return ""
    return (
        f" The best of {found.chosen_from} scores is partly luck: before any test user was looked at,"
        f" {with_error(found.mean, found.standard_error)} was to be expected."
    )


def _chosen(results: SearchResults, scores: BestScores) -> str:
    if scores.trial == 0:
        tried = counted(len(results.trials), "trial", "trials")
        return f"The {results.space.start_name} configuration (trial 0) was not beaten in {tried}"
    return f"Trial {scores.trial} is the best of {len(results.trials)}"


def _on_test(results: SearchResults, scores: BestScores) -> str:
    scored = _scored(scores.test, results.metric)
    return f"{title_of(results.metric)} {scored} on {scores.test.n_evaluated:,} test users"


def _gain(gain: MeanGain) -> tuple[float, float]:
    """Return a gain and its standard error; neither is a number over no users."""
    mean, error = gain.mean, gain.standard_error
    return math.nan if mean is None else mean, math.nan if error is None else error


def scores_table(results: SearchResults) -> Table | None:
    """Return the table of the best and the first trial on both groups; None for a search without them."""
    scores = results.scores
    if scores is None:
        return None
    listed: list[tuple[str, BestScores | FirstScores]] = [(f"best (trial {scores.trial})", scores)]
    if scores.first is not None:
        listed.append((f"{results.space.start_name} (trial {scores.first.trial})", scores.first))
    names = tuple(scores.valid.mean)
    rows = [
        [f"{label}, {group}", *(_scored(scored, name) for name in names)]
        for label, each in listed
        for group, scored in (("validation", each.valid), ("test", each.test))
    ]
    return Table(["", *(title_of(name) for name in names)], rows, about="Scores")


def scores_note(results: SearchResults) -> str:
    """Return over which users the scores of `scores_table` are; empty without them."""
    if results.scores is None:
        return ""
    test, valid = results.scores.test, results.scores.valid
    note = (
        f" Left out: {test.n_skipped} with nothing to fold in or nothing to find." if test.n_skipped else ""
    )
    return f"Mean ± standard error over {test.n_evaluated:,} test and {valid.n_evaluated:,} validation users.{note}"


def unspent_passes(results: SearchResults) -> list[int]:
    """Return, a trial, the passes that the scheduler saved: what a stopped trial would have had to its end."""
    scheduler, most = results.settings.scheduler, results.settings.most_passes
    saved = []
    for trial in results.trials:
        stopped = trial.status is Status.STOPPED and trial.reason.startswith(f"{scheduler} ")
        cycle = trial.passes // trial.cycles if trial.cycles else most
        saved.append(most // cycle * cycle - trial.passes if stopped else 0)
    return saved


def curves_about(results: SearchResults) -> str:
    """Return what the learning curves show."""
    if registry.solved_at_once(results.settings.model):
        return "The model is solved in one pass: there are no curves, and nothing to stop early."
    about = "A line is a trial, its validation score after each cycle."
    if not results.described.plan.rungs:
        return about
    settings = results.settings
    return f"{about} At a rung {settings.scheduler} lets the best 1 in {settings.reduction_factor} continue."


def saving(results: SearchResults) -> str:
    """Return what stopping early saved, in a sentence; empty for a model that is solved in one pass."""
    if registry.solved_at_once(results.settings.model):
        return ""
    unspent, spent = sum(unspent_passes(results)), sum(trial.passes for trial in results.trials)
    stopped = sum(passes > 0 for passes in unspent_passes(results))
    if not unspent:
        return f"No trial was stopped by a rule: {spent:,} passes were spent."
    return (
        f"{results.settings.scheduler} stopped {stopped} of {counted(len(results.trials), 'trial', 'trials')}:"
        f" {spent:,} passes were spent;"
        f" {unspent:,}, {unspent / (spent + unspent):.0%} of what training all of them to the end costs, were not."
    )


def importance_words(found: Sequence[Importance], n_scored: int) -> str:
    """Return how the figure of importances is to be read, and which parameters stand out in it."""
    if not found:
        return f"Too early to say: it takes {FEWEST_TRIALS} trials with a score that differ, and there are {n_scored}."
    clear = ", ".join(each.name for each in found if each.stands_out)
    return (
        "How far the best quarter of the trials (at least five) has other values than all of them: PED-ANOVA, from"
        f" {n_scored} trials. Blue: more than each of {N_SHUFFLES} random shuffles of the scores gave, which chance"
        f" does once in {N_SHUFFLES + 1} times; grey: no more than chance."
        f" Blue here: {clear or 'none'}."
    )


def train_again(results: SearchResults) -> str:
    """Return the command, or the call, that trains the best configuration again; empty while there is no model."""
    if results.scores is None:
        return ""
    described = results.described
    return model_commands(described.command, results.folder, described.data)["train it again"]


def _goes_on(results: SearchResults) -> bool:
    ended = all(trial.status is not Status.RUNNING for trial in results.trials)
    finished = results.described.status == FINISHED
    return not finished and not (ended and len(results.trials) >= results.settings.trials)


def _scored(scores: GroupScores, name: str) -> str:
    return with_error(scores.mean[name], scores.standard_error[name])
