"""How a search begins or is resumed: its settings, data set, plan and folder checked, Ray started."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from distrecvae.data.dataset import Split, require_scored
from distrecvae.data.io import load_dataset, save_dataset
from distrecvae.data.prepared import Data
from distrecvae.data.synthetic import synthetic_split
from distrecvae.evaluation import require_scorable
from distrecvae.layout import DATA_FOLDER, SEARCH_FILE, SUMMARY_FILE
from distrecvae.metrics import on_validation, require_metrics
from distrecvae.packaged import is_path
from distrecvae.precisions import Precision
from distrecvae.search.commands import python_extend, resume_command
from distrecvae.search.core.config import DEMO, INFORMED, PASSES, UNINFORMED, SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.course import Outcome, carry_out
from distrecvae.search.estimating import priced, timed, timing_like
from distrecvae.search.folder.data_place import absolute, place_of_data
from distrecvae.search.folder.description import describe
from distrecvae.search.folder.extension import as_begun, ask_to_grow, nothing_left
from distrecvae.search.folder.holding import own
from distrecvae.search.folder.search import Search
from distrecvae.search.folder.search_json import Description, read_description, write_description
from distrecvae.search.folder.warm_start import warm_start_of
from distrecvae.search.on_ray.interruption import Interruption
from distrecvae.search.on_ray.same_package import require_package
from distrecvae.search.on_ray.session import Session, living_nodes, ray_session, survey
from distrecvae.search.planning.plan import Plan, check_memory, make_plan
from distrecvae.search.planning.resources import slots_for
from distrecvae.search.space.cycles import require_cycles_fit
from distrecvae.search.space.relative import Sizes
from distrecvae.search.space.space import SearchSpace, available_spaces
from distrecvae.search.watchers.trackers import make_loggers, require_loggers
from distrecvae.storage.mirror import LAST_S, Mirror
from distrecvae.storage.post import Post
from distrecvae.storage.uri import is_uri
from distrecvae.training import registry


def load_space(config: SearchConfig) -> SearchSpace:
    """Return the search's space: the named one, the demo's small one where the model has one, or the model's own."""
    config_class, demo = registry.config_class(config.model), f"{config.model}-demo"
    own = demo if config.data is None and demo in available_spaces() else config.model
    brought = registry.own_space(config.model)
    if config.space is None and brought is not None:
        brought = {"model": config.model, **brought}
        return SearchSpace.from_mapping(brought, config_class=config_class, model=config.model)
    return SearchSpace.load(config.space or own, config_class=config_class, model=config.model)


