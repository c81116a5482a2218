"""The refit of a frozen blend: its members trained again, on the validation users, too, who have chosen and are done.

Rule, members, weights and passes stay as validation users chose them with models that had not seen them; test users
are unseen by all of it. What validation users say afterwards would be flattery, so the scores on them that are
reported are those of the members before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from distrecvae.blending.candidate import Candidate, candidate
from distrecvae.blending.choice import Choice, Stage
from distrecvae.blending.mixtures import Told
from distrecvae.blending.thinning import thin_as
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import ConfigError
from distrecvae.training.registry import config_from_dict, make_trainer


def require_refittable(candidates: Sequence[Candidate]) -> None:
    """Refuse models of which it is not known how to train them again.

    Raises:
        ConfigError: there is one.
    """
    for each in candidates:
        if each.trained is None:
            raise ConfigError(
                f"--refit: {each.source} does not say how {each.name} was trained from nothing (it is of a blend, or"
                " began with --warm-weights); give the runs of its members, or leave --refit out"
            )


def refitted(choice: Choice, train: InteractionMatrix, device: torch.device | str, stage: Stage) -> Choice:
    """Return the choice with its members, and the single model it is held against, trained again.

    Args:
        choice: frozen.
        train: the users to train on.
        device: where to train.
        stage: told of what is being done.

    Raises:
        ConfigError: it is not known how one was trained.
        DivergedError: a training stopped making sense.
    """
    wanted = {each.name: each for each in (*choice.members, choice.single)}
    require_refittable([*wanted.values()])
    again = {name: _again(each, train, device, stage(f"refit of {name}")) for name, each in wanted.items()}
    return replace(
        choice,
        members=tuple(again[each.name] for each in choice.members),
        single=again[choice.single.name],
        refit_users=train.n_users,
    )


def _again(old: Candidate, train: InteractionMatrix, device: torch.device | str, told: Told) -> Candidate:
    assert old.trained is not None, "it was asked for"  # noqa: S101
    passes = old.trained.passes
    share: Callable[[float], None] = lambda done: told(round(100 * done), 100)  # noqa: E731
    trainer = make_trainer(
        old.model,
        config_from_dict(old.model, old.config),
        train,
        seed=old.trained.seed,
        device=device,
        precision=old.trained.precision,
        progress=share,
    )
    while trainer.passes < passes and not trainer.solved:
        trainer.step()
        told(trainer.passes, passes)
    state = thin_as(trainer.model_state(), old.state)
    made = candidate(old.name, old.source, old.model, old.config, state, train.n_items, device, old.trained)
    return replace(made, thin_of=old.thin_of)
