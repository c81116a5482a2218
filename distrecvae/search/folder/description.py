"""Describes a search in `search.json`, reads that back, and refuses to go on with another search than it says."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distrecvae import __version__
from distrecvae.data.dataset import Split
from distrecvae.errors import ResultsError
from distrecvae.files import write_json
from distrecvae.layout import SEARCH_FILE
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.folder.warm_start import WarmStart
from distrecvae.search.planning.plan import Plan
from distrecvae.search.space.space import SearchSpace

FORMAT = 1
"""Of `search.json`."""
RUNNING, INTERRUPTED, FINISHED = "running", "interrupted", "finished"
"""`status` of a search: the last one is said of a search that is over and has a model."""
_REQUIRED = ("status", "elapsed_s", "settings", "data", "space", "dataset", "plan")
_REPORTED_VERSIONS = ("ray", "optuna", "torch", "numpy", "scipy", "pandas", "pyarrow")


def read_description(folder: Path, *, remedy: str = "leave out --resume to start one") -> dict[str, Any]:
    """Return `search.json` of a results folder; `remedy` is what to do where there is none.

    Raises:
        ResultsError: there is none, it cannot be read, or another version wrote it.
    """
    path = folder / SEARCH_FILE
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ResultsError(f"{folder} holds no search ({SEARCH_FILE} is missing); {remedy}") from error
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"{path} cannot be read ({error}); restore it, or start anew in another folder"
        ) from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        found = description.get("format") if isinstance(description, dict) else None
        raise ResultsError(
            f"{path} has format {found!r}, this version reads {FORMAT}; use the version that wrote it"
        )
    if missing := [name for name in _REQUIRED if name not in description]:
        raise ResultsError(f"{path} lacks {', '.join(missing)}; restore it, or start anew in another folder")
    return description


def write_description(folder: Path, description: Mapping[str, Any]) -> None:
    """Write `search.json` by renaming."""
    write_json(folder / SEARCH_FILE, {"format": FORMAT, **description})


def describe(
    config: SearchConfig,
    space: SearchSpace,
    split: Split,
    plan: Plan,
    *,
    data: str,
    command: str,
    warm: WarmStart | None,
) -> dict[str, Any]:
    """Return the description of a search that begins now, JSON-able.

    Args:
        config: its settings.
        space: what is searched.
        split: the data set.
        plan: how it is carried out.
        data: where the data set lies.
        command: what was typed.
        warm: what it takes over from another search.
    """
    return {
        "status": RUNNING,
        "distrecvae": __version__,
        "command": command,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "elapsed_s": 0.0,
        "settings": asdict(config),
        "data": data,
        "space": space.to_dict(),
        "dataset": {
            "fingerprint": split.fingerprint,
            "n_items": split.n_items,
            "train_users": split.train.n_users,
            "valid_users": split.valid.n_users,
            "test_users": split.test.n_users,
            "train_interactions": split.train.n_interactions,
        },
        "plan": plan.to_dict(),
        "warm_start": None if warm is None else warm.to_dict(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in _REPORTED_VERSIONS},
        },
        "platform": platform.platform(),
    }


def check_same(
    described: Mapping[str, Any], config: SearchConfig, space: SearchSpace, split: Split, folder: Path
) -> None:
    """Refuse to go on with another search than the one that was begun.

    Raises:
        ResultsError: a setting that must not change, the space or the data set differs.
    """
    begun = described["settings"]
    for name, value in config.fixed_part().items():
        if value != begun.get(name):
            raise ResultsError(
                f"{folder} was begun with {name}={begun.get(name)!r}, now it is {value!r};"
                " resume with the same settings or start anew in another folder"
            )
    searched = space.to_dict()
    if any(described["space"].get(part) != searched[part] for part in ("model", "parameters", "base")):
        raise ResultsError(
            f"{folder} was begun with another search space; resume with the same one, or start anew"
        )
    if described["dataset"]["fingerprint"] != split.fingerprint:
        raise ResultsError(
            f"{folder} was begun on a data set with fingerprint {described['dataset']['fingerprint']}, this one has"
            f" {split.fingerprint}; resume with the same data, or start anew"
        )
    if config.trials < int(described["settings"]["trials"]):
        raise ResultsError(
            f"--trials {config.trials} is below the {described['settings']['trials']} that {folder} was begun with;"
            " a resumed search may only grow"
        )
