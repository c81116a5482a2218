"""The ledger: what a search has asked, heard and decided, on disk before it takes effect, in one file that cannot lie.

`ledger.jsonl` is the only truth about a search; Ray Tune merely executes trials, Optuna's study is made from it, and
tables, event files, the journal and summaries are views. Its records, each a line of a chain (`chain.py`):

- `begun`: the search's id, its data, the versions and the device it began with; `resumed`: the same of a later run;
- `asked`: a trial, its configuration and how it was proposed;
- `report`: what a trial reported, whole;
- `ended`: how a trial ended, and why;
- `steered`: what somebody asked of the running search, what that found, and what was answered (`steering.py`).

To stop a trial is all that a rule decides; its `ended` is on disk before it hears of that.
Whatever is killed when, the file holds a prefix of what happened; a resumed search continues from there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import distribution_to_json
from optuna.trial import FrozenTrial, TrialState

from distrecvae.errors import ResultsError
from distrecvae.layout import LEDGER_FILE
from distrecvae.search.core.chain import REMEDY, Chain, Mark, read_chain
from distrecvae.search.core.optuna_internals import stored_id
from distrecvae.search.core.records import Status, Suggestion, TrialRecord, leading
from distrecvae.search.core.requests import REOPENING, Request
from distrecvae.search.core.rules import Curve
from distrecvae.search.core.study import Express, Suggest, clocked, propose, state_of, study_of, values_of

FORMAT = 2
"""Of `ledger.jsonl`; the first format was two files, which nothing checked."""


class Ledger:
    """The records of one search; their only writer (the driver holds the folder's lock).

    Args:
        folder: the results folder; the file is made in it where there is none.
        metric: the key of the reports that is maximised, such as `valid/ndcg_100`.
        about: what is written down of a search that begins: JSON-able.

    Attributes:
        records: the trials by number.
        cut_bytes: length of a last line that a killed writer left and that was cut off.
        answers: to requests, by their names: whether what was asked was done, and what was said.

    Raises:
        ResultsError: the file is damaged, edited, or of another format.
    """

    def __init__(self, folder: Path, metric: str, about: Mapping[str, Any] | None = None) -> None:
        self._metric = metric
        self._chain = Chain(folder / LEDGER_FILE)
        self.cut_bytes = self._chain.found.torn_bytes
        self.records = records_of(self._chain.found.records, metric, folder / LEDGER_FILE)
        if not self._chain.found.records:
            self._write("begun", format=FORMAT, at=_now().isoformat(), **(about or {}))
        self.answers = answers_in(self.lines)
        self._curves: dict[int, Curve] = {}
        self._storage = optuna.storages.InMemoryStorage()
        self._study: optuna.Study | None = None

    @property
    def mark(self) -> Mark:
        """How long it is now: all of it is on disk."""
        return self._chain.mark

    @property
    def lines(self) -> tuple[dict[str, Any], ...]:
        """What it held when it was opened, line by line."""
        return self._chain.found.records

    @property
    def about(self) -> dict[str, Any]:
        """What was written down when the search began, or when it was resumed the last time."""
        said = [record for record in self._chain.found.records if record["kind"] in ("begun", "resumed")]
        return said[-1] if said else {}

    def resumed(self, about: Mapping[str, Any]) -> None:
        """Record that the search was resumed, and with what."""
        self._write("resumed", at=_now().isoformat(), **about)

    def require_in_place(self) -> None:
        """Refuse to continue where the file was removed or replaced; see `Chain.require_in_place`."""
        self._chain.require_in_place()

    def ask(
        self,
        make_sampler: Callable[[int], optuna.samplers.BaseSampler],
        suggest: Suggest,
        starting_values: Callable[[int], Mapping[str, Any]],
        redraws: Callable[[int], Iterable[optuna.samplers.BaseSampler]] = lambda _: (),
        express: Express | None = None,
    ) -> TrialRecord:
        """Return a new trial with a configuration: `starting_values` of its number, the rest by the sampler.

        The sampler is made for this one suggestion from the trial's number, so nothing of it needs saving. What an
        earlier trial had is drawn again: `propose`. Where the space is another than it was, `express` puts the trials
        before into its words, and the study is made again.
        """
        study, number = self.study(express), len(self.records)
        anew = partial(self.study, express, anew=True)
        config, asked = propose(study, number, make_sampler, suggest, starting_values, redraws, anew)
        suggestion = Suggestion(
            params=asked.params,
            distributions={name: distribution_to_json(each) for name, each in asked.distributions.items()},
            attrs=asked.system_attrs,
            at=_now(),
        )
        self._write(
            "asked",
            trial=number,
            config=config,
            params=suggestion.params,
            distributions=suggestion.distributions,
            attrs=suggestion.attrs,
            at=suggestion.at.isoformat(),
        )
        record = self.records[number] = TrialRecord(number, config, suggestion=suggestion)
        return record

    def unfinished(self) -> list[TrialRecord]:
        """Return the trials that are under way, or were when the search was interrupted, by number."""
        return [record for record in self.records.values() if record.status is Status.RUNNING]

    def report(self, number: int, metrics: Mapping[str, Any]) -> bool:
        """Write down one report; return False if its passes were reported before (a trial repeats after a restart)."""
        record = self.records[number]
        if record.status is not Status.RUNNING or metrics["passes"] <= record.passes:
            return False
        self._write("report", trial=number, metrics=dict(metrics))
        record.take(dict(metrics), self._metric)
        if self._study is not None and (trial := _running_in(self._study, number)) is not None:
            self._storage.set_trial_intermediate_value(stored_id(trial), record.passes, record.best[-1])
        self._curves.pop(number, None)
        return True

    def end(self, number: int, status: Status, reason: str) -> None:
        """Write down how a trial ended; a second ending of the same trial is ignored."""
        record = self.records[number]
        if record.status is not Status.RUNNING:
            return
        at = _now()
        self._write("ended", trial=number, status=str(status), reason=reason, at=at.isoformat())
        record.status, record.reason, record.ended_at = status, reason, at
        if self._study is not None:
            self._tell(self._study, record)

    def steer(
        self, name: str, request: Request, *, done: bool, answer: str, facts: Mapping[str, Any]
    ) -> None:
        """Write down what was asked of the search, and what was answered.

        Args:
            name: of the request; one of that name is not taken up again.
            request: what was asked.
            done: whether it is done now.
            answer: what is said to whoever asked.
            facts: what it found.
        """
        at = _now().isoformat()
        line = {
            "request": name,
            "what": request.to_dict(),
            "done": done,
            "answer": answer,
            "facts": dict(facts),
        }
        self._write("steered", **line, at=at)
        self.answers[name] = (done, answer)
        if done and request.action in REOPENING:
            self.records[request.trials[0]].reopen(request.number)
            self._study = None

    def curves(self) -> dict[int, Curve]:
        """Return each trial's (passes, running best) points: what stopping rules judge by."""
        for number, record in self.records.items():
            if number not in self._curves:
                self._curves[number] = _curve(record)
        return {n: curve for n, curve in self._curves.items() if self.records[n].status is not Status.FAILED}

    def best(self) -> TrialRecord | None:
        """Return the trial with the best score, the earliest of equals; None while none has a model."""
        return leading(self.records.values())

    def _write(self, kind: str, **what: Any) -> None:
        self._chain.append({"kind": kind, **what})

    def study(self, express: Express | None = None, *, anew: bool = False) -> optuna.Study:
        """Return what samplers read: made from the records at first, in other words, or `anew`; kept up since."""
        if anew or self._study is None or express is not None:
            self._storage = optuna.storages.InMemoryStorage()  # the one before keeps its study
            self._study = study_of(self.records.values(), self._storage, express)
        return self._study

    def _tell(self, study: optuna.Study, record: TrialRecord) -> None:
        if (trial := _running_in(study, record.number)) is None:
            return  # it has no place in the space as it is now
        for name, value in clocked(record).items():
            self._storage.set_trial_user_attr(stored_id(trial), name, value)
        state = state_of(record)  # not `study.tell`, which copies all that the trial has
        self._storage.set_trial_state_values(stored_id(trial), state, values_of(record, state))


def _running_in(study: optuna.Study, number: int) -> FrozenTrial | None:
    trial = study.get_trials(deepcopy=False)[number]
    return trial if trial.state is TrialState.RUNNING else None


def read_records(folder: Path, metric: str) -> dict[int, TrialRecord]:
    """Return the trials of the search in `folder` by number; nothing is written: another process may be at work in it.

    Raises:
        ResultsError: the ledger is missing, damaged, edited, or of another format.
    """
    path = folder / LEDGER_FILE
    return records_of(read_chain(path).records, metric, path)


def answers_in(lines: Iterable[Mapping[str, Any]]) -> dict[str, tuple[bool, str]]:
    """Return the answers to requests in a ledger's lines, by their names: whether it was done, and what was said."""
    return {line["request"]: (line["done"], line["answer"]) for line in lines if line["kind"] == "steered"}


def records_of(lines: Iterable[Mapping[str, Any]], metric: str, path: Path) -> dict[int, TrialRecord]:
    """Return the trials that a ledger's lines tell of, by number.

    Raises:
        ResultsError: a line is not what a ledger writes.
    """
    steps = deque(replayed(lines, metric, path), maxlen=1)
    return steps[0][1] if steps else {}


def replayed(
    lines: Iterable[Mapping[str, Any]], metric: str, path: Path
) -> Iterator[tuple[Mapping[str, Any], dict[int, TrialRecord]]]:
    """Yield each line of a ledger with the trials as they stood once it was written; they are the same objects.

    Raises:
        ResultsError: a line is not what a ledger writes.
    """
    records: dict[int, TrialRecord] = {}
    for position, line in enumerate(lines, 1):
        try:
            _take(line, position, records, metric)
        except (KeyError, TypeError, ValueError) as error:
            raise ResultsError(
                f"{path}: line {position} is not what this version writes ({error!r}); use the version that wrote it,"
                f" or {REMEDY}"
            ) from None
        yield line, records


def curves_of(records: Iterable[TrialRecord]) -> dict[int, Curve]:
    """Return each trial's (passes, running best) points, of those that did not fail: what stopping rules judge by."""
    return {each.number: _curve(each) for each in records if each.status is not Status.FAILED}


def _curve(record: TrialRecord) -> Curve:
    passes = (int(report["passes"]) for report in record.reports)
    return Curve(record.number, tuple(zip(passes, record.best, strict=True)))


def _take(line: Mapping[str, Any], position: int, records: dict[int, TrialRecord], metric: str) -> None:
    kind = line["kind"]
    if position == 1 and (kind != "begun" or line["format"] != FORMAT):
        raise ValueError(f"format {line.get('format')}")
    if kind == "asked":
        if line["trial"] != len(records):
            raise ValueError(f"trial {line['trial']}")
        at = datetime.fromisoformat(line["at"])
        suggestion = Suggestion(line["params"], line["distributions"], line["attrs"], at)
        records[line["trial"]] = TrialRecord(line["trial"], line["config"], suggestion=suggestion)
    elif kind == "report":
        records[line["trial"]].take(line["metrics"], metric)
    elif kind == "ended":
        record = records[line["trial"]]
        record.status, record.reason = Status(line["status"]), line["reason"]
        record.ended_at = datetime.fromisoformat(line["at"])
    elif kind == "steered":
        if line["done"] and line["what"]["action"] in REOPENING:
            records[line["what"]["trials"][0]].reopen(line["what"]["number"])
    elif kind not in ("begun", "resumed"):
        raise ValueError(f"kind {kind!r}")


def _now() -> datetime:
    return datetime.now(UTC)
