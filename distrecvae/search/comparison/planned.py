"""A comparison's plans: each search's, what its seeds take beside it, and the whole."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from distrecvae.data.dataset import require_scored
from distrecvae.errors import DistrecvaeError
from distrecvae.layout import SEARCH_FILE
from distrecvae.search.comparison import files
from distrecvae.search.comparison.entrants import Entrant
from distrecvae.search.comparison.outsiders import named_scores, outside_rows
from distrecvae.search.comparison.seeds import require_growing, seed_numbers, trained_seeds
from distrecvae.search.comparison.table import notes_of
from distrecvae.search.folder.search_json import read_description
from distrecvae.search.launch import load_split, plan_search, settled
from distrecvae.search.on_ray.session import Session, ray_session
from distrecvae.search.planning.plan import Plan, check_memory
from distrecvae.search.space.relative import Sizes
from distrecvae.words import counted, mib

STATES_A_SEED = 3
"""What a seed's folder takes at most, in checkpoints: the last state twice while it is replaced, and its model."""


def plans_of(listed: Sequence[Entrant], session: Session, resumed: Path | None) -> dict[str, Plan]:
    """Return each search's plan, all of them checked: what cannot run is refused before anything starts.

    Args:
        listed: the searches.
        session: Ray and the data set.
        resumed: the folder of a comparison that is resumed. A search that was begun there keeps its precision, and the
            seeds that are trained after it have the same.

    Raises:
        DistrecvaeError: a search cannot run; the message begins with its name.
    """
    plans = {}
    for entrant in listed:
        try:
            space = entrant.space.resolved(Sizes.of(session.split.train))
            config, begun_in = settled(entrant.config, space), None
            if resumed is not None and (resumed / entrant.name / SEARCH_FILE).exists():
                begun_in = read_description(resumed / entrant.name).plan.precision
            plans[entrant.name] = plan_search(config, space, session, begun_in)
            check_memory(plans[entrant.name], session.cluster, session.split.train)
        except DistrecvaeError as error:
            raise type(error)(f"{entrant.name}: {error}") from None
    return plans


def plans_text(
    listed: Sequence[Entrant],
    *,
    folder: Path,
    verbose: bool,
    resume: bool = False,
    seeds: int | None = None,
    scores: Sequence[str] = (),
) -> str:
    """Return the plans of all searches as text; writes nothing, starts no trial.

    Args:
        listed: the searches.
        folder: where their results would go.
        verbose: show what Ray says, too.
        resume: it would resume the comparison in `folder`.
        seeds: with so many each chosen configuration would be trained again.
        scores: systems that were trained elsewhere, NAME=PATH each.

    Raises:
        DistrecvaeError: as `compare` would.
    """
    config = listed[0].config
    seed_numbers(config, seeds)
    if resume:
        described = files.read_description(folder)
        seeds, scores = require_growing(described.seeds, seeds, folder), tuple(scores) or described.scores
    numbers = seed_numbers(config, seeds)
    theirs = named_scores(scores, [entrant.name for entrant in listed])
    split = load_split(config, folder)
    require_scored(split, config.data or "the data", "valid")
    outsiders = outside_rows(theirs, split, config.scored)
    with ray_session(config.address, verbose=verbose) as cluster:
        plans = plans_of(listed, Session(cluster, split), folder if resume else None)
    parts = [f"== {name}\n{plan.text(more=seeds_rows(plan, numbers))}" for name, plan in plans.items()]
    notes = [textwrap.fill(note, 100) for note in notes_of(outsiders)]
    return "\n\n".join([*parts, whole_text(plans, numbers, len(outsiders)), *notes])


def seeds_rows(plan: Plan, numbers: Sequence[int]) -> list[tuple[str, str]]:
    """Return the row of a search's plan on its seeds; none where there are none."""
    trained = trained_seeds(plan.config.model, numbers)
    if not trained:
        return []
    storage = f"{mib(STATES_A_SEED * len(trained) * plan.state_bytes)} of storage"
    if len(trained) < len(numbers):
        return [("seeds", f"{len(numbers)}, and one training for all: nothing in it is random; {storage}")]
    passes = counted(len(trained) * plan.trial_passes, "pass", "passes")
    listed = ", ".join(map(str, numbers))
    text = f"{listed}: the chosen configuration trained again with each, at most {passes} more, {storage}"
    return [("seeds", text)]


def whole_text(plans: dict[str, Plan], numbers: Sequence[int], n_others: int) -> str:
    """Return what the comparison is altogether, for people.

    Args:
        plans: by name, of all searches.
        numbers: the seeds.
        n_others: systems that were trained elsewhere.
    """
    trained = {name: len(trained_seeds(plan.config.model, numbers)) for name, plan in plans.items()}
    n_trials = sum(plan.config.trials for plan in plans.values())
    passes = sum((plan.config.trials + trained[name]) * plan.trial_passes for name, plan in plans.items())
    said = [
        counted(len(plans), "search", "searches"),
        counted(n_trials, "trial", "trials"),
        *([counted(sum(trained.values()), "training", "trainings") + " with seeds"] if numbers else []),
        *([counted(n_others, "system", "systems") + " trained elsewhere"] if n_others else []),
        f"at most {counted(passes, 'pass', 'passes')}",
    ]
    return f"== in all\n{', '.join(said)}"
