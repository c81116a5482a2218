"""What a run takes over from an earlier one: its model's weights, its optimizer's moments, item by item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt
import torch

from distrecvae.data.days.matching import positions_among
from distrecvae.data.stored.tables import load_ids
from distrecvae.errors import CheckpointError, ConfigError, DataError
from distrecvae.layout import CONFIG_FILE, METRICS_FILE, STATE_FILE
from distrecvae.runs.resumable import ResumableTraining, read_trainer
from distrecvae.saved.model import ITEMS_FILE, MODEL_FILE, model_folder
from distrecvae.saved.tensors import load_state, read_json
from distrecvae.training import registry
from distrecvae.training.trainer import Earlier, Trainer
from distrecvae.words import counted, first_line


@dataclass(frozen=True, kw_only=True)
class Begun:
    """Where a run began.

    Attributes:
        shared: items that it took over.
        new: items that the earlier model did not have.
        gone: items of the earlier model that are not there any more.
        moments: whether the optimizer's moments were taken over, too; None where it has none.
        fingerprints: of the data that the earlier model was trained on, and of that which it began with.
    """

    shared: int
    new: int
    gone: int
    moments: bool | None
    fingerprints: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return {**asdict(self), "fingerprints": list(self.fingerprints)}


class Beginning(NamedTuple):
    """How a run began with earlier weights, now or before it was interrupted.

    Attributes:
        chosen: what `metrics.json` says of it; empty for fresh weights.
        remarks: what people must know of it, a line each.
    """

    chosen: Mapping[str, Any]
    remarks: list[str]


def begin(
    training: ResumableTraining,
    run: str | None,
    model: str,
    item_ids: npt.NDArray[Any],
    data: Callable[[], Mapping[str, Any]],
) -> Beginning:
    """Let a training begin with the weights of the model in `run`, unless it is under way.

    The state is saved then, so that the earlier run may go.

    Args:
        training: the training, restored.
        run: a results folder; None for fresh weights.
        model: of the trainer.
        item_ids: ids by item position.
        data: returns what the data says of itself, as `distrecvae.data.summary.facts` gives it.

    Raises:
        CheckpointError: there is no model, it is damaged, or of other sizes.
        ConfigError: it is another model, or one that takes over nothing.
        DataError: no item is in both.
    """
    recorded, remarks = training.taken_up.get("begun_from"), []
    if recorded is None and run is not None and not training.taken_up:
        begun = begin_from(Path(run), model, training.trainer, item_ids)
        recorded = begun.as_json()
        remarks.append(told(run, begun))
    if recorded is None:
        return Beginning({}, [])
    training.note(begun_from=recorded)
    if not training.taken_up:
        training.save()
    return Beginning({"begun_from": recorded}, [*remarks, *filter(None, [flattered(recorded, data())])])


def earlier_config(run: Path) -> Path:
    """Return the configuration file of the model in `run`.

    Raises:
        CheckpointError: there is no model.
    """
    return model_folder(run) / CONFIG_FILE


def begin_from(run: Path, model: str, trainer: Trainer, item_ids: npt.NDArray[Any]) -> Begun:
    """Let a fresh trainer begin with the weights of the model in `run`, and with the moments of its checkpoint.

    The checkpoint is of the run's last cycle, and the weights are of its best one.

    Args:
        run: a results folder, or the ``best/`` in it.
        model: of the trainer.
        trainer: a fresh one.
        item_ids: ids by item position.

    Raises:
        CheckpointError: there is no model, it is damaged, or of other sizes.
        ConfigError: it is another model, or one that takes over nothing.
        DataError: no item is in both.
    """
    registry.require_warm(model)
    folder = model_folder(run)
    document = read_json(folder / CONFIG_FILE)
    if document.get("model") != model:
        raise ConfigError(
            f"{run} is a {document.get('model')}, and {model} cannot begin with its weights; leave --model and --config"
            " out, or give another --warm-weights"
        )
    state, _ = load_state(folder / MODEL_FILE)
    before = load_ids(folder / ITEMS_FILE)
    at = positions_among(item_ids, before)
    shared = int((at >= 0).sum())
    if not shared:
        raise DataError(
            f"{run} knows none of the {len(item_ids):,} items of the data (its ids are like"
            f" {', '.join(map(repr, before.tolist()[:3]))}); give a run on such items, or leave --warm-weights out"
        )
    training = _training(folder, document)
    try:
        moments = registry.begin_from(model, trainer, Earlier(state, training, torch.from_numpy(at)))
    except CheckpointError as error:
        raise CheckpointError(f"--warm-weights {run}: {first_line(error)}") from None
    data = document.get("data") or {}
    earlier = (read_json(folder / METRICS_FILE).get("begun_from") or {}).get("fingerprints", ())
    fingerprints = dict.fromkeys([*([data["fingerprint"]] if data.get("fingerprint") else []), *earlier])
    return Begun(
        shared=shared,
        new=len(item_ids) - shared,
        gone=len(before) - shared,
        moments=moments,
        fingerprints=tuple(fingerprints),
    )


def _training(folder: Path, document: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return the state of the training that the model in `folder` is of; empty where it was not kept."""
    state = folder.parent / STATE_FILE
    if not state.exists():
        return {}
    identity = {
        "model": document.get("model"),
        "config": document.get("config"),
        "fingerprint": (document.get("data") or {}).get("fingerprint"),
    }
    return read_trainer(state, identity)


def told(run: str, begun: Begun) -> str:
    """Return where a run began, in a line."""
    words = f"begins with the weights of {run}: {counted(begun.shared, 'item', 'items')} taken over, {begun.new:,} new"
    if begun.gone:
        words += f", {begun.gone:,} gone"
    if begun.moments is None:
        return words
    return words + (
        "; Adam's moments from its last checkpoint"
        if begun.moments
        else "; Adam starts over, no checkpoint was kept"
    )


def flattered(begun: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """Return why scores on this data may flatter a model that began so; empty where they do not.

    Args:
        begun: as `Begun.as_json` gives it.
        data: what the data says of itself, as `distrecvae.data.summary.facts` gives it.
    """
    if not trained_elsewhere(begun.get("fingerprints", ()), data):
        return ""
    return (
        "note: the earlier model may have been trained on users who are held out here, which flatters these scores:"
        " prepare the data with --like the earlier data set"
    )


def trained_elsewhere(fingerprints: Iterable[str], data: Mapping[str, Any]) -> bool:
    """Return whether some of the data that a model was trained on may have other groups of users than this.

    Args:
        fingerprints: of the data that it was trained on.
        data: what this data says of itself, as `distrecvae.data.summary.facts` gives it.
    """
    return not set(fingerprints) <= {data.get("fingerprint"), *data.get("like", ())}
