"""Carries a search out, from its first trial to the published model: who hears of it, what is written, how it ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from distrecvae.errors import ResourceError
from distrecvae.files import remove_leftovers, storage_error, write_text
from distrecvae.layout import LEDGER_FILE, SUMMARY_FILE
from distrecvae.pacing import Seldom
from distrecvae.search.commands import resume_command
from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.config import CHANGEABLE, SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status
from distrecvae.search.folder.best import Scored, publish_best
from distrecvae.search.folder.environment import changes, environment_of
from distrecvae.search.folder.keeper import Keeper
from distrecvae.search.folder.search_json import (
    FINISHED,
    INTERRUPTED,
    RUNNING,
    Description,
    write_description,
)
from distrecvae.search.folder.search_json import Status as SearchStatus
from distrecvae.search.folder.tables import Tables
from distrecvae.search.folder.warm_start import warm_start_of
from distrecvae.search.on_ray import tuning
from distrecvae.search.on_ray.session import Session
from distrecvae.search.planning.plan import Plan
from distrecvae.search.space.space import SearchSpace
from distrecvae.search.summary import search_summary
from distrecvae.search.watchers.progress import Progress
from distrecvae.search.watchers.tensorboard import EventFiles
from distrecvae.search.watchers.trackers import make_loggers
from distrecvae.words import first_line

LOOK_EVERY_S = 10.0
"""How often the ledger on disk is held to the one that is written."""


@dataclass(frozen=True)
class Outcome:
    """How a call of `search` ended.

    Attributes:
        summary: text for people.
        complete: every trial ended, or the time budget did.
        has_score: some trial has a score.
    """

    summary: str
    complete: bool
    has_score: bool


def carry_out(
    config: SearchConfig,
    space: SearchSpace,
    session: Session,
    plan: Plan,
    folder: Path,
    described: Description,
    console: Console,
    command: str,
) -> Outcome:
    """Run a search's trials to the end, publish the best one's model, write the report.

    Args:
        config: the settings.
        space: what is searched.
        session: Ray and the data set.
        plan: how the search is laid on the cluster.
        folder: the results folder; `search.json` lies in it.
        described: what `search.json` says.
        console: shows progress.
        command: the command line, to say how to go on.

    Raises:
        ResourceError: the search cannot go on; its folder can be resumed.
        ResultsError: the folder could not be written; what was written before stands.
    """
    remove_leftovers(folder)
    tuning.clear_away(folder)
    metric, elapsed_s = f"valid/{config.metric}", described.elapsed_s
    warm = warm_start_of(config, space, described)
    now = environment_of(plan)
    ledger = Ledger(folder, metric, {"fingerprint": session.split.fingerprint, "environment": now})
    tables, keeper = Tables(folder, ledger, space, metric), Keeper(folder, ledger)
    events = EventFiles(folder, space, config.metric)
    progress = Progress(console, ledger, config, concurrent=plan.slots.concurrent, elapsed_s=elapsed_s)

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    begun = described.started
    loggers = make_loggers(config, folder=folder, space=space, ledger=ledger, started=begun, tell=say)
    conductor = Conductor(
        ledger=ledger,
        space=space,
        config=config,
        rule=plan.rule,
        folder=folder.resolve(),
        concurrent=plan.slots.concurrent,
        device=plan.slots.device,
        precision=plan.precision,
        watchers=(progress, events, tables, keeper, *loggers),
        elapsed_s=elapsed_s,
        warm_starts=warm.points(space) if warm is not None else (),
    )
    before = ledger.about.get("environment", now)
    lines = [plan.headline(), plan.remark(), "" if warm is None else warm.text(), changes(before, now)]
    if ledger.cut_bytes:
        lines.append(
            f"{LEDGER_FILE}: its last line was cut off ({ledger.cut_bytes} bytes); that report is made again."
        )
    for line in filter(None, lines):
        say(line)
    if before != now:
        ledger.resumed({"environment": now})

    in_place = Seldom(ledger.require_in_place, LOOK_EVERY_S)

    def write_state(status: SearchStatus) -> None:
        tables.write()
        settings = replace(described.settings, **{name: getattr(config, name) for name in CHANGEABLE})
        now_s, mark = conductor.elapsed_s, ledger.mark
        write_description(
            folder, replace(described, status=status, elapsed_s=now_s, settings=settings, ledger=mark)
        )

    def refresh() -> None:
        if conductor.trouble:
            raise ResourceError(conductor.trouble)
        session.stop.check()
        in_place()
        progress.refresh()
        if tables.due:
            write_state(RUNNING)

    def summary(scored: tuple[Scored, Scored | None] | None, interrupted: str | None) -> str:
        return search_summary(
            config=config,
            ledger=ledger,
            space=space,
            folder=folder,
            data=described.data,
            elapsed_s=conductor.elapsed_s,
            scored=scored,
            resume_command=resume_command(command, folder),
            interrupted=interrupted,
        )

    def complete() -> bool:
        running = any(r.status is Status.RUNNING for r in ledger.records.values())
        return not running and (len(ledger.records) >= config.trials or conductor.out_of_time)

    def going_on() -> bool:
        return conductor.has_work and session.stop.reason is None

    def last_words() -> None:
        write_state(INTERRUPTED)
        # All trials may have ended, but nothing is published yet.
        say(f"\n{summary(None, session.stop.reason)}")

    session.stop.last_words, session.stop.goes_on = last_words, resume_command(command, folder)
    try:
        try:
            conductor.settle()
            if conductor.has_work:
                data, common = session.data, session.common(config.model)
                with progress:
                    # More than once only where Tune lost sight of a trial.
                    while going_on():
                        tuning.run_trials(
                            conductor,
                            data,
                            common,
                            plan.slots,
                            folder,
                            refresh=refresh,
                            lost=progress.lost,
                            stop=session.stop,
                        )
                conductor.settle()
        finally:
            events.close()
            write_state(INTERRUPTED)
    except OSError as error:
        raise storage_error(error, folder, resume_command(command, folder)) from error
    scored = None
    if complete():
        ledger.require_in_place()
        keeper.clean()
        facts = {"model": config.model, "metric": config.metric, "data": described.data}
        scored = publish_best(conductor, session.split, folder, **facts)
    text = summary(scored, None if complete() else session.stop.reason or "interrupted")
    write_text(folder / SUMMARY_FILE, text + "\n")
    means = {} if scored is None else scored[0].test.means()
    for logger in loggers:
        logger.finish(complete=complete(), scores={f"test/{name}": value for name, value in means.items()})
    if scored is not None:
        write_state(FINISHED)
    if trouble := _report(folder):
        text += f"\n\n{trouble}"
    return Outcome(text, complete(), scored is not None)


def _report(folder: Path) -> str:
    """Write the report; return what went wrong, in a line, where something did: it is never worth a search."""
    from distrecvae.search.report.page import write_report  # plotly takes half a second to import

    try:
        write_report(folder)
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        return f"The report was not written ({reason}); try: distrecvae report {folder}"
    return ""
