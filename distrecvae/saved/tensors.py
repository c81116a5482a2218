"""Writes named tensors to one file with JSON in its header, and reads back only what it wrote itself.

The file is of the safetensors format: eight bytes with the length of a JSON header, the header, the tensors' bytes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from distrecvae.errors import CheckpointError
from distrecvae.files import replacing
from distrecvae.regular import read_regular, require_regular
from distrecvae.words import first_line

FORMAT = 1
_HEADER = "distrecvae"


_TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_TYPE_OF = {name: kind for kind, name in _TYPES.items()}
_ALIGNED = 8


def state_pieces(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any]) -> list[NDArray[np.uint8]]:
    """Return the content of the file that `save_state` writes, in order; tensors on the CPU are not copied for it."""
    # An empty tensor may have strides that no bytes can be looked at by: SLIM's weights where none is left.
    flat = {
        name: (
            value.detach().cpu().contiguous()
            if value.numel()
            else torch.empty(value.shape, dtype=value.dtype)
        )
        for name, value in tensors.items()
    }
    document = {
        "format": FORMAT,
        "crc32": _checksum(flat),
        "metadata_crc32": _checksum_of_json(metadata),
        "metadata": dict(metadata),
    }
    header: dict[str, Any] = {"__metadata__": {_HEADER: json.dumps(document, allow_nan=False)}}
    # Wide types first: so each begins where a pointer to it may.
    names, begins = sorted(flat, key=lambda name: (-flat[name].element_size(), name)), 0
    for name in names:
        value = flat[name]
        ends = begins + value.nbytes
        header[name] = {
            "dtype": _TYPES[value.dtype],
            "shape": list(value.shape),
            "data_offsets": [begins, ends],
        }
        begins = ends
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED)
    head = np.frombuffer(len(text).to_bytes(8, "little") + text, np.uint8)
    return [head, *(_bytes_of(flat[name]) for name in names)]


def save_state(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any]) -> None:
    """Write named tensors and JSON-able `metadata` to one file, atomically, with a checksum of each.

    Raises:
        OSError: the file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        for piece in state_pieces(tensors, metadata):
            file.write(piece.data)


def state_from(content: bytearray, name: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors (views of `content`) and the metadata of a file that `save_state` wrote.

    Args:
        content: of the file.
        name: what it is called in messages.

    Raises:
        CheckpointError: it is damaged, or of another format.
    """
    try:
        begins = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:begins])
        document = _document(header.pop("__metadata__", None), name)
        tensors = {key: _tensor(content, begins, said) for key, said in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, RecursionError) as error:
        raise CheckpointError(f"{name} is damaged ({first_line(error)}); restore it or train again") from None
    _require_sum(document, tensors, name)
    return tensors, document["metadata"]


def _tensor(content: bytearray, begins: int, said: Mapping[str, Any]) -> torch.Tensor:
    kind, shape = _TYPE_OF[said["dtype"]], said["shape"]
    first, last = said["data_offsets"]
    count = prod(shape)
    if last - first != count * kind.itemsize or first < 0 or begins + last > len(content):
        raise ValueError(f"a tensor's bytes are {first} to {last}")
    if not count:
        return torch.empty(shape, dtype=kind)
    return torch.frombuffer(content, dtype=kind, count=count, offset=begins + first).reshape(shape)


def load_state(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors (on the CPU) and the metadata that `save_state` wrote.

    Raises:
        CheckpointError: the file is missing, damaged, or of another format.
    """
    with _reading(path) as file:
        document = _document(file.metadata(), path)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        _require_sum(document, tensors, path)
        return tensors, document["metadata"]


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata that `save_state` wrote, without reading the tensors.

    Raises:
        CheckpointError: the file is missing, damaged, or of another format.
    """
    with _reading(path) as file:
        metadata: dict[str, Any] = _document(file.metadata(), path)["metadata"]
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


def _document(said: Mapping[str, str] | None, path: Path | str) -> dict[str, Any]:
    header = (said or {}).get(_HEADER)
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


def _require_sum(document: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], name: Path | str) -> None:
    # A file of an earlier version has none.
    if document.get("crc32", (found := _checksum(tensors))) != found:
        raise CheckpointError(f"{name} is damaged (its checksum is wrong); restore it or train again")


def _checksum(tensors: Mapping[str, torch.Tensor]) -> int:
    """Return the CRC-32 of all bytes, tensors by name: a flipped bit would go unnoticed."""
    crc = 0
    for name in sorted(tensors):
        crc = zlib.crc32(_bytes_of(tensors[name]).data, zlib.crc32(name.encode(), crc))
    return crc


def _bytes_of(value: torch.Tensor) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = value.detach().cpu().reshape(-1).view(torch.uint8).numpy()
    return found


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
