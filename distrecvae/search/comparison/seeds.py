"""The chosen configuration of a search under several seeds: how much of a score is training's luck.

The search's own model is the luckiest of its trials by the validation users, so its seed is not reported among the
others': the configuration is trained again with each seed, as often as a trial may be, and its mean is what stands in
the table. A model that is solved at once has no randomness, and is trained once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distrecvae.errors import ConfigError
from distrecvae.evaluation import Evaluation, Scoring, evaluate
from distrecvae.layout import BEST_FOLDER, CONFIG_FILE
from distrecvae.runs import training_run as runs
from distrecvae.runs.seeds import seed_folder, summarize, write_seeds
from distrecvae.saved.model import load_model
from distrecvae.search.comparison.row import Row, mean_over_seeds, seeds_of
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.on_ray.session import Session
from distrecvae.search.on_ray.side_by_side import train_seeds
from distrecvae.search.planning.plan import Plan
from distrecvae.training import registry
from distrecvae.training.device import usable_device
from distrecvae.words import counted

SEEDS_FOLDER = "seeds"
"""Where a search's folder, in a comparison with seeds, has their trainings."""
FEWEST = 2


@dataclass(frozen=True)
class Repeats:
    """With which seeds chosen configurations are trained.

    Attributes:
        numbers: the seeds.
        data: where the data set lies.
    """

    numbers: tuple[int, ...]
    data: str


def seed_numbers(config: SearchConfig, count: int | None) -> tuple[int, ...]:
    """Return the seeds: `count` from the comparison's own on; none for None.

    Raises:
        ConfigError: a single one, which tells nothing of others.
    """
    if count is None:
        return ()
    if count < FEWEST:
        raise ConfigError(f"--seeds {count}: one seed tells nothing of others; give {FEWEST} or more")
    return tuple(range(config.seed, config.seed + count))


def trained_seeds(model: str, numbers: Sequence[int]) -> tuple[int, ...]:
    """Return the seeds with which a model is trained: the first one alone where it is solved at once, and none is
    another model."""
    return tuple(numbers[:1] if registry.solved_at_once(model) else numbers)


def require_growing(begun: int | None, count: int | None, folder: Path) -> int | None:
    """Return how many seeds a resumed comparison has: what is given, or what it was started with.

    Raises:
        ConfigError: fewer than it was started with.
    """
    if count is not None and begun is not None and count < begun:
        raise ConfigError(f"{folder} was started with {begun} seeds, --seeds is {count}; they may only grow")
    return begun if count is None else count


def with_seeds(
    row: Row, place: Path, plan: Plan, session: Session, repeats: Repeats, say: Callable[[str], object]
) -> Row | None:
    """Train the chosen configuration of a finished search with each seed; return its row, None where it was stopped.

    What is trained already is taken as it is.

    Args:
        row: of the search's own model.
        place: the search's folder.
        plan: of the search: device, precision, passes.
        session: Ray and the data.
        repeats: the seeds.
        say: takes a line before training begins, which may be as long as the search was.

    Raises:
        DistrecvaeError: a training stopped making sense, or its process died again and again.
    """
    split, config = session.split, plan.config
    folder = place / SEEDS_FOLDER
    numbers = trained_seeds(row.model, repeats.numbers)
    settings = runs.RunSettings(
        model=row.model,
        config=row.config,
        data=repeats.data,
        fingerprint=split.fingerprint,
        seed=numbers[0],
        max_passes=plan.trial_passes,
        patience=None,
        metric=config.metric,
        metrics=config.scored,
        precision=plan.precision,
    )
    own = {seed_folder(folder, number): replace(settings, seed=number) for number in numbers}
    device = "cuda" if plan.slots.gpus else "cpu"
    missing = {at: each for at, each in own.items() if not (at / BEST_FOLDER / CONFIG_FILE).is_file()}
    if missing:
        write_seeds(folder, numbers)
        for at, each in missing.items():
            runs.write_settings(at, each)
        say(
            f"training the chosen configuration again, with {counted(len(missing), 'seed', 'seeds')}:"
            f" at most {len(missing) * plan.trial_passes:,} passes"
        )
        with session.stop.listening(()):
            stopped = train_seeds(
                missing,
                folder,
                split,
                device=device,
                threads=plan.slots.cpus,
                checkpoint_every_s=config.checkpoint_every_s,
                address=None,  # this process is connected already
                tell=lambda _: None,
                look=lambda: session.stop.reason is not None,
            )
        if stopped:
            return None
        for at, each in missing.items():
            runs.TrainingRun(at, each, split, device=usable_device(None)).finish()
    summarize(folder, numbers)
    scoring = Scoring.of(config.scored, split.train)
    valid, test = ([_scores(at, users, scoring) for at in own] for users in (split.valid, split.test))
    if len(own) < len(repeats.numbers):
        valid, test = (each * len(repeats.numbers) for each in (valid, test))
    return replace(
        row,
        valid=mean_over_seeds(valid),
        test=mean_over_seeds(test),
        seeds=seeds_of(repeats.numbers, valid, test),
    )


def _scores(at: Path, users: Any, scoring: Scoring) -> Evaluation:
    return evaluate(load_model(at / BEST_FOLDER, usable_device(None)).recommender, users, scoring)
