"""Owns a search from its settings to its summary: checks, plan, Ray, trials, the chosen model."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from distrecvae import __version__
from distrecvae.data.dataset import Split
from distrecvae.data.io import load_dataset, save_dataset
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ResultsError
from distrecvae.files import exclusive, remove_leftovers, storage_error, write_text
from distrecvae.models.choices import Precision
from distrecvae.search import driver, results
from distrecvae.search.conductor import Conductor
from distrecvae.search.config import DEMO, SearchConfig
from distrecvae.search.interruption import Interruption
from distrecvae.search.ledger import Ledger, Status
from distrecvae.search.outcome import Scored, publish_best
from distrecvae.search.plan import Plan, check_memory, make_plan
from distrecvae.search.progress import Progress
from distrecvae.search.space import SearchSpace, available_spaces
from distrecvae.search.summary import search_summary
from distrecvae.search.tensorboard import EventFiles
from distrecvae.training import registry

SYNTHETIC_FOLDER = "data"
SUMMARY_FILE = "summary.txt"
FINISHED = "finished"
_REPORTED_VERSIONS = ("ray", "optuna", "torch", "numpy", "scipy", "pandas", "pyarrow")


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


def load_space(config: SearchConfig) -> SearchSpace:
    """Return the search's space: the named one, the demo's small one where the model has one, or the model's own."""
    config_class, demo = registry.config_class(config.model), f"{config.model}-demo"
    own = demo if config.data is None and demo in available_spaces() else config.model
    return SearchSpace.load(config.space or own, config_class=config_class, model=config.model)


def search(
    config: SearchConfig,
    folder: Path,
    *,
    resume: bool,
    console: Console,
    verbose: bool,
    command: str,
    session: driver.Session | None = None,
) -> Outcome:
    """Run a search, or go on with the one in `folder`.

    Args:
        config: the settings.
        folder: the results folder; it must not exist (or be empty) unless `resume`.
        resume: go on with the search that lies there.
        console: shows progress.
        verbose: let Ray speak, too.
        command: the command line that made this call, to be shown and written down.
        session: Ray and the data set, where the caller has them; None loads and starts what `config` says.

    Raises:
        DistrecvaeError: the input, the space, the machine or the folder is not fit; nothing was written then.
    """
    space = load_space(config)
    config = one_trial_without_parameters(config, space)
    described = results.read_description(folder) if resume else None
    if described is None and in_use(folder):
        raise ResultsError(
            f"{folder} is not empty; pass --resume to go on with the search in it, or choose another --out"
        )
    with ExitStack() as held:
        if described is not None:
            held.enter_context(exclusive(folder))
        split = load_split(config, folder) if session is None else session.split
        if described is not None:
            _check_same(described, config, space, split, folder)
            if described["status"] == FINISHED and config.trials == described["settings"]["trials"]:
                summary = (folder / SUMMARY_FILE).read_text(encoding="utf-8").rstrip()
                return Outcome(summary, complete=True, has_score=True)
        if session is None:
            stop = Interruption()
            held.callback(stop.over)
            cluster = held.enter_context(driver.ray_session(config.address, verbose=verbose))
            session = driver.Session(cluster, split, stop)
        begun_in = None if described is None else described["plan"]["precision"]
        plan = plan_search(config, space, session, begun_in)
        check_memory(plan, session.cluster)
        if described is None:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(exclusive(folder))
            described = _describe(config, space, split, plan, folder, command)
            results.write_description(folder, described)
        if config.data is None:
            _store_synthetic(config, split, folder)
        return _conduct(config, space, session, plan, folder, described, console, command)


def dry_run(config: SearchConfig, *, folder: Path, verbose: bool) -> str:
    """Return the resolved plan as text; writes nothing, starts no trial.

    Raises:
        DistrecvaeError: as `search` would.
    """
    space = load_space(config)
    config = one_trial_without_parameters(config, space)
    split = load_split(config, folder)
    with driver.ray_session(config.address, verbose=verbose) as cluster:
        return plan_search(config, space, driver.Session(cluster, split)).text()


def plan_search(
    config: SearchConfig, space: SearchSpace, session: driver.Session, begun_in: Precision | None = None
) -> Plan:
    """Return the plan; a search goes on in the precision that it was begun in, wherever that is."""
    slots = driver.slots_for(config, session.cluster)
    facts = driver.survey(config, slots)
    if begun_in is not None:
        facts = facts._replace(precision=begun_in)
    return make_plan(config, space, session.split, slots, facts)


