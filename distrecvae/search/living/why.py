"""Explains a trial: by what it was proposed, where it was judged, which curve it lost to.

A function of the ledger: it is read line by line up to the moment in question, the study is rebuilt as it stood then,
and the sampler and the rule are asked again.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import TPESampler

from distrecvae.errors import ResultsError
from distrecvae.layout import LEDGER_FILE, SEARCH_FILE
from distrecvae.metrics import on_validation
from distrecvae.search.core.chain import read_chain
from distrecvae.search.core.ledger import curves_of, replayed
from distrecvae.search.core.optuna_internals import Leaning, leaning_of
from distrecvae.search.core.proposals import Proposals
from distrecvae.search.core.records import Status, TrialRecord, leading
from distrecvae.search.core.rules import Curve, Judgement, make_rule
from distrecvae.search.core.samplers import begins
from distrecvae.search.core.steering import Steering
from distrecvae.search.core.study import propose, study_of
from distrecvae.search.folder.search_json import Description, read_description
from distrecvae.search.living.explanation import ADDED, PROPOSED, START, STARTUP, WARM, Origin, Why
from distrecvae.storage.fetched import on_this_machine


def why(place: Path | str, trial: int) -> Why:
    """Explain a trial of a search; nothing is written: the search may be running.

    Args:
        place: the search's folder, or the URI where it is mirrored.
        trial: the trial's number.

    Raises:
        ResultsError: there is no search, no such trial, or a file is damaged.
        StorageError: the URI cannot be read.
    """
    with on_this_machine(place, lambda name: name in (SEARCH_FILE, LEDGER_FILE)) as folder:
        return replace(_why(folder, trial), folder=place)


def _why(folder: Path, trial: int) -> Why:
    described, path = (
        read_description(folder, remedy="give the results folder of a search"),
        folder / LEDGER_FILE,
    )
    lines = read_chain(path).records
    found = explained(folder, described, lines, {trial})
    if not found:
        n_trials = sum(line["kind"] == "asked" for line in lines)
        known = f"it has trials 0 to {n_trials - 1}" if n_trials else "it has none yet"
        raise ResultsError(f"{folder} has no trial {trial}; {known}")
    return found[trial]


def explained(
    folder: Path,
    described: Description,
    lines: Sequence[Mapping[str, Any]],
    trials: Collection[int],
    *,
    ask_again: bool = True,
) -> dict[int, Why]:
    """Explain these trials, by number; those that the ledger does not have are left out.

    Args:
        folder: of the search.
        described: its `search.json`.
        lines: its ledger's.
        trials: their numbers.
        ask_again: whether samplers are asked to propose the same again, which takes the longest.

    Raises:
        ResultsError: a line is not what a ledger writes.
    """
    settings, path = described.settings, folder / LEDGER_FILE
    rule = make_rule(settings.scheduler, settings.first_rung, settings.most_passes, settings.reduction_factor)
    origins, judgements = dict[int, Origin](), defaultdict[int, list[Judgement]](list)
    revived = defaultdict[int, dict[int, str]](dict)
    records, curves, stale = dict[int, TrialRecord](), dict[int, Curve](), set[int]()
    for position, (line, records) in enumerate(replayed(lines, on_validation(settings.metric), path)):
        number = line.get("trial")
        stale |= set(line["what"]["trials"] if _done(line) else [] if number is None else [number])
        if _done(line) and line["what"]["action"] == "revive":
            (again,) = line["what"]["trials"]
            revived[again][records[again].passes] = line["answer"]
        if number is None or number not in trials:
            continue
        if line["kind"] == "asked":
            earlier = [record for record in records.values() if record.number != number]
            origins[number] = _origin(described, records[number], earlier, lines[:position], ask_again)
        elif line["kind"] == "report":
            for each in stale:
                curves.pop(each, None)
            curves |= curves_of(records[each] for each in stale)
            stale.clear()
            judged = rule.judge(number, curves)
            judgements[number] += [judged] if judged is not None else []
    scores = {number: each.score for number, each in records.items() if each.score is not None}
    return {
        number: Why(
            folder=folder,
            described=described,
            record=records[number],
            rank=1 + sum(score > scores[number] for score in scores.values()) if number in scores else None,
            n_ranked=len(scores),
            origin=origin,
            judgements=tuple(judgements[number]),
            revived=revived[number],
            leader=leading(records.values()),
            records=records,
        )
        for number, origin in origins.items()
    }


def _done(line: Mapping[str, Any]) -> bool:
    """Tell whether a line is a request that was done: one that was refused may name trials that there are not."""
    return line["kind"] == "steered" and bool(line["done"])


def _origin(
    described: Description,
    record: TrialRecord,
    earlier: list[TrialRecord],
    lines: Sequence[Mapping[str, Any]],
    ask_again: bool,
) -> Origin:
    number, sampler_name = record.number, described.settings.proposer
    steering, proposals = _as_it_stood(described, described.plan.concurrent, lines)
    best = leading(earlier)
    ended = [each for each in earlier if each.status is not Status.RUNNING]
    set_before = proposals.starting_values(number)
    kind = (
        ADDED if steering.added
        else START if number == 0
        else WARM if proposals.is_warm(number)
        else STARTUP if set_before or begins(sampler_name, number, len(ended))
        else PROPOSED
    )  # fmt: skip
    leaning = None
    if kind == PROPOSED and isinstance(sampler := proposals.sampler(number), TPESampler):
        study = _study(earlier, steering)
        trial = study.ask()
        express = steering.express()
        as_now = None if express is None else express(record)
        leaning = leaning_of(
            sampler,
            study,
            study.get_trials(deepcopy=False)[trial.number],
            (as_now or record.suggestion).params,
        )
    return Origin(
        kind=kind,
        kept=tuple(dict.fromkeys(key.split("/")[0] for key in set_before)),
        ended=len(ended),
        running=len(earlier) - len(ended),
        best=None if best is None else (best.number, best.score or 0.0),
        again=_again(described, record, earlier, lines) if ask_again else None,
        good=() if leaning is None else leaning.good,
        others=() if leaning is None else leaning.others,
        ratios=None if leaning is None else _by_entry(leaning, record.suggestion.params),
    )


def _again(
    described: Description,
    record: TrialRecord,
    earlier: list[TrialRecord],
    lines: Sequence[Mapping[str, Any]],
) -> bool:
    """Tell whether the same is proposed again; a search that is resumed may have had more, or fewer, trials at once."""
    for concurrent in dict.fromkeys((described.plan.concurrent, 1, 2)):
        steering, proposals = _as_it_stood(described, concurrent, lines)
        config, _ = propose(
            _study(earlier, steering),
            record.number,
            proposals.sampler,
            steering.space.suggest,
            proposals.starting_values,
            proposals.redraws,
            partial(_study, earlier, steering),
        )
        if config == record.config:
            return True
    return False


def _as_it_stood(
    described: Description, concurrent: int, lines: Sequence[Mapping[str, Any]]
) -> tuple[Steering, Proposals]:
    """Return how the search was steered, and what it proposed by, once these lines were written."""
    space = described.searched()
    steering = Steering(space, described.settings, concurrent=concurrent)
    warm = () if described.warm_start is None else described.warm_start.points(space)
    proposals = Proposals(steering, described.settings, warm)
    steering.replay(lines)
    return steering, proposals


def _study(records: Iterable[TrialRecord], steering: Steering) -> optuna.Study:
    return study_of(records, optuna.storages.InMemoryStorage(), steering.express())


def _by_entry(leaning: Leaning, params: Mapping[str, Any]) -> dict[str, float]:
    """Return the ratio of each entry: the product over its parameters, without those of branches not chosen."""

    def entry(name: str) -> str:
        return name.split("/")[0]

    def counts(name: str) -> bool:
        parts = name.split("/")
        return len(parts) < 3 or params.get(parts[0]) == parts[1]

    names = sorted(filter(counts, leaning.log_ratios), key=entry)
    return {
        each: math.exp(math.fsum(leaning.log_ratios[name] for name in group))
        for each, group in groupby(names, entry)
    }
