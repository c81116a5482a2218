"""A comparison's folder: its description, its tables, its picture; each written by renaming."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from distrecvae import __version__
from distrecvae.data.dataset import Split
from distrecvae.errors import ResultsError
from distrecvae.files import write_json
from distrecvae.layout import COMPARISON_FILE
from distrecvae.search.comparison.kept import table_of, write_table
from distrecvae.search.comparison.row import Row
from distrecvae.search.comparison.views import write_views
from distrecvae.search.core.config import SearchConfig
from distrecvae.typed import MisfitError, read_typed
from distrecvae.words import duration, first_line


@dataclass(frozen=True, kw_only=True)
class Description:
    """What `compare.json` says of a comparison.

    Attributes:
        status: where it stands.
        distrecvae: the version that began it.
        command: what was typed.
        started: when, UTC.
        settings: those that its searches have in common, as in `SearchConfig`.
        fingerprint: the data set's.
        entrants: names of its searches.
        seeds: with how many seeds each chosen configuration is trained; None for the search's own model alone.
        scores: systems that were trained elsewhere, and where their scores lie, NAME=PATH each.
    """

    status: Literal["running", "finished"]
    distrecvae: str
    command: str
    started: str
    settings: dict[str, Any]
    fingerprint: str
    entrants: tuple[str, ...]
    seeds: int | None = None
    scores: tuple[str, ...] = ()


def describe(settings: Mapping[str, Any], split: Split, command: str, entrants: Sequence[str]) -> Description:
    """Return the description of a comparison that begins now."""
    return Description(
        status="running",
        distrecvae=__version__,
        command=command,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        settings=dict(settings),
        fingerprint=split.fingerprint,
        entrants=tuple(entrants),
    )


def read_description(folder: Path) -> Description:
    """Return `compare.json` of a comparison's folder.

    Raises:
        ResultsError: there is none, or it cannot be read or does not fit.
    """
    path = folder / COMPARISON_FILE
    try:
        return read_typed(path, Description)
    except FileNotFoundError:
        raise ResultsError(
            f"{folder} holds no comparison ({COMPARISON_FILE} is missing); leave out --resume to start one"
        ) from None
    except (OSError, MisfitError) as error:
        reason = first_line(error)
    raise ResultsError(f"{path} cannot be read ({reason}); restore it, or start over in another folder")


def write_description(folder: Path, description: Description) -> None:
    """Write `compare.json`."""
    write_json(folder / COMPARISON_FILE, asdict(description))


def check_same(described: Description, settings: Mapping[str, Any], split: Split, folder: Path) -> None:
    """Refuse to continue under another budget or with other data than the comparison was started with.

    Raises:
        ResultsError: a setting or the data set differs.
    """
    for name, value in settings.items():
        if value != described.settings.get(name):
            raise ResultsError(
                f"{folder} was started with {name}={described.settings.get(name)!r}, now it is {value!r};"
                " resume with the same settings or start over in another folder"
            )
    if described.fingerprint != split.fingerprint:
        raise ResultsError(
            f"{folder} was started on a data set with fingerprint {described.fingerprint}, this one has"
            f" {split.fingerprint}; resume with the same data, or start over"
        )


def write_tables(folder: Path, rows: Sequence[Row], split: Split, config: SearchConfig) -> None:
    """Write what the table is made from, and all its views."""
    data = Path(config.data).name if config.data else "synthetic data"
    budget = f"{config.trials} trials" if config.time_budget_s is None else duration(config.time_budget_s)
    passes = "its space's" if config.max_passes is None else config.max_passes
    table = table_of(
        rows,
        title=f"{data}: each model tuned with {budget} of at most {passes} passes",
        data=data,
        fingerprint=split.fingerprint,
        metric=config.metric,
        n_test_users=split.test.n_users,
    )
    write_table(folder, table)
    write_views(folder, table)