def search(
    config: SearchConfig,
    folder: Path,
    *,
    resume: bool,
    console: Console | None = None,
    verbose: bool = False,
    command: str | None = None,
    session: Session | None = None,
    space: SearchSpace | None = None,
    data: Data | None = None,
    mirror: Mirror | None = None,
    grow_to: int | None = None,
) -> Outcome:
    """Run a search, or resume the one in `folder`.

    Args:
        config: the settings.
        folder: the results folder; it must not exist (or be empty) unless `resume`.
        resume: resume the search that lies there.
        console: shows progress; None for plain lines, or a live table on a terminal.
        verbose: let Ray speak, too.
        command: the command line that made this call, to be shown and written down; None where Python called: the
            process is not ended then, whatever hangs.
        session: Ray and the data set, where the caller has them; None loads and starts what `config` says.
        space: what is searched, where the caller has it; None loads what `config` says.
        data: the data set, where the caller has it; one that lies nowhere is written into `folder`.
        mirror: of `folder`, not begun; after the search it says whether it has all of it.
        grow_to: it is to have so many trials, whatever it was steered to before; None for as many as that.

    Raises:
        DistrecvaeError: the input, the space, the machine or the folder is not fit; nothing was written then.
    """
    console = plain_console() if console is None else console
    stop = Interruption(ends_process=command is not None)
    command = python_extend(folder, None if mirror is None else mirror.uri) if command is None else command
    described = read_description(folder) if resume else None
    config, space = _settled_with(config, space, described)
    require_loggers(config)
    with ExitStack() as held:
        held.enter_context(own("search", folder, resume=described is not None))
        if mirror is not None:
            mirror.catch_up = resume_command(command, mirror.uri)
            console.print(held.enter_context(mirror).text(), highlight=False, markup=False, soft_wrap=True)
            held.enter_context(Post(folder, mirror.uri))
        if described is not None:
            config = replace(config, data=_found(config.data, described, folder))
        there = data.split if data is not None else session.split if session is not None else None
        split = load_split(config, folder) if there is None else there
        require_scored(split, config.data or "the data", "valid")
        space = space.resolved(Sizes.of(split.train))
        warm = warm_start_of(config, space, described)
        if described is not None:
            config = as_begun(described, config, space, split, folder, grow_to)
            if nothing_left(described, config, folder):
                _copy_study(config, space, folder, described, console)
                if mirror is not None:
                    mirror.patience_s = LAST_S
                summary = (folder / SUMMARY_FILE).read_text(encoding="utf-8").rstrip()
                return Outcome(summary, complete=True, has_score=True)
        if session is None:
            held.callback(stop.over)
            cluster = held.enter_context(ray_session(config.address, verbose=verbose))
            session = Session(cluster, split, stop)
        begun_in = None if described is None else described.plan.precision
        plan = plan_search(config, space, session, begun_in, tell=console.print)
        # The plan may have waited for a node.
        cluster = living_nodes(joined=True) if config.elastic else session.cluster
        check_memory(plan, cluster, split.train)
        require_package()
        if described is None:
            where = config.data or str(folder / DATA_FOLDER)
            described = describe(
                config, space, split, plan, folder=folder, data=where, command=command, warm=warm
            )
            write_description(folder, described)
        else:
            # The folder may have been moved, and the data set with it, or alone.
            described = replace(described, data=absolute(config.data or str(folder / DATA_FOLDER)))
            if grow_to is not None:
                ask_to_grow(config, space, folder)
        if config.data is None:
            data = Data(split, {"source": DEMO, "seed": config.seed})
        if data is not None:
            store(data, folder)
        outcome = carry_out(Search(config, space, plan, folder, described, command, mirror), session, console)
        if mirror is not None and outcome.complete:
            mirror.patience_s = LAST_S
        return outcome


def _found(data: str | None, described: Description, folder: Path) -> str | None:
    """Return where the data set of a search that is resumed lies, where the folder or the data was moved."""
    if data is None or is_uri(data) or Path(data).exists() or data != described.settings.data:
        return data
    return place_of_data(folder, described)


def dry_run(
    config: SearchConfig,
    *,
    folder: Path,
    verbose: bool,
    resume: bool = False,
    grow_to: int | None = None,
    space: SearchSpace | None = None,
    like: Path | None = None,
    mirror: Mirror | None = None,
) -> str:
    """Return the resolved plan as text; writes nothing, starts no trial.

    Args:
        config: the settings.
        folder: where its results would go.
        resume: resume the search that lies there.
        verbose: show what Ray says, too.
        grow_to: as `search` has it.
        space: what is searched; None for the settings' own.
        like: results folder of an earlier search that says how long passes take.

    Raises:
        DistrecvaeError: as `search` would.
        ResultsError: `like` is not a search, of another model, or none of its trials was timed.
    """
    timing = None if like is None else timing_like(like, config.model)
    described = read_description(folder) if (folder / SEARCH_FILE).exists() else None
    if described is not None:
        config = replace(config, data=_found(config.data, described, folder))
    config, space = _settled_with(config, space, described)
    split = load_split(config, folder)
    require_scored(split, config.data or "the data", "valid")
    space = space.resolved(Sizes.of(split.train))
    warm = warm_start_of(config, space, None)
    if described is not None and resume:
        config = as_begun(described, config, space, split, folder, grow_to)
    with ray_session(config.address, verbose=verbose) as cluster:
        slots_for(replace(config, elastic=False), cluster)  # a plan waits for no node
        begun_in = described.plan.precision if described is not None and resume else None
        plan = plan_search(config, space, Session(cluster, split), begun_in)
        check_memory(plan, cluster, split.train)
        text = plan.text(timed(plan, split, cluster) if timing is None else timing)
    if mirror is not None:
        mirror.require_reachable()
        text = f"{text}\n\n{mirror.text()}"
    return text if warm is None else f"{text}\n\n{warm.text()}"


