"""Owns how tensors lie on disk: safetensors files with JSON in their header, and a model's folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from distrecvae import __version__
from distrecvae.data.io import load_ids, save_ids
from distrecvae.errors import CheckpointError, DistrecvaeError
from distrecvae.evaluation import Recommender
from distrecvae.files import new_folder, replacing, write_json
from distrecvae.training.registry import config_from_dict, config_to_dict, load_recommender

FORMAT = 1
_HEADER = "distrecvae"
CONFIG_FILE = "config.json"
MODEL_FILE = "model.safetensors"
ITEMS_FILE = "items.parquet"
METRICS_FILE = "metrics.json"


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
        n_parameters: floating-point numbers in it.
    """

    model: str
    config: Any
    recommender: Recommender
    item_ids: npt.NDArray[np.generic]
    metrics: dict[str, Any]
    n_parameters: int


def save_model(
    folder: Path,
    *,
    model: str,
    config: Any,
    state: Mapping[str, torch.Tensor],
    item_ids: npt.NDArray[Any],
    metrics: Mapping[str, Any],
) -> None:
    """Write a model folder that has all it takes to recommend; an older one at `folder` is replaced.

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
        document = {
            "model": model,
            "config": config_to_dict(config),
            "format": FORMAT,
            "distrecvae": __version__,
        }
        write_json(temporary / CONFIG_FILE, document)
    shutil.rmtree(retired, ignore_errors=True)


def load_model(folder: Path, device: torch.device | str = "cpu") -> LoadedModel:
    """Return the model of a folder that `save_model` wrote.

    Raises:
        CheckpointError: a file is missing, damaged, of another format, or they do not belong together.
    """
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
    n_parameters = sum(value.numel() for value in state.values() if value.is_floating_point())
    metrics = read_json(folder / METRICS_FILE)
    return LoadedModel(document["model"], config, recommender, item_ids, metrics, n_parameters)


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
