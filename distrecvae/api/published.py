"""`distrecvae.published`: trains a paper's models with their published settings; our scores beside the published."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from distrecvae.api.folders import require_folder, results_folder
from distrecvae.api.given import carried_out_by
from distrecvae.api.preparing import as_data
from distrecvae.api.train.folder import Order, train_in
from distrecvae.api.train.settings import refuse_used
from distrecvae.data.prepared import Data
from distrecvae.errors import DivergedError, ResourceError
from distrecvae.files import exclusive, write_text
from distrecvae.layout import BEST_FOLDER, DATA_FOLDER, METRICS_FILE, RUN_FILE
from distrecvae.papers.numbers import PASSES, Published, PublishedSet, rows_of, set_of
from distrecvae.papers.table import Ours, csv_of, heading, markdown_of, text_of
from distrecvae.runs.configuration import read_config
from distrecvae.runs.training_run import RunSettings, read_settings, require_same_data
from distrecvae.saved.tensors import read_json
from distrecvae.search.commands import python_call
from distrecvae.search.folder.environment import versions
from distrecvae.words import counted

if TYPE_CHECKING:
    from distrecvae.api.preparing import DataLike

CSV_FILE, MARKDOWN_FILE = "published.csv", "published.md"


@dataclass(frozen=True)
class PublishedResult:
    """A paper's rows, run here.

    Attributes:
        folder: the results folder; each model's training lies below it.
        complete: every row was run.
        text: the table, for people.
    """

    folder: Path
    complete: bool
    text: str

    @property
    def table(self) -> pd.DataFrame:
        """A row a model and metric: ours, its error, the published number, and whether the data are the same."""
        return pd.read_csv(self.folder / CSV_FILE)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which part of a paper is run, and how.

    Attributes:
        rows: of its table.
        of: the data set whose settings and numbers are used.
        same: whether the data are that data set.
        max_passes: passes at most, where fewer than published are wanted; None for as many.
        seed: root of all randomness.
        device: where to train; None for a GPU where there is one.
        threads: CPU threads; None for all cores.
    """

    rows: Sequence[Published]
    of: PublishedSet
    same: bool
    max_passes: int | None = None
    seed: int = 0
    device: str | None = None
    threads: int | None = None


def run_published(data: Data, folder: Path, wanted: Wanted, *, resume: bool, goes_on: str) -> PublishedResult:
    """Train and score a paper's rows one after another, and write the table after each.

    A row that this machine has no memory for, or that diverges, is reported and left out.

    Args:
        data: the data set; one that lies nowhere is written into `folder`.
        folder: for results; it must not exist (or be empty) unless `resume`.
        wanted: what is run.
        resume: resume what lies there.
        goes_on: what to type to continue, to be shown.

    Raises:
        DistrecvaeError: the data or the folder does not fit.
    """
    if not resume:
        refuse_used(folder)
    found: list[Ours] = []
    with ExitStack() as held:
        held.enter_context(exclusive(folder))
        if data.folder is None:
            place = folder / DATA_FOLDER
            data = (
                Data(data.split, data.protocol, str(place), data.name) if place.exists() else data.save(place)
            )
        for row in wanted.rows:
            ours = _ours(row, data, folder / row.model, wanted, goes_on)
            if ours is None:
                return PublishedResult(folder, False, f"stopped in {row.model}; continue with:\n  {goes_on}")
            found.append(ours)
            text = _write(folder, found, data, wanted)
    return PublishedResult(folder, not any(ours.missing for ours in found), text)


