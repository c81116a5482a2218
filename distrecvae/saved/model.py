"""Owns how tensors lie on disk: safetensors files with JSON in their header, and a model's folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from distrecvae import __version__
from distrecvae.data.io import load_ids, save_ids
from distrecvae.errors import CheckpointError, DistrecvaeError
from distrecvae.evaluation import Recommender
from distrecvae.files import new_folder, replacing, write_json, write_text
from distrecvae.saved.card import CARD_FILE, model_card, versions
from distrecvae.training.registry import config_from_dict, config_to_dict, load_recommender

if TYPE_CHECKING:
    from distrecvae.data.histories import HistoriesLike
    from distrecvae.data.recommendations import Frame

FORMAT = 1
_HEADER = "distrecvae"
CONFIG_FILE = "config.json"
MODEL_FILE = "model.safetensors"
ITEMS_FILE = "items.parquet"
METRICS_FILE = "metrics.json"
BEST_FOLDER = "best"
"""Where a results folder, of a training run or of a search, has its model."""


def save_state(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any]) -> None:
    """Write named tensors and JSON-able `metadata` to one file, atomically, with a checksum of the tensors.

    Raises:
        OSError: the file cannot be written.
    """
    flat = {name: value.contiguous() for name, value in tensors.items()}
    document = {"format": FORMAT, "crc32": _checksum(flat), "metadata": dict(metadata)}
    header = {_HEADER: json.dumps(document, allow_nan=False)}
    with replacing(path) as temporary:
        try:
            save_file(flat, temporary, metadata=header)
        except SafetensorError as error:
            # The library puts the system's error into words.
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None


def load_state(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors (on the CPU) and the metadata that `save_state` wrote.

    Raises:
        CheckpointError: the file is missing, damaged, or of another format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(_HEADER)
            if header is None:
                raise CheckpointError(f"{path} was not written by distrecvae; give a file that it wrote")
            document = json.loads(header)
            if document["format"] != FORMAT:
                raise CheckpointError(
                    f"{path} has format {document['format']}; {FORMAT} is read: use the version that wrote it"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if document.get("crc32", (found := _checksum(tensors))) != found:
            raise CheckpointError(f"{path} is damaged (its checksum is wrong); restore it or train again")
        return tensors, document["metadata"]
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist; give the path of a saved state or model") from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} is damaged ({_first_line(error)}); restore it or train again"
        ) from None


def _checksum(tensors: Mapping[str, torch.Tensor]) -> int:
    """Return the CRC-32 of all bytes, tensors by name: a flipped bit would go on as if nothing were."""
    crc = 0
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().reshape(-1)
        crc = zlib.crc32(value.view(torch.uint8).numpy().data, zlib.crc32(name.encode(), crc))
    return crc


@dataclass(frozen=True)
class LoadedModel:
    """A model folder, read back.

    Attributes:
        model: its name in the registry.
        config: its configuration.
        recommender: the model itself.
        item_ids: ids by item position.
        metrics: what was written about its quality.
        data: what was written about the data that it was trained on; empty for a folder that does not say.
        n_parameters: floating-point numbers in it.
    """

    model: str
    config: Any
    recommender: Recommender
    item_ids: npt.NDArray[np.generic]
    metrics: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)
    n_parameters: int = 0

    @property
    def min_rating(self) -> float | None:
        """What the rating of a training interaction was above; None where every row counted."""
        threshold = (self.data.get("options") or {}).get("min_rating")
        return None if threshold is None else float(threshold)

    def recommend(
        self,
        histories: HistoriesLike,
        *,
        top: int = 100,
        include_seen: bool = False,
        min_rating: float | None = None,
    ) -> Frame:
        """Return each user's best items: a pandas DataFrame of `user_id`, `rank` (from 1), `item_id`, `score`.

        Users without an item that the model knows are left out, and items that it does not know are ignored; a
        `UserWarning` says how many.

        Args:
            histories: a dict of user id -> item ids, a list of lists of item ids (users are 0, 1, ...), or a DataFrame
                with `user_id` and `item_id`. A repeated item counts once.
            top: items a user.
            include_seen: recommend what a user has, too.
            min_rating: of a DataFrame's rows with a rating, those above it are what the model goes by; the others are
                only not recommended. None takes the threshold that the model's data was made with, if any.

        Raises:
            ConfigError: `top` is no whole number from 1 on, or there is a threshold and no rating.
            DataError: `histories` is something else, or an id is missing.
        """
        from distrecvae.saved.serving import recommended

        frame, found = recommended(self, histories, top=top, include_seen=include_seen, min_rating=min_rating)
        for note in found.notes():
            warnings.warn(note, UserWarning, stacklevel=2)
        return frame


def save_model(
    folder: Path,
    *,
    model: str,
    config: Any,
    state: Mapping[str, torch.Tensor],
    item_ids: npt.NDArray[Any],
    metrics: Mapping[str, Any],
    data: Mapping[str, Any] | None = None,
) -> None:
    """Write a model folder that has all it takes to recommend, and its card; an older one at `folder` is replaced.

    Args:
        folder: where.
        model: name in the registry.
        config: the model's configuration.
        state: its parameters.
        item_ids: ids by item position.
        metrics: its quality, JSON-able.
        data: what it was trained on, as `distrecvae.data.summary.facts` tells it; None where that is not known.

    Raises:
        ResultsError: `folder` holds something that is not a model.
    """
    retired = folder.with_name(f".{folder.name}.retired")
    shutil.rmtree(retired, ignore_errors=True)
    if (folder / CONFIG_FILE).is_file():
        folder.rename(retired)
    with new_folder(folder) as temporary:
        save_state(temporary / MODEL_FILE, state, {"model": model})
        save_ids(temporary / ITEMS_FILE, item_ids)
        write_json(temporary / METRICS_FILE, dict(metrics))
        document: dict[str, Any] = {
            "model": model,
            "config": config_to_dict(config),
            "format": FORMAT,
            "distrecvae": __version__,
            "data": dict(data or {}),
        }
        write_json(temporary / CONFIG_FILE, document)
        card = model_card(
            model=model,
            config=document["config"],
            n_items=len(item_ids),
            metrics=metrics,
            data=document["data"],
            written_with=versions(),
        )
        write_text(temporary / CARD_FILE, card)
    shutil.rmtree(retired, ignore_errors=True)


def load_model(folder: Path, device: torch.device | str = "cpu") -> LoadedModel:
    """Return the model of a folder that `save_model` wrote, or of a results folder that has one in ``best/``.

    Raises:
        CheckpointError: a file is missing, damaged, of another format, or they do not belong together.
    """
    folder = model_folder(folder)
    document = read_json(folder / CONFIG_FILE)
    if document.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder} has format {document.get('format')}; {FORMAT} is read: use the version that wrote it"
        )
    state, _ = load_state(folder / MODEL_FILE)
    try:
        config = config_from_dict(document["model"], document["config"])
        item_ids = load_ids(folder / ITEMS_FILE)
        recommender = load_recommender(document["model"], config, len(item_ids), state, device)
    except (DistrecvaeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder} is damaged: {_first_line(error)}") from None
    data = document.get("data")
    return LoadedModel(
        document["model"],
        config,
        recommender,
        item_ids,
        read_json(folder / METRICS_FILE),
        data if isinstance(data, dict) else {},
        sum(value.numel() for value in state.values() if value.is_floating_point()),
    )


def model_folder(path: Path) -> Path:
    """Return the model folder that `path` is, or has in ``best/``.

    Raises:
        CheckpointError: there is none.
    """
    files = (CONFIG_FILE, MODEL_FILE)
    for folder in (path, path / BEST_FOLDER):
        if any((folder / name).exists() for name in files):
            return folder
    if not path.exists():
        raise CheckpointError(
            f"{path} does not exist; give a folder that `distrecvae train` or a search wrote"
        )
    if any((path / name).exists() for name in ("run.json", "search.json")):
        raise CheckpointError(f"{path} has no model yet, it is not finished; go on with it by --resume")
    raise CheckpointError(
        f"{path} holds no model ({CONFIG_FILE} and {MODEL_FILE} are not there, nor in {BEST_FOLDER}/);"
        " give a folder that `distrecvae train` or a search wrote"
    )


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of a model folder.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} does not exist; give a folder that `distrecvae train` or a search wrote"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged ({_first_line(error)}); restore it or train again"
        ) from None
    if not isinstance(document, dict):
        raise CheckpointError(f"{path} is damaged (not a JSON object); restore it or train again")
    return document


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
