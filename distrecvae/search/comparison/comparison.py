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
from distrecvae.dotted import is_dotted, trust
from distrecvae.errors import ConfigError, DistrecvaeError, nearest
from distrecvae.files import write_text
from distrecvae.layout import DATA_FOLDER, REPORT_FILE, SEARCH_FILE, SUMMARY_FILE
from distrecvae.runs.configuration import available_configs, read_config
from distrecvae.search.comparison import files
from distrecvae.search.comparison.blending import blend_searches, require_room_for_a_blend
from distrecvae.search.comparison.outsiders import named_scores, outside_rows
from distrecvae.search.comparison.row import Row, read_row
from distrecvae.search.comparison.seeds import Repeats, require_growing, seed_numbers, with_seeds
from distrecvae.search.comparison.table import table_text
from distrecvae.search.comparison.views import MARKDOWN_FILE
from distrecvae.search.core.config import ALL, SearchConfig
from distrecvae.search.folder.holding import own
from distrecvae.search.launch import (
    load_space,
    load_split,
    one_trial_without_parameters,
    plain_console,
    plan_search,
    search,
    settled,
    store,
)
from distrecvae.search.on_ray.interruption import Interruption, StopSearch
from distrecvae.search.on_ray.session import Session, ray_session
from distrecvae.search.planning.plan import Plan, check_memory
from distrecvae.search.report.current import written_report
from distrecvae.search.space.relative import Sizes
from distrecvae.search.space.space import SearchSpace, available_spaces
from distrecvae.search.watchers.trackers import require_loggers
from distrecvae.training import registry


@dataclass(frozen=True)
class Entrant:
    """One search of a comparison.

    Attributes:
        name: its row's and its folder's name.
        config: the settings of its search.
        space: what is searched.
    """

    name: str
    config: SearchConfig
    space: SearchSpace


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


def entrants(names: Sequence[str], config: SearchConfig) -> list[Entrant]:
    """Return the searches of a comparison, in the order asked for.

    Args:
        names: models, search spaces (packaged names or paths), or packaged configurations, which are one trial each;
            "all" stands for every model.
        config: the settings that all have in common; its model and space are not looked at.

    Raises:
        ConfigError: a name is unknown or there twice, or there is none.
        SpaceError: a search space breaks a rule.
    """
    wanted = [each for name in names for each in (registry.names() if name == ALL else (name,))]
    if not wanted:
        raise ConfigError("--models names nothing to compare; write for example --models recvae,ease or all")
    found: dict[str, Entrant] = {}
    for name in wanted:
        entrant = _entrant(name, config)
        if entrant.name in found:
            raise ConfigError(f"--models has {entrant.name!r} twice; each is searched once, leave one out")
        found[entrant.name] = entrant
    return list(found.values())


def _entrant(name: str, config: SearchConfig) -> Entrant:
    trust(name)  # a person has listed it
    if registry.is_known(name):
        own = replace(config, model=name, space=None)
        space = load_space(own)
    elif name in available_spaces() or name.endswith((".yaml", ".yml")) or "/" in name:
        space = SearchSpace.load(name)
        own = replace(config, model=space.model, space=name)
    elif name in available_configs():
        model, settings = read_config(None, name, ())
        space = SearchSpace.from_mapping({"model": model, "parameters": {}, "fixed": settings})
        own = replace(config, model=model, space=None)
    else:
        known = (*registry.names(), *available_spaces(), *available_configs())
        hint = nearest(name, known) or f"; known are {', '.join(registry.names())}"
        raise ConfigError(f"--models: {name!r} is not a model, search space or configuration{hint}")
    return Entrant(_row_name(name), one_trial_without_parameters(own, space), space)


def _row_name(name: str) -> str:
    """Return what a search is called in its comparison, and its folder: a dotted name by its last part."""
    return name.rpartition(":")[2] if is_dotted(name) else Path(name).stem


def plans_text(listed: Sequence[Entrant], *, folder: Path, verbose: bool) -> str:
    """Return the plans of all searches as text; writes nothing, starts no trial.

    Raises:
        DistrecvaeError: as `compare` would.
    """
    config = listed[0].config
    split = load_split(config, folder)
    require_scored(split, config.data or "the data", "valid")
    with ray_session(config.address, verbose=verbose) as cluster:
        plans = _plans(listed, Session(cluster, split))
    return "\n\n".join(f"== {name}\n{plan.text()}" for name, plan in plans.items())


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
        resume: resume the comparison that lies there; it may have more models than it was begun with.
        command: the command line, or the call, that resumes this comparison, to be shown and written down.
        console: shows progress; None for plain lines, or a live table on a terminal.
        verbose: let Ray speak, too.
        in_python: Python called, and its process is not ended, whatever hangs.
        data: the data set, where the caller has it; one that lies nowhere is written into `folder`.
        blend: make one model of the searches' best ones in the end, in `blend/`.
        seeds: train each chosen configuration again with so many seeds, and compare their means; None for the searches'
            own models, or for as many as the comparison in `folder` was begun with.
        scores: systems that were trained elsewhere, NAME=PATH each; none for those that it was begun with.

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
        plans = _plans(listed, session)
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
                repeated = with_seeds(row, place, plans[entrant.name], session, repeats)
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


def _plans(listed: Sequence[Entrant], session: Session) -> dict[str, Plan]:
    """Return each search's plan, all of them checked: what cannot run is refused before anything starts."""
    plans = {}
    for entrant in listed:
        try:
            space = entrant.space.resolved(Sizes.of(session.split.train))
            plans[entrant.name] = plan_search(settled(entrant.config, space), space, session)
            check_memory(plans[entrant.name], session.cluster, session.split.train)
        except DistrecvaeError as error:
            raise type(error)(f"{entrant.name}: {error}") from None
    return plans


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