def _ours(row: Published, data: Data, place: Path, wanted: Wanted, goes_on: str) -> Ours | None:
    """Return a model's scores here, training it unless that is done; None if a signal stopped it."""
    config = row.settings.get(wanted.of.name, "")
    passes = row.passes.get(wanted.of.name, PASSES)
    if wanted.max_passes is not None:
        passes = min(passes, wanted.max_passes)
    setting = "; ".join(
        filter(None, [config or "our defaults", counted(passes, "pass", "passes"), row.remark])
    )
    begun, read = _begun(place, data), partial(read_config, row.model, config or None, ())
    as_wanted = begun is not None and (begun.model, begun.config) == read() and begun.max_passes == passes
    if not as_wanted or not (place / BEST_FOLDER / METRICS_FILE).is_file():
        order = Order(
            given={"max_passes": passes, "patience": 0, "seed": wanted.seed},
            configuration=read,
            device=wanted.device,
            threads=wanted.threads,
            resume=begun is not None,
        )
        try:
            if not train_in(place, order, goes_on=goes_on, data=data).complete:
                return None
        except (ResourceError, DivergedError) as error:
            return Ours(row, {}, {}, 0, setting, f"not run: {error}")
    test = read_json(place / BEST_FOLDER / METRICS_FILE)["test"]
    known = {name: value for name, value in test["mean"].items() if value is not None}
    errors = {name: value for name, value in test["standard_error"].items() if value is not None}
    return Ours(row, known, errors, test["n_evaluated"], setting)


def _begun(place: Path, data: Data) -> RunSettings | None:
    """Return the settings of a training that is there already; None if there is none.

    Raises:
        ResultsError: it is of other data.
    """
    if not (place / RUN_FILE).exists():
        return None
    settings = read_settings(place)
    require_same_data(place, settings, data.split)
    return settings


def _write(folder: Path, found: Sequence[Ours], data: Data, wanted: Wanted) -> str:
    shortened = "" if wanted.max_passes is None else (
        f"At most {wanted.max_passes} passes each: FEWER THAN PUBLISHED where the settings say so."
    )  # fmt: skip
    said = heading(wanted.of, data.split, data.name, same=wanted.same, shortened=shortened)
    write_text(folder / CSV_FILE, csv_of(found, wanted.of, data.split, same=wanted.same))
    written = markdown_of(found, wanted.of.name, said, versions(), same=wanted.same)
    write_text(folder / MARKDOWN_FILE, written)
    table = text_of(found, wanted.of.name, same=wanted.same)
    return f"{table}\n\n{said}\n\ntable  {folder / MARKDOWN_FILE} (also .csv)"


def _published(given: dict[str, Any]) -> PublishedResult:
    asked = dict(given)
    rows = rows_of(given["paper"], given.get("models"))
    data = as_data(given["data"])
    assert data is not None, "it was given"  # noqa: S101
    resume = given.get("resume", False)
    out = require_folder(given.get("out"), "published")
    folder = results_folder(out, None, f"published-{given['paper']}-{data.name}", resume=resume)
    of, same = set_of(data.split, given.get("settings"), data.name)
    more = {name: given[name] for name in ("max_passes", "seed", "device", "threads") if name in given}
    where = data.folder or str(folder / DATA_FOLDER)
    again = {name: value for name, value in asked.items() if name not in ("data", "out", "resume")}
    goes_on = python_call("published", **again, data=where, out=folder, resume=True)
    return run_published(
        data, folder, Wanted(rows=rows, of=of, same=same, **more), resume=resume, goes_on=goes_on
    )


@carried_out_by(_published)
def published(
    paper: str,
    data: DataLike,
    *,
    models: str | None = None,
    settings: str | None = None,
    out: str | PathLike[str] | None = None,
    max_passes: int | None = None,
    seed: int = 0,
    device: str | None = None,
    threads: int | None = None,
    resume: bool = False,
) -> PublishedResult:
    """Train a paper's models with their published settings, and put their scores beside the published ones.

    Args:
        paper: "recvae", "ract", "ease" or "multvae".
        data: what `prepare` returned, or a dataset folder: MovieLens-20M, Netflix or MSD as docs/published.md prepares
            them. With other data no difference is shown.
        models: rows of the paper's table, such as "ease,recvae"; None for all.
        settings: whose settings and numbers to use, "ml-20m", "netflix" or "msd"; None for those of the data set that
            the data are.
        out: results folder; None for runs/published-PAPER-DATA, numbered.
        max_passes: data passes at most, to try it; None for as many as published.
        seed: root of all randomness.
        device: "cpu", "cuda", "cuda:1"; None for a GPU where there is one.
        threads: CPU threads; None for all cores.
        resume: resume what lies in the results folder.

    Raises:
        DistrecvaeError: the paper, the data or the folder does not fit.
    """
    raise NotImplementedError  # never run: `carried_out_by` takes the call
