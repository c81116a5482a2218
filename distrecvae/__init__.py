"""distrecvae: distributed hyperparameter search for RecVAE and the models it was published against.

In Python: `prepare` a table, `search` it, `compare` models, `train`, `blend` and `evaluate`, `load` and recommend,
write a paper's `tables`. Each is imported when it is first asked for, so that `import distrecvae` costs nothing.
docs/python.md has examples.
"""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distrecvae.api.blending import BlendResult, blend
    from distrecvae.api.comparing import compare
    from distrecvae.api.evaluating import evaluate
    from distrecvae.api.going_on import train_on
    from distrecvae.api.living import clean, reproduce, searches, steer, top, why
    from distrecvae.api.preparing import prepare
    from distrecvae.api.published import published
    from distrecvae.api.reporting import report
    from distrecvae.api.results import Comparison, SearchResult, TrainResult
    from distrecvae.api.searching import search
    from distrecvae.api.tables import tables
    from distrecvae.api.training import train
    from distrecvae.data.prepared import Data
    from distrecvae.saved.model import LoadedModel

__version__ = "0.2.0"

__all__ = [
    "BlendResult",
    "Comparison",
    "Data",
    "SearchResult",
    "TrainResult",
    "blend",
    "clean",
    "compare",
    "evaluate",
    "load",
    "prepare",
    "published",
    "report",
    "reproduce",
    "search",
    "searches",
    "steer",
    "tables",
    "top",
    "train",
    "train_on",
    "why",
]


def load(path: str | PathLike[str], *, device: str | None = None) -> LoadedModel:
    """Return the model of a folder that `distrecvae train` or a search wrote; its `recommend` takes it from there.

    Args:
        path: the results folder, or the ``best/`` in it; or the URI of either, as text.
        device: "cpu", "cuda", "cuda:1"; None for a GPU where there is one.

    Raises:
        CheckpointError: there is no model, or it is damaged.
        ResourceError: there is no such device.
    """
    # Imported here, so that `import distrecvae` costs nothing.
    from distrecvae.saved.model import load_model
    from distrecvae.storage.uri import as_place
    from distrecvae.training.device import usable_device

    return load_model(as_place(path), usable_device(device))


if not TYPE_CHECKING:  # which would find any name here, the mistyped ones, too

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'distrecvae' has no attribute {name!r}")
        if name == "search":
            # The package of that name, which can be called: whoever imports something of it puts it here anyway.
            import distrecvae.search

            return distrecvae.search
        if name in ("Data", "prepare"):
            from distrecvae.api import preparing as module
        elif name in ("BlendResult", "blend"):
            from distrecvae.api import blending as module
        elif name == "compare":
            from distrecvae.api import comparing as module
        elif name == "train_on":
            from distrecvae.api import going_on as module
        elif name in ("clean", "reproduce", "searches", "steer", "top", "why"):
            from distrecvae.api import living as module
        elif name == "evaluate":
            from distrecvae.api import evaluating as module
        elif name == "report":
            from distrecvae.api import reporting as module
        elif name == "published":
            from distrecvae.api import published as module
        elif name == "tables":
            from distrecvae.api import tables as module
        elif name == "train":
            from distrecvae.api import training as module
        else:
            from distrecvae.api import results as module
        value = globals()[name] = module.__dict__[name]
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
