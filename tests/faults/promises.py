"""What holds of a search after faults where no other search can be equal to it, for seconds weigh in its proposals."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from distrecvae.data.dataset import Split
from distrecvae.data.io import load_dataset
from distrecvae.evaluation import Scoring, evaluate
from distrecvae.layout import BEST_FOLDER, LEDGER_FILE
from distrecvae.metrics import on_validation
from distrecvae.runs.trial import best_model
from distrecvae.saved.model import load_model
from distrecvae.search.core.chain import read_chain
from distrecvae.search.core.ledger import records_of, replayed
from distrecvae.search.core.records import KEPT_TRIALS, Status, TrialRecord, by_score, leading
from distrecvae.search.core.requests import REOPENING
from distrecvae.search.core.steering import steered_trials
from distrecvae.search.core.tasks import trial_task
from distrecvae.search.folder.search_json import Description, read_description
from distrecvae.search.living.reproducing import reproduce
from distrecvae.search.living.why import explained
from distrecvae.search.planning.allowed import allowed
from distrecvae.storage.working_copy import AGREED_FILE
from tests.faults.harness import Storm, history, trials
from tests.simulation.checks import widened_as_it_pulled

Line = Mapping[str, Any]


def assert_kept_its_promises(storm: Storm, undisturbed: Path) -> None:
    """Hold a search of one trial at a time to all that is promised whatever its sampler, resume it once more included.

    Args:
        storm: the search, at its end.
        undisturbed: another search's folder: which files one leaves.
    """
    lines = read_chain(storm.folder / LEDGER_FILE).records
    hold(storm.folder, storm.site.folder / "data", undisturbed)
    table = trials(storm.folder)
    storm.run([])
    assert trials(storm.folder).equals(table), "resumed at its end, it is another one"
    again = read_chain(storm.folder / LEDGER_FILE).records
    assert [line for line in again if line["kind"] != "resumed"] == [
        line for line in lines if line["kind"] != "resumed"
    ], "resumed at its end, it did something more"


def hold(folder: Path, data: Path, undisturbed: Path) -> None:
    """Hold a results folder to what its ledger, its space and its data say, without running anything."""
    described = read_description(folder, remedy="give the results folder of a search")
    content = read_chain(folder / LEDGER_FILE)
    metric = on_validation(described.settings.metric)
    records = records_of(content.records, metric, folder / LEDGER_FILE)
    assert content.torn_bytes == 0, "the ledger ends in half a line"
    _accounts(content.records, records, described)
    _files(folder, undisturbed, records)
    _tables(folder, records, metric)
    split = load_dataset(data)
    _decisions(folder, content.records, described, split)
    for number, record in records.items():
        if not record.reports:
            assert number in _told_to_stop(content.records), f"trial {number} has no report"
            continue
        made = reproduce(folder, number, data=str(data), threads=1)
        assert made.same, str(made)
    _published(folder, split, described, records)


def _accounts(lines: Sequence[Line], records: Mapping[int, TrialRecord], described: Description) -> None:
    """Every trial is accounted for once, and one ended before the next was asked for."""
    kinds = Counter((line["kind"], line["trial"]) for line in lines if "trial" in line)
    wanted = steered_trials(lines, described.settings, described.searched())
    assert list(records) == list(range(wanted)), (
        f"its trials are {list(records)}, and it was to have {wanted}"
    )
    again = Counter(
        line["what"]["trials"][0] for line in lines if line["kind"] == "steered" and line["done"]
        and line["what"]["action"] in REOPENING
    )  # fmt: skip
    for number, record in records.items():
        times = kinds["asked", number], kinds["ended", number] - again[number]
        assert times == (1, 1), f"trial {number} was asked for, and ended for good, {times} times"
        by_hand = ["by hand"] if number in _told_to_stop(lines) else []
        known = {Status.FINISHED: [""], Status.STOPPED: [described.settings.scheduler, *by_hand]}
        assert record.reason.partition(" at ")[0] in known.get(record.status, []), (
            f"{number} {record.status}: {record.reason}"
        )
        cycles = [report["cycle"] for report in record.reports]
        assert cycles == list(range(1, len(cycles) + 1)), f"trial {number} reported the cycles {cycles}"
    configs = Counter(json.dumps(record.config, sort_keys=True) for record in records.values())
    assert max(configs.values()) == 1, "a configuration was tried twice"


def _told_to_stop(lines: Sequence[Line]) -> set[int]:
    """Return the trials that somebody stopped."""
    done = [line["what"] for line in lines if line["kind"] == "steered" and line["done"]]
    return {number for what in done if what["action"] == "stop" for number in what["trials"]}


def _files(folder: Path, undisturbed: Path, records: Mapping[int, TrialRecord]) -> None:
    """No file is half-written, superfluous or missing, and states are kept of no more trials than is promised."""
    here, there = (
        {
            re.sub(r"^trials/\d+/", "trials/N/", path.relative_to(root).as_posix())
            for path in root.rglob("*")
            if path.is_file() and "tfevents" not in path.name and path.name != AGREED_FILE
        }
        for root in (folder, undisturbed)
    )
    assert here == there, f"half-written, superfluous or missing: {sorted(here ^ there)[:5]}"
    kept = {int(path.parent.name) for path in folder.glob("trials/*/state.safetensors")}
    best = {record.number for record in by_score(records.values())[:KEPT_TRIALS]}
    assert best <= kept <= {0, *best}, (
        f"the states of the trials {sorted(kept)} were kept, {sorted(best)} are best"
    )


def _tables(folder: Path, records: Mapping[int, TrialRecord], metric: str) -> None:
    """The tables have what the ledger has, each trial and each report once."""
    assert trials(folder)["trial"].tolist() == list(records), (
        "a trial is missing in the table, or there twice"
    )
    points = history(folder)
    told = list(zip(points["trial"], points["passes"], points[metric], strict=True))
    has = [(n, report["passes"], report[metric]) for n, r in records.items() for report in r.reports]
    assert sorted(told) == has, "the history is not what was reported"


def _decisions(folder: Path, lines: Sequence[Line], described: Description, split: Split) -> None:
    """Each proposal, each stop and each wider range is what the ledger gives as it stood then."""
    settings, space = described.settings, described.searched()
    for line, records in replayed(lines, on_validation(settings.metric), folder / LEDGER_FILE):
        if line["kind"] == "asked":
            running = [r.number for r in records.values() if r.status is Status.RUNNING]
            assert running == [line["trial"]], f"{running} ran when trial {line['trial']} was asked for"
    n_trials = steered_trials(lines, settings, space)
    for number, why in explained(folder, described, lines, range(n_trials)).items():
        assert why.origin.again, f"trial {number}: asked again, the sampler proposes something else"
        stops = [judged.stops for judged in why.judgements]
        stopped = why.record.status is Status.STOPPED and why.record.reason.startswith(settings.scheduler)
        # It is stopped for good once at most; as often as else the search continued it.
        assert sum(stops) == len(why.revived) + stopped, (
            f"trial {number} ended: {why.record.reason}, and the rule says {stops}; continued from {[*why.revived]}"
        )
        assert not stopped or stops[-1], f"trial {number} was stopped, and the rule let it continue"
    if settings.widen:
        allows = allowed(space, settings.most_passes, split.train)
        widened_as_it_pulled(lines, space, settings, described.plan.concurrent, allows)


def _published(
    folder: Path, split: Split, described: Description, records: Mapping[int, TrialRecord]
) -> None:
    """The best trial's model at its best is published, bit for bit, with the scores that it has."""
    best, record = folder / BEST_FOLDER, leading(records.values())
    told = json.loads((best / "metrics.json").read_text(encoding="utf-8"))
    assert record is not None, "a model is published, and no trial has one"
    assert told["trial"] == record.number, f"trial {told['trial']} is published, and {record.number} is best"
    report = record.best_report(on_validation(described.settings.metric))
    assert report is not None
    assert told["cycle"] == report["cycle"], "it is published as it was at another moment than its best"
    task = trial_task(record, described.settings, device="cpu", precision=described.plan.precision)
    trained = best_model(task, folder / "no such state", report["cycle"], split.train, split.valid)
    published = load_file(best / "model.safetensors")
    assert trained.keys() == published.keys(), "the published model has other parameters"
    assert all(torch.equal(trained[name], published[name]) for name in trained), "another model is published"
    model, scoring = load_model(best).recommender, Scoring.of(described.settings.scored, split.train)
    for group, users in (("valid", split.valid), ("test", split.test)):
        means = evaluate(model, users, scoring).means()
        assert told[group]["mean"] == means, f"published scores {told[group]['mean']}, and it has {means}"
