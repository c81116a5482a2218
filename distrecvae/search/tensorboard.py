"""Owns the TensorBoard event files: learning curves a trial, and the HPARAMS tab that compares the trials."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from distrecvae.metrics import METRICS
from distrecvae.search.ledger import Status, TrialRecord
from distrecvae.search.space import SearchSpace


class EventFiles:
    """Writes `trials/NNNNN/events.out.tfevents...`; a watcher of the conductor.

    A step is a data pass. The file of a trial that goes on after an interruption is written anew from the ledger, so
    it holds each report once.
    """

    def __init__(self, folder: Path, space: SearchSpace, metric: str) -> None:
        self._folder, self._space, self._metric = folder, space, metric
        self._writers: dict[int, EventFileWriter] = {}
        self._describe_experiment()

    def started(self, record: TrialRecord) -> None:
        """Open the trial's event file with its hyperparameters and whatever it reported before."""
        folder = self._folder / "trials" / f"{record.number:05d}"
        writer = self._writers[record.number] = _fresh_writer(folder)
        hparams = {
            name: value for name, value in self._space.flatten(record.config).items() if value is not None
        }
        _add(writer, summary_v2.hparams_pb(hparams, trial_id=f"{record.number:05d}"), step=0)
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
            _add(writer, _session_end(status), step=record.passes)
            writer.close()

    def close(self) -> None:
        """Close the files of trials that are still under way."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _add_report(self, record: TrialRecord, position: int) -> None:
        report = record.reports[position]
        scalars = {name: value for name, value in report.items() if "/" in name}
        scalars[f"best/{self._metric}"] = record.best[position]
        for name, value in scalars.items():
            _add(self._writers[record.number], scalar_pb(name, value), step=int(report["passes"]))

    def _describe_experiment(self) -> None:
        # One description for all trials: conditional parameters are columns of the tab even where a trial lacks them.
        metrics = [f"best/{self._metric}", *(f"valid/{name}" for name in METRICS), "train/loss"]
        writer = _fresh_writer(self._folder)
        experiment = api_pb2.Experiment(
            hparam_infos=[
                _hparam_info(name, value) for name, value in self._space.flatten(self._space.base).items()
            ],
            metric_infos=[api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in metrics],
            time_created_secs=time.time(),
        )
        data = plugin_data_pb2.HParamsPluginData(experiment=experiment)
        _add(writer, _plugin_summary(metadata.EXPERIMENT_TAG, data), step=0)
        writer.close()


def _hparam_info(name: str, example: Any) -> api_pb2.HParamInfo:
    kind = api_pb2.DATA_TYPE_FLOAT64
    if isinstance(example, bool):
        kind = api_pb2.DATA_TYPE_BOOL
    elif isinstance(example, str):
        kind = api_pb2.DATA_TYPE_STRING
    return api_pb2.HParamInfo(name=name, type=kind)


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


def _fresh_writer(folder: Path) -> EventFileWriter:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
    return EventFileWriter(str(folder), max_queue_size=1000, flush_secs=30)


def _add(writer: EventFileWriter, summary: Any, *, step: int) -> None:
    copied = Summary.FromString(summary.SerializeToString())
    writer.add_event(Event(wall_time=time.time(), step=step, summary=copied))
