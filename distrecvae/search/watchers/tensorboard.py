"""The TensorBoard event files: learning curves a trial, and the HPARAMS tab that compares the trials."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from distrecvae.checks import Scalar, is_number
from distrecvae.layout import trial_folder
from distrecvae.metrics import METRICS, on_validation, on_validation_in
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.space.space import SearchSpace

PASSES, SECONDS = "cost/passes", "cost/duration_s"


class EventFiles:
    """Writes `trials/NNNNN/events.out.tfevents...`; a watcher of the conductor.

    A step is a data pass. The file of a trial that continues after an interruption is rewritten from the ledger, so
    it holds each report once. `best/...` are the scores at the trial's best report so far, as in `trials.csv`.
    """

    def __init__(self, folder: Path, space: SearchSpace, metric: str, names: Sequence[str] = METRICS) -> None:
        self._folder, self._space, self._metric, self._names = folder, space, metric, tuple(names)
        self._writers: dict[int, RecordWriter] = {}
        self._steered_to: list[SearchSpace] = []

    def widened(self, space: SearchSpace, first: TrialRecord | None = None) -> None:
        """Note that trials come from this space now: the tab's columns reach as far, too, as do its filters.

        Args:
            space: what is searched now.
            first: the first trial, whose file describes the columns: it is rewritten; None where it will be anyway.
        """
        self._steered_to.append(space)
        if first is not None:
            self.started(first)
            if first.status is not Status.RUNNING:
                self.ended(first)

    def started(self, record: TrialRecord) -> None:
        """Open the trial's event file with its hyperparameters and whatever it reported before."""
        if (old := self._writers.pop(record.number, None)) is not None:
            old.close()
        writer = self._writers[record.number] = _fresh_writer(trial_folder(self._folder, record.number))
        if record.number == 0:
            # TensorBoard takes the description from any one run; a file of its own would be an empty run in its lists.
            _add(writer, self._description(), step=0)
        _add(writer, _session_start(self._space.flatten(record.config)), step=0)
        for position in range(len(record.reports)):
            self._add_report(record, position)
        writer.flush()

    def reported(self, record: TrialRecord) -> None:
        """Add the newest report's scalars."""
        self._add_report(record, len(record.reports) - 1)
        self._writers[record.number].flush()

    def ended(self, record: TrialRecord) -> None:
        """Add how the trial ended and close its file."""
        bad = record.status in (Status.FAILED, Status.DIVERGED)
        status = api_pb2.STATUS_FAILURE if bad else api_pb2.STATUS_SUCCESS
        writer = self._writers.pop(record.number, None)
        if writer is not None:
            if record.status is Status.DIVERGED:
                # Its score is 0 whatever it reported before; one step on, because a step has one value.
                _add(writer, scalar_pb(f"best/{self._metric}", 0.0), step=record.passes + 1)
            _add(writer, _session_end(status), step=record.passes)
            writer.close()

    def close(self) -> None:
        """Close the files of trials that are still under way."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _add_report(self, record: TrialRecord, position: int) -> None:
        report = record.reports[position]
        at_best = record.reports[record.best.index(record.best[position])]
        scalars = {name: value for name, value in report.items() if "/" in name}
        scalars |= {f"best/{name}": at_best[on_validation(name)] for name in on_validation_in(report)}
        seconds = sum(r["train_s"] + r["evaluate_s"] for r in record.reports[: position + 1])
        scalars |= {PASSES: report["passes"], SECONDS: seconds}
        # Reports that are written again lie as far back as the trial has worked since: RELATIVE stays true.
        wall_time = time.time() - (record.duration_s - seconds)
        for name, value in scalars.items():
            _add(
                self._writers[record.number],
                scalar_pb(name, value),
                step=int(report["passes"]),
                wall_time=wall_time,
            )

    def _description(self) -> Summary:
        # One description for all trials: conditional parameters are columns of the tab even where a trial lacks them.
        scores = sorted(
            self._names, key=lambda name: name != self._metric
        )  # the first one colours the trials
        tags = [*(f"best/{name}" for name in scores), PASSES, SECONDS]
        columns = _columns(self._space, self._steered_to)
        experiment = api_pb2.Experiment(
            hparam_infos=[_hparam_info(name, values) for name, values in columns.items()],
            metric_infos=[api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in tags],
            time_created_secs=time.time(),
        )
        return _plugin_summary(
            metadata.EXPERIMENT_TAG, plugin_data_pb2.HParamsPluginData(experiment=experiment)
        )


def _columns(space: SearchSpace, later: Sequence[SearchSpace]) -> dict[str, list[Scalar]]:
    """Return each column with its values at the start and at both ends of every range; None where it has none.

    Args:
        space: as the search was started: its columns are all that there are.
        later: what it was steered to.
    """
    columns: dict[str, list[Scalar]] = {name: [] for name in space.names()}
    extremes = (
        values
        for each in (space, *later)
        for parameter in each.parameters.values()
        for values in parameter.extremes()
    )
    for values in ({}, *extremes):
        for name, value in space.flatten({**space.base, **values}).items():
            if value not in columns[name]:
                columns[name].append(value)
    return columns


def _hparam_info(name: str, values: Sequence[Scalar]) -> api_pb2.HParamInfo:
    present = [value for value in values if value is not None]
    info = api_pb2.HParamInfo(name=name, type=api_pb2.DATA_TYPE_FLOAT64)
    # The tab shows five columns at first, those that "differ" before others, and its plots leave out every trial that
    # lacks a value in a column shown. With gamma and beta shown, of which a trial has one, no trial would be left.
    info.differs = len(present) == len(values)
    if all(is_number(value) for value in present):
        numbers = [float(value) for value in present]
        info.domain_interval.min_value, info.domain_interval.max_value = min(numbers), max(numbers)
    else:
        flags = all(isinstance(value, bool) for value in present)
        info.type = api_pb2.DATA_TYPE_BOOL if flags else api_pb2.DATA_TYPE_STRING
        info.domain_discrete.extend(present)
    return info


def _session_start(hparams: Mapping[str, Scalar]) -> Summary:
    """Return a trial's hyperparameters.

    Without a group name TensorBoard calls the trial by its run: trials/00007, and search/trials/00007 where it looks at
    several searches. With one, it would merge and average the trials of the same number.
    """
    start = plugin_data_pb2.SessionStartInfo(start_time_secs=time.time())
    for name, value in hparams.items():
        if isinstance(value, bool):
            start.hparams[name].bool_value = value
        elif isinstance(value, int | float):
            start.hparams[name].number_value = value
        elif value is not None:
            start.hparams[name].string_value = value
    return _plugin_summary(
        metadata.SESSION_START_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_start_info=start)
    )


def _session_end(status: Any) -> Summary:
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    return _plugin_summary(
        metadata.SESSION_END_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_end_info=end)
    )


def _plugin_summary(tag: str, data: plugin_data_pb2.HParamsPluginData) -> Summary:
    """Return what TensorBoard's library only offers ready-made to users of TensorFlow."""
    value = Summary.Value(
        tag=tag, metadata=metadata.create_summary_metadata(data), tensor=metadata.NULL_TENSOR
    )
    return Summary(value=[value])


def _fresh_writer(folder: Path) -> RecordWriter:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
    # Its own writer works in a thread a trial, which nobody hears when the disk is full.
    name = f"events.out.tfevents.{time.time():010.0f}.{socket.gethostname()}.{os.getpid()}"
    writer = RecordWriter((folder / name).open("wb"))
    writer.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
    return writer


def _add(writer: RecordWriter, summary: Any, *, step: int, wall_time: float | None = None) -> None:
    copied = Summary.FromString(summary.SerializeToString())
    writer.write(Event(wall_time=wall_time or time.time(), step=step, summary=copied).SerializeToString())
