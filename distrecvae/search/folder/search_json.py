"""Reads and writes `search.json`, the description of a search in its results folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from distrecvae.errors import ResultsError, SpaceError
from distrecvae.files import write_json
from distrecvae.layout import SEARCH_FILE
from distrecvae.precisions import Precision
from distrecvae.search.core.chain import Mark
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.space.space import SearchSpace
from distrecvae.typed import MisfitError, read_typed

FORMAT: Literal[2] = 2
"""Of `search.json`."""
Status = Literal["running", "interrupted", "finished"]
"""The last one is said of a search that is over and has a model."""
RUNNING: Status = "running"
INTERRUPTED: Status = "interrupted"
FINISHED: Status = "finished"


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """What a search ran on: a content's fingerprint, and sizes."""

    fingerprint: str
    n_items: int
    train_users: int
    valid_users: int
    test_users: int
    train_interactions: int


@dataclass(frozen=True, kw_only=True)
class PlanFacts:
    """How a search was laid on its machines when it began; `Plan` has the meanings."""

    concurrent: int
    cpus: int
    gpus: float
    device: str
    device_name: str
    precision: Precision
    rungs: tuple[int, ...]
    shared_bytes: int
    common_bytes: int
    common_lent: bool
    trial_bytes: int
    storage_bytes: int


@dataclass(frozen=True)
class WarmStart:
    """What is taken over from an earlier search; written down, so that a resumed search repeats it.

    Attributes:
        source: the earlier search's folder.
        trials: its trials that are taken over, the best first.
        configs: their configurations, every field of the model's config.
        outside: those of its best trials that this search's space cannot have.
    """

    source: str
    trials: tuple[int, ...]
    configs: tuple[dict[str, Any], ...]
    outside: tuple[int, ...]

    def points(self, space: SearchSpace) -> list[dict[str, Any]]:
        """Return the Optuna parameters of the configurations, in order."""
        points = [space.internal_point(config) for config in self.configs]
        return [point for point in points if point is not None]

    def text(self) -> str:
        """Return one line on what is taken over and what is not."""
        taken = f"trials {', '.join(map(str, self.trials))}" if self.trials else "none"
        text = f"Warm start from {self.source}: {taken}"
        if self.outside:
            text += f"; outside of this search's space and left out: {', '.join(map(str, self.outside))}"
        return f"{text}."


@dataclass(frozen=True, kw_only=True)
class Description:
    """What `search.json` says of a search.

    Attributes:
        status: where it stands.
        distrecvae: the version that began it.
        command: what was typed.
        started: when, UTC.
        elapsed_s: seconds that its runs took together, interruptions not counted.
        settings: what it was asked to do.
        data: where its data set lies: absolute, or a URI.
        space: what is searched, as `SearchSpace.to_dict` gives it.
        dataset: what the data set is.
        plan: how it was laid on its machines.
        warm_start: what it took over from another search.
        versions: of what it began with, by name.
        platform: of the machine that began it.
        ledger: how long its ledger was when this was written.
        begun_in: the folder where it was started, absolute; relative paths in `command` and `settings` are from there.
            Empty where an earlier version wrote this.
        results: the results folder as it was then, absolute; empty as above.
        format: of the file.
    """

    status: Status
    distrecvae: str
    command: str
    started: str
    elapsed_s: float
    settings: SearchConfig
    data: str
    space: dict[str, Any]
    dataset: DatasetFacts
    plan: PlanFacts
    warm_start: WarmStart | None
    versions: dict[str, str]
    platform: str
    ledger: Mark
    begun_in: str = ""
    results: str = ""
    format: Literal[2] = FORMAT

    def __post_init__(self) -> None:
        if self.elapsed_s < 0:
            raise ValueError(f"elapsed_s is {self.elapsed_s!r}; it must be at least 0")
        try:
            self.searched()
        except SpaceError as error:
            raise ValueError(f"space: {error}") from None

    def searched(self) -> SearchSpace:
        """Return the space."""
        return SearchSpace.from_dict(self.space)


def read_description(folder: Path, *, remedy: str = "leave out --resume to start one") -> Description:
    """Return `search.json` of a results folder; `remedy` is what to do where there is none.

    Raises:
        ResultsError: there is none, it cannot be read, does not fit, or another version wrote it.
    """
    path = folder / SEARCH_FILE
    try:
        return read_typed(path, Description)
    except FileNotFoundError:
        raise ResultsError(f"{folder} holds no search ({SEARCH_FILE} is missing); {remedy}") from None
    except OSError as error:
        reason = str(error.strerror)
    except MisfitError as error:
        if (found := _format_of(path)) not in (None, FORMAT):
            raise ResultsError(
                f"{path} has format {found!r}, this version reads {FORMAT}; use the version that wrote it"
            ) from None
        reason = str(error)
    raise ResultsError(f"{path} cannot be read ({reason}); restore it, or start over in another folder")


def write_description(folder: Path, description: Description) -> None:
    """Write `search.json` by renaming."""
    write_json(folder / SEARCH_FILE, asdict(description))


def _format_of(path: Path) -> object:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return document.get("format") if isinstance(document, Mapping) else None