def plan_search(
    config: SearchConfig,
    space: SearchSpace,
    session: Session,
    begun_in: Precision | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Return the plan; a search continues in the precision that it was started in, on any machine.

    Args:
        config: the settings.
        space: what is searched.
        session: Ray and the data set.
        begun_in: the precision of a search that is resumed.
        tell: is told where the plan has to wait for a node.

    Raises:
        ConfigError: a cycle is longer than a trial.
        DataError: no validation user can be scored.
        DistrecvaeError: nothing on the cluster can run it.
    """
    require_scorable(session.split.valid, "validation")
    require_metrics(config.scored, session.split.n_items)
    slots = slots_for(config, session.cluster)
    facts = survey(slots, session.cluster, tell)
    if begun_in is None:
        require_cycles_fit(space, registry.config_class(config.model), config.most_passes)
    else:
        facts = facts._replace(precision=begun_in)
    lent = session.lends_common(config.model)
    return make_plan(config, space, session.split, slots, facts, lent=lent)


def _settled_with(
    config: SearchConfig, space: SearchSpace | None, described: Description | None
) -> tuple[SearchConfig, SearchSpace]:
    """Return the settings and what is searched, where the caller may have that, and a search may be resumed."""
    if space is None:
        # What a packaged name stands for may be another space in another version; a file is the user's to keep.
        written = described is not None and not is_path(config.space or config.model)
        space = described.searched() if described is not None and written else load_space(config)
    return priced(settled(config, space, None if described is None else described.settings)), space


def settled(config: SearchConfig, space: SearchSpace, begun: SearchConfig | None = None) -> SearchConfig:
    """Return the settings with what the space decides: passes, the sampler, one trial where nothing is searched.

    Args:
        config: the settings, as asked for.
        space: what is searched.
        begun: the settings of a search that is resumed: another version may have had another sampler in mind.
    """
    passes = config.max_passes or space.max_passes or PASSES
    usual = INFORMED if space.likely else UNINFORMED
    sampler = config.sampler or (usual if begun is None else begun.proposer)
    return one_trial_without_parameters(replace(config, max_passes=passes, sampler=sampler), space)


def one_trial_without_parameters(config: SearchConfig, space: SearchSpace) -> SearchConfig:
    """Return the settings with one trial where nothing is searched."""
    return config if space.parameters else replace(config, trials=1)


def load_split(config: SearchConfig, folder: Path) -> Split:
    """Return the data set of a search: the one it names, the demo's that lies in its folder, or a new one."""
    if config.data is not None:
        return load_dataset(config.data)
    made = folder / DATA_FOLDER
    return load_dataset(made) if made.exists() else synthetic_split(seed=config.seed)


def store(data: Data, folder: Path) -> None:
    """Write a data set that lies nowhere beside its results, so that the next commands have something to read."""
    if data.folder is None and not (made := folder / DATA_FOLDER).exists():
        save_dataset(data.split, made, data.protocol)


def plain_console() -> Console:
    """Return where a search that Python called shows itself: a notebook has no widget for a live table."""
    console = Console()
    return Console(force_jupyter=False, force_terminal=False) if console.is_jupyter else console


def _copy_study(
    config: SearchConfig, space: SearchSpace, folder: Path, described: Description, console: Console
) -> None:
    """Copy the trials of a search that is over to its storage; trackers have heard of its end."""
    copied = replace(config, log_to=None)
    if copied.storage is not None:
        ledger, begun = Ledger(folder, on_validation(config.metric)), described.started
        about: dict[str, Any] = {"folder": folder, "space": space, "ledger": ledger, "started": begun}
        for logger in make_loggers(copied, **about, tell=console.print):
            logger.finish(complete=True, scores={})