def _conduct(
    config: SearchConfig,
    space: SearchSpace,
    session: driver.Session,
    plan: Plan,
    folder: Path,
    described: dict[str, Any],
    console: Console,
    command: str,
) -> Outcome:
    remove_leftovers(folder)
    driver.clear_away(folder)
    metric = f"valid/{config.metric}"
    elapsed_s = float(described["elapsed_s"])
    ledger = Ledger(folder, metric)
    tables, keeper = results.Tables(folder, ledger, space, metric), results.Keeper(folder, ledger)
    events = EventFiles(folder, space, config.metric)
    progress = Progress(console, ledger, config, concurrent=plan.slots.concurrent, elapsed_s=elapsed_s)
    conductor = Conductor(
        ledger=ledger,
        space=space,
        config=config,
        rule=plan.rule,
        folder=folder.resolve(),
        concurrent=plan.slots.concurrent,
        device=plan.slots.device,
        precision=plan.precision,
        watchers=(progress, events, tables, keeper),
        elapsed_s=elapsed_s,
    )
    console.print(plan.headline(), highlight=False, markup=False, soft_wrap=True)

    def write_state(status: str) -> None:
        tables.write()
        begun = {**described["settings"], "trials": config.trials}
        state = {"status": status, "elapsed_s": round(conductor.elapsed_s, 1), "settings": begun}
        results.write_description(folder, {**described, **state})

    def refresh() -> None:
        session.stop.check()
        progress.refresh()
        if tables.due:
            write_state("running")

    def summary(scored: tuple[Scored, Scored | None] | None, interrupted: str | None) -> str:
        return search_summary(
            config=config,
            ledger=ledger,
            space=space,
            folder=folder,
            data=described["data"],
            elapsed_s=conductor.elapsed_s,
            scored=scored,
            resume_command=resume_command(command, folder),
            interrupted=interrupted,
        )

    def complete() -> bool:
        running = any(r.status is Status.RUNNING for r in ledger.records.values())
        return not running and (len(ledger.records) >= config.trials or conductor.out_of_time)

    def last_words() -> None:
        write_state("interrupted")
        # All trials may have ended, but nothing is published yet.
        text = summary(None, session.stop.reason)
        console.print(f"\n{text}", highlight=False, markup=False, soft_wrap=True)

    session.stop.last_words = last_words
    try:
        try:
            conductor.settle()
            with progress:
                # More than once only where Tune lost sight of a trial.
                while conductor.has_work and session.stop.reason is None:
                    driver.run_trials(
                        conductor,
                        session.data,
                        plan.slots,
                        folder,
                        refresh=refresh,
                        died=progress.died,
                        stop=session.stop,
                    )
            conductor.settle()
        finally:
            events.close()
            write_state("interrupted")
    except OSError as error:
        raise storage_error(error, folder, resume_command(command, folder)) from error
    scored = None
    if complete():
        keeper.clean()
        scored = publish_best(conductor, session.split, folder, model=config.model, metric=config.metric)
    text = summary(scored, None if complete() else session.stop.reason or "interrupted")
    write_text(folder / SUMMARY_FILE, text + "\n")
    if scored is not None:
        write_state(FINISHED)
    return Outcome(text, complete(), scored is not None)


def one_trial_without_parameters(config: SearchConfig, space: SearchSpace) -> SearchConfig:
    """Return the settings with one trial where nothing is searched."""
    return config if space.parameters else replace(config, trials=1)


def in_use(folder: Path) -> bool:
    """Tell whether something lies in the folder; hidden files are what a killed start leaves."""
    return folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir())


def load_split(config: SearchConfig, folder: Path) -> Split:
    """Return the data set of a search: the one it names, the demo's that lies in its folder, or a new one."""
    if config.data is not None:
        return load_dataset(Path(config.data))
    made = folder / SYNTHETIC_FOLDER
    return load_dataset(made) if made.exists() else synthetic_split(seed=config.seed)


def _store_synthetic(config: SearchConfig, split: Split, folder: Path) -> None:
    """Write the demo's data set beside its results, so that the next commands have something to read."""
    made = folder / SYNTHETIC_FOLDER
    if not made.exists():
        save_dataset(split, made, {"source": DEMO, "seed": config.seed})


def _describe(
    config: SearchConfig, space: SearchSpace, split: Split, plan: Plan, folder: Path, command: str
) -> dict[str, Any]:
    return {
        "status": "running",
        "distrecvae": __version__,
        "command": command,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "elapsed_s": 0.0,
        "settings": asdict(config),
        "data": config.data or str(folder / SYNTHETIC_FOLDER),
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
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in _REPORTED_VERSIONS},
        },
        "platform": platform.platform(),
    }


def _check_same(
    described: Mapping[str, Any], config: SearchConfig, space: SearchSpace, split: Split, folder: Path
) -> None:
    """Refuse to go on with another search than the one that was begun."""
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


def resume_command(command: str, folder: Path) -> str:
    """Return the command line that goes on with what `command` began in `folder`."""
    parts = command if "--resume" in command.split() else f"{command} --resume"
    named = any(part.split("=")[0] in ("--out", "--name") for part in parts.split())
    return parts if named else f"{parts} --out {folder}"


def command_line() -> str:
    """Return what was typed, for `search.json` and the resume hint."""
    program = Path(sys.argv[0]).name
    start = "python -m distrecvae.search" if program == "__main__.py" else "distrecvae"
    return shlex.join([*start.split(), *sys.argv[1:]])
