"""Says why a trial is what it is: by what it was proposed, where it was judged, which curve it lost to.

A function of the ledger: it is read line by line up to the moment in question, the study is rebuilt as it stood then,
and the sampler and the rule are asked again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import TPESampler

from distrecvae.errors import ResultsError
from distrecvae.layout import LEDGER_FILE
from distrecvae.metrics import on_validation
from distrecvae.search.core.chain import read_chain
from distrecvae.search.core.ledger import curves_of, replayed
from distrecvae.search.core.optuna_internals import Leaning, leaning_of
from distrecvae.search.core.proposals import Proposals
from distrecvae.search.core.records import Status, TrialRecord, leading
from distrecvae.search.core.rules import make_rule
from distrecvae.search.core.samplers import STARTUP_TRIALS
from distrecvae.search.core.steering import Steering
from distrecvae.search.core.study import propose, study_of
from distrecvae.search.folder.search_json import Description, read_description
from distrecvae.search.living.explanation import ADDED, PROPOSED, START, STARTUP, WARM, Origin, Why


def why(folder: Path, trial: int) -> Why:
    """Return why a trial of the search in `folder` is what it is; nothing is written: the search may be running.

    Raises:
        ResultsError: there is no search, no such trial, or a file is damaged.
    """
    described = read_description(folder, remedy="give the results folder of a search")
    settings, path = described.settings, folder / LEDGER_FILE
    metric = on_validation(settings.metric)
    rule = make_rule(settings.scheduler, settings.first_rung, settings.most_passes, settings.reduction_factor)
    origin, judgements, records = None, [], dict[int, TrialRecord]()
    lines = read_chain(path).records
    for position, (line, records) in enumerate(replayed(lines, metric, path)):
        if line.get("trial") != trial:
            continue
        if line["kind"] == "asked":
            earlier = [record for number, record in records.items() if number != trial]
            origin = _origin(described, records[trial], earlier, lines[:position])
        elif line["kind"] == "report":
            judged = rule.judge(trial, curves_of(records.values()))
            judgements += [judged] if judged is not None else []
    if origin is None:
        known = f"it has trials 0 to {len(records) - 1}" if records else "it has none yet"
        raise ResultsError(f"{folder} has no trial {trial}; {known}")
    scored = [each for each in records.values() if each.score is not None]
    record = records[trial]
    better = sum((each.score or 0.0) > (record.score or 0.0) for each in scored)
    return Why(
        folder=folder,
        described=described,
        record=record,
        rank=None if record.score is None else better + 1,
        n_ranked=len(scored),
        origin=origin,
        judgements=tuple(judgements),
        leader=leading(records.values()),
        records=records,
    )


def _origin(
    described: Description,
    record: TrialRecord,
    earlier: list[TrialRecord],
    lines: Sequence[Mapping[str, Any]],
) -> Origin:
    number, sampler_name = record.number, described.settings.sampler
    steering, proposals = _as_it_stood(described, described.plan.concurrent, lines)
    best = leading(earlier)
    ended = [each for each in earlier if each.status is not Status.RUNNING]
    set_before = proposals.starting_values(number)
    kind = (
        ADDED if steering.added
        else START if number == 0
        else WARM if proposals.is_warm(number)
        else STARTUP if set_before or (sampler_name in ("tpe", "gp") and len(ended) < STARTUP_TRIALS)
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
        again=_again(described, record, earlier, lines),
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
    """Tell whether the same is proposed again; a search that goes on may have had more, or fewer, trials at once."""
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
