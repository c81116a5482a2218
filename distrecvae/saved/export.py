"""Export: a model as one graph from users' rows to scores, for runtimes that know nothing of distrecvae.

The graph takes `histories`, float32 (batch, n_items), 1 where a user has an item and 0 elsewhere, and gives `scores`,
float32 (batch, n_items), nothing masked. It is written only if the runtime that will read it gives the model's own
scores.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.stored.tables import save_ids
from distrecvae.errors import ConfigError, ResourceError, ResultsError
from distrecvae.saved.blend import Blend, why_no_graph
from distrecvae.saved.card import versions
from distrecvae.saved.model import LoadedModel

INPUT, OUTPUT = "histories", "scores"

PARITY_ERROR = 1e-5
"""How far the graph's score may lie from the model's, relative to the user's greatest."""

ONE_FILE_BYTES = 3 << 29
"""Weights that an ONNX file holds itself; beyond 2 GiB it cannot (protobuf), and they lie in a file beside it."""

_CHECKED_ITEMS = (0, 1, 5, 20, 80)
"""How many items the users have on whom the graph is held to the model."""

Scores = npt.NDArray[np.float32]
Runtime = Callable[[Scores], Scores]


@runtime_checkable
class DenseScorer(Protocol):
    """A model whose scores are a graph of tensors: what has this can be exported."""

    def dense_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return what `score` does, from rows with a place for every item: float32, (n_rows, n_items) both."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        files: the graph first, then the item ids and what else it needs.
        error: the greatest difference to the model's scores, relative to the user's greatest.
        n_checked: users on whom that was measured.
    """

    files: tuple[Path, ...]
    error: float
    n_checked: int


class _Graph(nn.Module):
    def __init__(self, model: DenseScorer) -> None:
        super().__init__()
        self._model = model

    def forward(self, histories: torch.Tensor) -> torch.Tensor:
        return self._model.dense_scores(histories).float()


def _save_onnx(program: torch.export.ExportedProgram, path: Path, about: str, n_bytes: int) -> Runtime:
    """Write an ONNX file; return what runs it."""
    for package in ("onnxscript", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise ResourceError(
                f"{package} is not installed, which ONNX needs; pip install onnxscript onnxruntime, or write a .pt2"
            )
    import onnxruntime

    onnx = torch.onnx.export(program, input_names=[INPUT], output_names=[OUTPUT], dynamo=True, verbose=False)
    assert onnx is not None  # noqa: S101  (it is where no file is named)
    onnx.model.metadata_props["distrecvae"] = about
    onnx.save(path, external_data=n_bytes > ONE_FILE_BYTES)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda rows: np.asarray(session.run([OUTPUT], {INPUT: rows})[0])


def _save_pt2(program: torch.export.ExportedProgram, path: Path, about: str, n_bytes: int) -> Runtime:  # noqa: ARG001
    """Write a program of `torch.export`; return what runs it."""
    torch.export.save(program, path, extra_files={"distrecvae.json": about})
    loaded = torch.export.load(path).module()
    return lambda rows: np.asarray(loaded(torch.from_numpy(rows)))


_FORMATS: Mapping[str, Callable[[torch.export.ExportedProgram, Path, str, int], Runtime]] = {
    "onnx": _save_onnx,
    "pt2": _save_pt2,
}
FORMATS = tuple(_FORMATS)


def format_of(path: Path, told: str | None) -> str:
    """Return the format: as told, or by the file's ending.

    Raises:
        ConfigError: neither tells one.
    """
    chosen = told or path.suffix.lower().removeprefix(".")
    if chosen not in FORMATS:
        raise ConfigError(f"{path} tells no format by its name; end it in .onnx or .pt2, or give --format")
    return chosen


def export_model(loaded: LoadedModel, path: Path, file_format: str) -> Exported:
    """Write the model's graph to `path` and the ids of its items beside it; older files are replaced.

    Args:
        loaded: the model, on the CPU.
        path: the graph's file.
        file_format: one of FORMATS.

    Raises:
        ConfigError: the model's scores are no graph of tensors.
        ResourceError: a package that the format needs is not installed.
        ResultsError: `path` is a folder, or what runs the graph gives other scores than the model.
    """
    model = loaded.recommender
    if isinstance(model, Blend) and (reason := why_no_graph(model, loaded.config)):
        raise ConfigError(f"the blend cannot be exported: {reason}")
    if not isinstance(model, DenseScorer):
        raise ConfigError(
            f"{loaded.model} cannot be exported: its scores are no graph of tensors (it has no `dense_scores`); use"
            " `distrecvae recommend`, or distrecvae.load in Python"
        )
    if path.is_dir():
        raise ResultsError(f"{path} is a folder; give the name of a file to write")
    with _beside(path) as folder:
        with _torch_is_silent(), torch.no_grad():
            program = torch.export.export(
                _Graph(model).eval(),
                (torch.zeros(2, model.n_items),),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
            n_bytes = sum(tensor.nbytes for tensor in _tensors(program))
            run = _FORMATS[file_format](program, folder / path.name, _about(loaded), n_bytes)
        checked = _users(model.n_items)
        error = _difference(run, loaded, checked)
        if not error <= PARITY_ERROR:
            raise ResultsError(
                f"the exported graph's scores differ from the model's by {error:.1e}, at most {PARITY_ERROR:g} of the"
                f" greatest is allowed; nothing was written: try another --format, and tell us"
            )
        save_ids(folder / f"{path.stem}.items.parquet", loaded.item_ids)
        return Exported(_moved(folder, path), error, checked.n_users)


def _about(loaded: LoadedModel) -> str:
    """Return what the file says of itself: JSON."""
    document = {
        "model": loaded.model,
        "n_items": loaded.recommender.n_items,
        "fingerprint": loaded.data.get("fingerprint"),
        "versions": versions(),
    }
    return json.dumps(document)


def _tensors(program: torch.export.ExportedProgram) -> Iterator[torch.Tensor]:
    for held in (program.state_dict, program.constants):
        yield from (value for value in held.values() if isinstance(value, torch.Tensor))


def _users(n_items: int) -> InteractionMatrix:
    """Return users with no item, one, some and many, drawn at random."""
    random = np.random.default_rng(0)
    drawn = [random.permutation(n_items)[:count] for count in _CHECKED_ITEMS]
    users = np.repeat(np.arange(len(drawn)), [items.size for items in drawn])
    return InteractionMatrix.from_pairs(users, np.concatenate(drawn), n_users=len(drawn), n_items=n_items)


def _difference(run: Runtime, loaded: LoadedModel, users: InteractionMatrix) -> float:
    """Return how far the graph's scores lie from the model's, all users at once and the last one alone."""
    truth = loaded.recommender.score(users).cpu().numpy()
    rows = users.to_scipy().toarray()
    found = np.concatenate([run(rows), run(rows[-1:])])
    truth = np.concatenate([truth, truth[-1:]])
    scale = np.maximum(np.abs(truth).max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return float((np.abs(found - truth) / scale).max())


@contextmanager
def _torch_is_silent() -> Iterator[None]:
    """Keep back what PyTorch's exporters say of themselves: deprecations of their own, packages they could use."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for category in (FutureWarning, DeprecationWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        log.setLevel(level)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`, removed in the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _moved(folder: Path, path: Path) -> tuple[Path, ...]:
    """Move the files to where `path` is, the graph last, so that it never stands without what it needs."""
    others = sorted(file.name for file in folder.iterdir() if file.name != path.name)
    for name in (*others, path.name):
        (folder / name).replace(path.parent / name)
    return path, *(path.parent / name for name in others)
