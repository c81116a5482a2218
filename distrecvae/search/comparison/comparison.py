"""A comparison: the searches of several models, one after another, under one budget, one protocol and one Ray.

Each model's search is a whole one in a folder of its own, which `--resume`, TensorBoard and `distrecvae evaluate` know;
a comparison adds the order, the budget they have in common and the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from distrecvae.data.dataset import Split, require_scored
from distrecvae.data.prepared import Data
from distrecvae.files import write_text
from distrecvae.layout import DATA_FOLDER, REPORT_FILE, SEARCH_FILE, SUMMARY_FILE
from distrecvae.search.comparison import files
from distrecvae.search.comparison.blending import blend_searches, require_room_for_a_blend
from distrecvae.search.comparison.entrants import Entrant
from distrecvae.search.comparison.outsiders import named_scores, outside_rows
from distrecvae.search.comparison.planned import plans_of
from distrecvae.search.comparison.row import Row, read_row
from distrecvae.search.comparison.seeds import Repeats, require_growing, seed_numbers, with_seeds
from distrecvae.search.comparison.table import table_text
from distrecvae.search.comparison.views import MARKDOWN_FILE
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.folder.holding import own
from distrecvae.search.launch import (
    load_split,
    plain_console,
    search,
    store,
)
from distrecvae.search.on_ray.interruption import Interruption, StopSearch
from distrecvae.search.on_ray.session import Session, ray_session
from distrecvae.search.report.current import written_report
from distrecvae.search.watchers.trackers import require_loggers


@dataclass(frozen=True)
class Comparison:
    """How a call of `compare` ended.

    Attributes:
        text: the table and what to do next, for people.
        complete: every search is over.
        without_score: names of those in which no trial has a score.
        lost: Ray went away under it.
    """

    text: str
    complete: bool
    without_score: tuple[str, ...]
    lost: bool = False


def compare(
    listed: Sequence[Entrant],
    folder: Path,
    *,
    resume: bool,
    command: str,
    console: Console | None = None,
    verbose: bool = False,
    in_python: bool = False,
    data: Data | None = None,
    blend: bool = True,
    seeds: int | None = None,
    scores: Sequence[str] = (),
) -> Comparison:
    """Run the searches of a comparison, or resume the one in `folder`, and write its table.

    Args:
        listed: the searches; their settings differ in model and space only.
        folder: for results; it must not exist (or be empty) unless `resume`.
        resume: resume the comparison that lies there; it may have more models than it was started with.
        command: the command line, or the call, that resumes this comparison, to be shown and written down.
        console: shows progress; None for plain lines, or a live table on a terminal.
        verbose: let Ray speak, too.
        in_python: Python called, and its process is not ended, whatever hangs.
        data: the data set, where the caller has it; one that lies nowhere is written into `folder`.
        blend: make one model of the searches' best ones in the end, in `blend/`.
        seeds: train each chosen configuration again with so many seeds, and compare their means; None for the searches'
            own models, or for as many as the comparison in `folder` was started with.
        scores: systems that were trained elsewhere, NAME=PATH each; none for those that it was started with.

    Raises:
        DistrecvaeError: the input, a space, the machine or the folder is not fit; no search was started then.
    """
    config, console = listed[0].config, plain_console() if console is None else console
    require_loggers(config)
    if blend:
        require_room_for_a_blend([entrant.name for entrant in listed])
    described = files.read_description(folder) if resume else None
    seed_numbers(config, seeds)
    if described is not None:
        seeds, scores = require_growing(described.seeds, seeds, folder), tuple(scores) or described.scores
    theirs = named_scores(scores, [entrant.name for entrant in listed])
    with ExitStack() as held:
        held.enter_context(own("comparison", folder, resume=described is not None))
        split = load_split(config, folder) if data is None else data.split
        require_scored(split, config.data or "the data", "valid")
        if described is not None:
            files.check_same(described, _shared_settings(config), split, folder)
        outsiders = outside_rows(theirs, split, config.scored)
        stop = Interruption(ends_process=not in_python)
        held.callback(stop.over)
        cluster = held.enter_context(ray_session(config.address, verbose=verbose))
        session = Session(cluster, split, stop)
        plans = plans_of(listed, session, None if described is None else folder)
        repeats = Repeats(seed_numbers(config, seeds), _data_of(config, folder))
        if described is None:
            described = files.describe(_shared_settings(config), split, command, ())
        if data is not None:
            store(data, folder)
        described = replace(
            described, entrants=tuple(each.name for each in listed), seeds=seeds, scores=tuple(scores)
        )
        files.write_description(folder, described)
        rows = list(outsiders)
        without_score: list[str] = []
        for number, entrant in enumerate(listed, 1):
            heading = f"[{number}/{len(listed)}] {entrant.name}"
            console.print(heading, style="bold", highlight=False, markup=False)
            place = folder / entrant.name
            outcome = search(
                entrant.config,
                place,
                resume=(place / SEARCH_FILE).exists(),
                console=console,
                verbose=verbose,
                command=command,
                session=session,
                space=entrant.space,
            )
            if not outcome.complete:
                text = f"Interrupted in the search of {entrant.name}; nothing is lost. Continue:\n  {command}"
                return Comparison(text, complete=False, without_score=(), lost=outcome.lost)
            if not outcome.has_score:
                without_score.append(entrant.name)
                continue
            row = read_row(entrant.name, place, split, config.scored)
            if repeats.numbers:
                stop.last_words, stop.goes_on = lambda: None, command
                repeated = with_seeds(row, place, plans[entrant.name], session, repeats, console.print)
                if repeated is None:
                    text = (
                        f"Interrupted in the seeds of {entrant.name}; nothing is lost. Continue:\n  {command}"
                    )
                    return Comparison(text, complete=False, without_score=(), lost=stop.lost)
                row = repeated
            rows.append(row)
            files.write_tables(folder, rows, split, config)
        text = _ending(rows, without_score, folder, config, split)
        if blend:
            try:
                said = blend_searches(
                    [row for row in rows if row.trials],
                    folder,
                    split,
                    data=_data_of(config, folder),
                    metric=config.metric,
                    check=stop.check,
                )
            except StopSearch:
                text = f"Interrupted while the searches' models were blended; nothing is lost. Continue:\n  {command}"
                return Comparison(text, complete=False, without_score=())
            text = f"{text}\n\n{said}" if said else text
        write_text(folder / SUMMARY_FILE, text + "\n")
        files.write_description(folder, replace(described, status="finished"))
    said = "\n\n".join(filter(None, [text, written_report(folder)]))
    return Comparison(said, complete=True, without_score=tuple(without_score))


def _data_of(config: SearchConfig, folder: Path) -> str:
    return config.data or str(folder / DATA_FOLDER)


def _shared_settings(config: SearchConfig) -> dict[str, Any]:
    return {name: each for name, each in config.fixed_part().items() if name not in ("model", "space")}


def _ending(
    rows: Sequence[Row], without: Sequence[str], folder: Path, config: SearchConfig, split: Split
) -> str:
    parts = [table_text(rows, config.metric, split.test.n_users)] if rows else []
    parts += [f"{name}: no trial has a score; see {folder / name}/summary.txt" for name in without]
    steps = (
        f"{'the report':<20}{folder / REPORT_FILE} (open it in a browser)",
        f"{'table':<20}{folder / MARKDOWN_FILE} (also .csv, .tex, .png)",
        f"{'make it again':<20}distrecvae tables {folder}",
        f"{'each search':<20}{folder}/NAME, its model in NAME/best",
        f"{'compare the trials':<20}tensorboard --logdir {folder}",
    )
    return "\n\n".join([*parts, "\n".join(steps)])
