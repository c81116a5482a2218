"""Trains a trial again from the ledger alone and compares it report by report: the same bits, or what they differ by.

A trial is a function of its task: configuration, seed, data. What else its bits depend on is written down when a search
begins or is resumed (versions, device, processor, threads), so that a difference has a name.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distrecvae.data.dataset import Split
from distrecvae.data.io import load_dataset
from distrecvae.errors import DivergedError, ResultsError
from distrecvae.layout import LEDGER_FILE, SEARCH_FILE, STATE_FILE
from distrecvae.metrics import on_validation
from distrecvae.runs.trial import run_trial
from distrecvae.saved.places import StateFile
from distrecvae.search.core.chain import read_chain
from distrecvae.search.core.ledger import records_of
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.core.tasks import trial_task
from distrecvae.search.folder.data_place import place_of_data
from distrecvae.search.folder.environment import touching_numbers, versions
from distrecvae.search.folder.search_json import Description, read_description
from distrecvae.storage.fetched import on_this_machine
from distrecvae.training import registry
from distrecvae.training.device import (
    device_facts,
    processor_name,
    threads_in_use,
    usable_device,
    use_threads,
)
from distrecvae.words import counted

TIMES = ("train_s", "evaluate_s")
"""What two trainings never have in common."""
NEVER_S = 10.0**9


@dataclass(frozen=True)
class Compared:
    """A report of the trial beside the one that was made again.

    Attributes:
        cycle: of the report.
        passes: data passes by then.
        differing: by key, what was reported then and now, where that is not the same to the last bit.
    """

    cycle: int
    passes: int
    differing: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Reproduction:
    """A trial that was trained again, in part or whole.

    Attributes:
        folder: the search's, or its URI.
        record: the trial, as the ledger has it.
        compared: its reports beside those made again, in order.
        differs: what is not the same here as it was: `torch 2.9 (was 2.8)`, each.
        ended: how the second training ended, where that is not how the first one did; empty otherwise.
    """

    folder: Path | str
    record: TrialRecord
    compared: tuple[Compared, ...]
    differs: tuple[str, ...]
    ended: str = ""

    @property
    def same(self) -> bool:
        """Whether every report that was made again is the same, to the last bit, and none is missing."""
        return not self.ended and all(not each.differing for each in self.compared)

    def __str__(self) -> str:
        """Return what came of it, in lines."""
        name = f"Trial {self.record.number} of {self.folder}"
        n, whole = len(self.compared), len(self.record.reports)
        if self.same:
            part = "" if n == whole else f", of {whole} that it made"
            lines = [
                f"{name}: {counted(n, 'report', 'reports')} made again{part}, each the same to the last bit."
            ]
            return "\n".join([*lines, *(f"Though there is a difference: {each}." for each in self.differs)])
        lines = [f"{name}: it does not repeat itself here."]
        first = next((each for each in self.compared if each.differing), None)
        if first is not None:
            key, (then, now) = next(iter(first.differing.items()))
            lines.append(
                f"The same up to cycle {first.cycle - 1}; at cycle {first.cycle} {key} is {now!r} and was {then!r}."
            )
            lines.append(f"Greatest difference of a validation score: {self._greatest():.2g}.")
        if self.ended:
            lines.append(self.ended)
        lines.append(
            f"What its numbers depend on, and has changed: {'; '.join(self.differs)}."
            if self.differs
            else "Nothing that was written down differs (versions, device, processor, threads). On a GPU no bits are"
            " promised; and of a cluster's workers the processors are not known, only the driver's."
        )
        return "\n".join(lines)

    def _greatest(self) -> float:
        pairs = (
            pair for each in self.compared for key, pair in each.differing.items() if key.startswith("valid/")
        )
        return max((abs(float(now) - float(then)) for then, now in pairs), default=0.0)


def reproduce(
    place: Path | str,
    trial: int,
    *,
    until: int | None = None,
    data: str | None = None,
    device: str | None = None,
    threads: int | None = None,
    tell: Callable[[Compared], None] = lambda _: None,
) -> Reproduction:
    """Train a trial of a search again and compare its reports; nothing is written there.

    Args:
        place: the search's folder, or the URI where it is mirrored.
        trial: the trial's number.
        until: the last cycle to train; None for as many as the trial had.
        data: where its data set lies; None looks where it was.
        device: a torch device; None for the search's, where this machine has it.
        threads: CPU threads; None for as many as it had.
        tell: is told of each report.

    Raises:
        ResultsError: there is no search, no such trial, it has no report, or the data set is not found or another one.
        ResourceError: there is no such device.
        StorageError: the URI cannot be read.
    """
    with on_this_machine(place, lambda name: name in (SEARCH_FILE, LEDGER_FILE)) as folder:
        found = _reproduced(folder, trial, until, data, device, threads, tell)
    return replace(found, folder=place)


def _reproduced(
    folder: Path,
    trial: int,
    until: int | None,
    data: str | None,
    device: str | None,
    threads: int | None,
    tell: Callable[[Compared], None],
) -> Reproduction:
    described = read_description(folder, remedy="give the results folder of a search")
    path, metric = folder / LEDGER_FILE, on_validation(described.settings.metric)
    lines = read_chain(path).records
    records = records_of(lines, metric, path)
    if trial not in records:
        raise ResultsError(
            f"{folder} has no trial {trial}; it has {counted(len(records), 'trial', 'trials')}"
        )
    record = records[trial]
    if not record.reports:
        raise ResultsError(f"trial {trial} of {folder} has no report; there is nothing to compare with")
    split = load_dataset(data or place_of_data(folder, described))
    if split.fingerprint != described.dataset.fingerprint:
        raise ResultsError(
            f"{folder} was started on a data set with fingerprint {described.dataset.fingerprint}, {data} has"
            f" {split.fingerprint}; give the same data"
        )
    chosen = usable_device(device or described.plan.device)
    environments = _environments(lines, trial)
    used = threads or int(next((e["threads"] for e in environments if "threads" in e), described.plan.cpus))
    with _threads(used):
        compared, ended = _compare(described, record, split, chosen, until, tell)
        now = {
            **versions(),
            "device": device_facts(chosen).name,
            "precision": described.plan.precision,
            "processor": processor_name(),
            "threads": str(used),
        }
    differs = dict.fromkeys(each for before in environments for each in touching_numbers(before, now))
    return Reproduction(folder, record, tuple(compared), tuple(differs), ended)


def _compare(
    described: Description,
    record: TrialRecord,
    split: Split,
    device: str,
    until: int | None,
    tell: Callable[[Compared], None],
) -> tuple[list[Compared], str]:
    """Return the reports beside those made again, and how the training ended where it ended otherwise."""
    settings = described.settings
    wanted = [report for report in record.reports if until is None or report["cycle"] <= until]
    compared: list[Compared] = []
    common = registry.common_of(settings.model) if described.plan.common_lent else None
    with tempfile.TemporaryDirectory(prefix="distrecvae-") as place:
        task = trial_task(
            record, settings, device=device, precision=described.plan.precision,
            max_passes=max(settings.most_passes, record.passes), checkpoint_every_s=NEVER_S,
        )  # fmt: skip
        reports = run_trial(
            task,
            StateFile(Path(place) / STATE_FILE),
            split.train,
            split.valid,
            None if common is None else common.compute(split.train),
        )
        try:
            for then, now in zip(wanted, reports, strict=False):
                keys = [key for key in {**then, **now} if key not in TIMES]
                pairs = {key: (then.get(key), now.get(key)) for key in keys}
                compared.append(
                    Compared(then["cycle"], then["passes"], {k: p for k, p in pairs.items() if p[0] != p[1]})
                )
                tell(compared[-1])
            if until is None and record.status is Status.DIVERGED:
                next(reports, None)
                return compared, f"It continued where the trial diverged ({record.reason})."
        except DivergedError as error:
            if record.status is not Status.DIVERGED or len(compared) < len(wanted):
                return compared, f"It diverged after {counted(len(compared), 'report', 'reports')}: {error}."
    missing = len(wanted) - len(compared)
    return compared, f"It ended {counted(missing, 'report', 'reports')} earlier." if missing else ""


def _environments(lines: tuple[dict[str, Any], ...], trial: int) -> list[Mapping[str, str]]:
    """Return what was written down of each run of the search that the trial was trained in."""
    found: list[Mapping[str, str]] = []
    begun = over = False
    for line in lines:
        if line["kind"] in ("begun", "resumed") and "environment" in line and not over:
            found = [*(found if begun else []), line["environment"]]
        begun = begun or (line["kind"] == "asked" and line["trial"] == trial)
        over = over or (line["kind"] == "ended" and line["trial"] == trial)
    return found


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = threads_in_use()
    use_threads(number)
    try:
        yield
    finally:
        use_threads(before)
