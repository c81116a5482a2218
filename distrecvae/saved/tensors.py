"""Writes named tensors to one file with JSON in its header, and reads back only what it wrote itself."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from distrecvae.errors import CheckpointError
from distrecvae.files import replacing
from distrecvae.regular import read_regular, require_regular
from distrecvae.words import first_line

FORMAT = 1
_HEADER = "distrecvae"


def save_state(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any]) -> None:
    """Write named tensors and JSON-able `metadata` to one file, atomically, with a checksum of each.

    Raises:
        OSError: the file cannot be written.
    """
    # An empty tensor may have strides that no bytes can be looked at by: SLIM's weights where none is left.
    flat = {
        name: value.contiguous() if value.numel() else value.new_empty(value.shape)
        for name, value in tensors.items()
    }
    document = {
        "format": FORMAT,
        "crc32": _checksum(flat),
        "metadata_crc32": _checksum_of_json(metadata),
        "metadata": dict(metadata),
    }
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
    with _reading(path) as file:
        document = _document(file, path)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if document.get("crc32", (found := _checksum(tensors))) != found:
            raise CheckpointError(f"{path} is damaged (its checksum is wrong); restore it or train again")
        return tensors, document["metadata"]


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata that `save_state` wrote, without reading the tensors.

    Raises:
        CheckpointError: the file is missing, damaged, or of another format.
    """
    with _reading(path) as file:
        metadata: dict[str, Any] = _document(file, path)["metadata"]
        return metadata


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    try:
        require_regular(path)
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist; give the path of a saved state or model") from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise CheckpointError(f"{path} is damaged ({reason}); restore it or train again") from None


def _document(file: Any, path: Path) -> dict[str, Any]:
    header = (file.metadata() or {}).get(_HEADER)
    if header is None:
        raise CheckpointError(f"{path} was not written by distrecvae; give a file that it wrote")
    document: dict[str, Any] = json.loads(header)
    if document["format"] != FORMAT:
        raise CheckpointError(
            f"{path} has format {document['format']}; {FORMAT} is read: use the version that wrote it"
        )
    # A file of an earlier version has none.
    if document.get("metadata_crc32", (found := _checksum_of_json(document["metadata"]))) != found:
        raise CheckpointError(f"{path} is damaged (its checksum is wrong); restore it or train again")
    return document


def _checksum(tensors: Mapping[str, torch.Tensor]) -> int:
    """Return the CRC-32 of all bytes, tensors by name: a flipped bit would go on as if nothing were."""
    crc = 0
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().reshape(-1)
        crc = zlib.crc32(value.view(torch.uint8).numpy().data, zlib.crc32(name.encode(), crc))
    return crc


def _checksum_of_json(value: Any) -> int:
    """Return the CRC-32 of a value's JSON, which reading and writing leave as it is."""
    return zlib.crc32(json.dumps(value).encode())


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of a model folder.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    try:
        document = json.loads(read_regular(path))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} does not exist; give a folder that `distrecvae train` or a search wrote"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise CheckpointError(f"{path} is damaged ({reason}); restore it or train again") from None
    if not isinstance(document, dict):
        raise CheckpointError(f"{path} is damaged (not a JSON object); restore it or train again")
    return document
