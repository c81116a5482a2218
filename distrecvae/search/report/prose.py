"""Owns the words of a report: the verdict, what stopping early saved, and the tables; HTML, everything escaped."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from distrecvae.metrics import METRICS, TITLES
from distrecvae.search.core.records import Status
from distrecvae.search.folder.search_json import FINISHED, RUNNING, WarmStart
from distrecvae.search.report.axes import label_of
from distrecvae.search.report.data import SearchResults, Trial
from distrecvae.words import duration

BAD = (Status.DIVERGED, Status.FAILED)


def headline(results: SearchResults) -> str:
    """Return the first line: what was searched, on what, for how long."""
    data, counts = results.description["dataset"], Counter(str(trial.status) for trial in results.trials)
    ended = ", ".join(f"{counts[status]} {status}" for status in Status if counts[status])
    return escape(
        f"{results.settings['model']} on {data['train_users']:,} training users x {data['n_items']:,} items"
        f" ({data['train_interactions']:,} interactions): {len(results.trials)} of {results.settings['trials']} trials"
        f" ({ended}) in {duration(results.description['elapsed_s'])}."
    )


def verdict(results: SearchResults) -> list[str]:
    """Return the verdict: a sentence on the best trial, and one on validation against test."""
    title, metric, best = TITLES[results.metric], results.metric, results.best
    start = results.space.start_name
    if best is None:
        return ["No trial has a score yet." if _goes_on(results) else "No trial has a score."]
    scores = results.published
    if scores is None:
        first = results.trials[0].score
        beside = "" if first is None or best.number == 0 else f", the {start} configuration has {first:.4f}"
        state = "is running" if results.description["status"] == RUNNING else "was interrupted"
        over = (
            f"The search {state}"
            if _goes_on(results)
            else "The search is over, its chosen model is not published"
        )
        return [
            f"Best so far is trial {best.number} with validation {title} {best.score:.4f}{beside}.",
            f"{over}: test users have not been looked at.",
        ]
    test, valid = scores["test"], scores["valid"]
    value = f"{title} {_with_error(test, metric)} on {test['n_evaluated']:,} test users"
    other = scores.get("published")
    if other is None:
        first_words = (
            f"The {start} configuration (trial 0) was not beaten in {_trials(results)}"
            if scores["trial"] == 0
            else f"Trial {scores['trial']} is the best of {len(results.trials)}"
        )
        beside = "" if scores["trial"] == 0 else f"; the {start} configuration has no score to compare with"
        return [
            f"{first_words}: {value}{beside}.",
            f"On the validation users that chose it: {_with_error(valid, metric)}.",
        ]
    gain, gain_valid = other["gain_test"][metric], other["gain_valid"][metric]
    error, missing = gain["standard_error"], gain_valid["mean"] - gain["mean"]
    sure = abs(gain["mean"]) > 2 * error
    both = math.hypot(error, gain_valid["standard_error"])
    kept = (
        "clearly less: part of the gain on validation was luck of the choice"
        if missing > 2 * both
        else "clearly more"
        if missing < -2 * both
        else "the same within two standard errors"
    )
    return [
        f"Trial {scores['trial']} is the best of {len(results.trials)}: {value},"
        f" {gain['mean']:+.4f} ± {error:.4f} against the {start} configuration on the same users,"
        f" {'more' if sure else 'not more'} than twice the standard error."
        + ("" if sure else f" The {start} configuration is as good a choice."),
        f"On the validation users that chose it the gain is {gain_valid['mean']:+.4f} ±"
        f" {gain_valid['standard_error']:.4f}; on the test users it is {kept}.",
    ]


def scores_table(results: SearchResults) -> str:
    """Return the table of the best and the first trial on both groups; empty for a search without them."""
    scores = results.published
    if scores is None:
        return ""
    start = results.space.start_name
    listed = [(f"best (trial {scores['trial']})", scores)]
    if "published" in scores:
        listed.append((f"{start} (trial {scores['published']['trial']})", scores["published"]))
    rows = [
        [f"{label}, {group}", *(_with_error(each[key], name) for name in METRICS)]
        for label, each in listed
        for group, key in (("validation", "valid"), ("test", "test"))
    ]
    skipped = scores["test"]["n_skipped"]
    note = f" Left out: {skipped} with nothing to fold in or nothing to find." if skipped else ""
    return table(["", *(TITLES[name] for name in METRICS)], rows) + paragraph(
        f"Mean ± standard error over {scores['test']['n_evaluated']:,} test and"
        f" {scores['valid']['n_evaluated']:,} validation users.{note}", "note"
    )  # fmt: skip


def parameters_table(results: SearchResults) -> str:
    """Return the best configuration beside the first one; empty without a best trial or parameters."""
    best = results.best
    if best is None or not best.values:
        return ""
    first, start = results.trials[0], results.space.start_name
    both = best.number != first.number
    rows = [
        [name, _cell(value), *([_cell(first.values[name])] if both else [])]
        for name, value in best.values.items()
    ]
    return table(["parameter", f"best (trial {best.number})", *([start] if both else [])], rows)


def trials_table(results: SearchResults, trials: Sequence[Trial]) -> str:
    """Return a row a trial: rank, outcome, cost, values."""
    ranks = {trial.number: rank for rank, trial in enumerate(results.scored, 1)}
    names = list(results.space.names())
    rows = [
        [
            str(ranks.get(t.number, "-")), str(t.number), str(t.status),
            "-" if t.score is None else f"{t.score:.4f}",
            str(t.passes), duration(t.duration_s), *(_cell(t.values[name]) for name in names),
        ]
        for t in trials
    ]  # fmt: skip
    return table(["rank", "trial", "status", TITLES[results.metric], "passes", "time", *names], rows, "many")


def trouble_table(results: SearchResults) -> str:
    """Return a row a trial that diverged or failed, with its reason; empty where there is none."""
    bad = [trial for trial in results.trials if trial.status in BAD]
    names = list(results.space.names())
    rows = [
        [str(t.number), str(t.status), str(t.passes), t.reason, *(_cell(t.values[n]) for n in names)]
        for t in bad
    ]
    return table(["trial", "status", "passes", "reason", *names], rows, "many") if rows else ""


def unspent_passes(results: SearchResults) -> list[int]:
    """Return, a trial, the passes that the scheduler saved: what a stopped trial would have had to its end."""
    scheduler, most = results.settings["scheduler"], results.settings["max_passes"]
    saved = []
    for trial in results.trials:
        stopped = trial.status is Status.STOPPED and trial.reason.startswith(f"{scheduler} ")
        cycle = trial.passes // trial.cycles if trial.cycles else most
        saved.append(most // cycle * cycle - trial.passes if stopped else 0)
    return saved


def saving(results: SearchResults) -> str:
    """Return what stopping early saved, in a sentence."""
    unspent, spent = sum(unspent_passes(results)), sum(trial.passes for trial in results.trials)
    stopped = sum(passes > 0 for passes in unspent_passes(results))
    if not unspent:
        return f"No trial was stopped by a rule: {spent:,} passes were spent."
    return (
        f"{results.settings['scheduler']} stopped {stopped} of {_trials(results)}: {spent:,} passes were spent;"
        f" {unspent:,}, {unspent / (spent + unspent):.0%} of what training all of them to the end costs, were not."
    )


def provenance(results: SearchResults) -> str:
    """Return the command and the versions that made the search."""
    described, settings = results.description, results.settings
    plan = described["plan"]
    rows = [
        ["command", described["command"]],
        ["started", described["started"]],
        ["data", f"{described['data']} (fingerprint {described['dataset']['fingerprint']})"],
        ["space", settings["space"] or f"{settings['model']}'s own: {results.space.description}"],
        ["search", f"sampler {settings['sampler']}, scheduler {settings['scheduler']}, seed {settings['seed']},"
                   f" chosen by valid/{settings['metric']}, at most {settings['max_passes']} passes a trial"],
        *([["warm start", WarmStart(**described["warm_start"]).text()]] if described.get("warm_start") else []),
        ["machine", f"{described['platform']}; {plan['device_name']}, {plan['precision']}"],
        ["distrecvae", described["distrecvae"]],
        *([name, number] for name, number in described["versions"].items()),
    ]  # fmt: skip
    best = shlex.quote(str(results.folder / "best" / "config.json"))
    again = f"distrecvae train --data {shlex.quote(described['data'])} --config {best} --out runs/again"
    return (
        table(None, rows) + paragraph("Train the best configuration again:") + f"<pre>{escape(again)}</pre>"
    )


def table(head: Sequence[str] | None, rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Return an HTML table; it scrolls sideways where it does not fit. Of `many` columns paper shows the first six."""
    top = f"<thead><tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr></thead>" if head else ""
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide {kind}"><table>{top}<tbody>{body}</tbody></table></div>'


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of plain text."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def _goes_on(results: SearchResults) -> bool:
    ended = all(trial.status is not Status.RUNNING for trial in results.trials)
    finished = results.description["status"] == FINISHED
    return not finished and not (ended and len(results.trials) >= results.settings["trials"])


def _trials(results: SearchResults) -> str:
    n = len(results.trials)
    return f"{n} trial{'' if n == 1 else 's'}"


def _with_error(scores: Mapping[str, Any], name: str) -> str:
    return f"{scores['mean'][name]:.4f} ± {scores['standard_error'][name]:.4f}"


def _cell(value: Any) -> str:
    return "-" if value is None else label_of(value)
