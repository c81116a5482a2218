"""What commands and searches rely on in a model, as checks that anybody can run over theirs.

    python -m distrecvae.testing package.module:entry --set hidden_dim=8

Each check trains the model for some passes on a small synthetic data set. They say what a model must keep to, not
whether it is any good.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

import torch

from distrecvae.data.dataset import Split
from distrecvae.data.synthetic import synthetic_split
from distrecvae.dotted import trust
from distrecvae.errors import CheckpointError, DistrecvaeError
from distrecvae.evaluation import evaluate
from distrecvae.runs.configuration import read_config
from distrecvae.search.space.space import SearchSpace
from distrecvae.training import registry
from distrecvae.training.trainer import Trainer, fit
from distrecvae.words import one_line

CYCLES = 2
"""Cycles before a state is kept, and after it is restored."""


class BrokenPromiseError(Exception):
    """A model does not do what commands and searches rely on."""


@dataclass(frozen=True)
class Subject:
    """A model under test.

    Attributes:
        model: its name, or dotted name.
        config: its configuration.
        split: what it is trained and scored on.
    """

    model: str
    config: Any
    split: Split

    def trainer(self, seed: int = 1) -> Trainer:
        """Return a fresh trainer."""
        return registry.make_trainer(self.model, self.config, self.split.train, seed=seed)

    def trained(self, cycles: int = CYCLES) -> Trainer:
        """Return a trainer after some cycles."""
        trainer = self.trainer()
        for _ in range(cycles):
            trainer.step()
        return trainer


def a_configuration_survives_json(subject: Subject) -> None:
    """Its settings are written into folders and read back."""
    stored = json.loads(json.dumps(registry.config_to_dict(subject.config)))
    _require(
        registry.config_from_dict(subject.model, stored) == subject.config, "it is another one afterwards"
    )
    names = {field.name for field in fields(registry.config_class(subject.model))}
    _require(stored.keys() == names, f"it has {sorted(stored)} of {sorted(names)}")


def every_step_is_a_cycle(subject: Subject) -> None:
    """The search counts cycles and passes, and decides itself when a training is over."""
    trainer = subject.trainer()
    reports = list(islice(fit(trainer, subject.split.valid), 3))
    _require([report.cycle for report in reports] == [1, 2, 3], "cycle does not count the steps")
    passes = [trainer.passes_per_cycle * n for n in (1, 2, 3)]
    found = [report.passes for report in reports]
    _require(found == passes, f"passes are {found}, passes_per_cycle says {passes}")


def scores_are_finite_float32_for_every_item(subject: Subject) -> None:
    """Rankings are made of them."""
    users = subject.split.valid.fold_in
    scores = subject.trained().model.score(users)
    _require(tuple(scores.shape) == users.shape, f"they have shape {tuple(scores.shape)}, not {users.shape}")
    _require(scores.dtype == torch.float32, f"they are {scores.dtype}")
    _require(bool(torch.isfinite(scores).all()), "some are not finite")


def scores_do_not_depend_on_the_batch(subject: Subject) -> None:
    """Users are scored in batches of any size."""
    model, users = subject.trained().model, subject.split.valid.fold_in
    together = model.score(users).clone()
    alone = torch.cat([model.score(users.slice(user, user + 1)).clone() for user in range(users.n_users)])
    # Sums in another order differ in their last bits: float32 has seven digits, and these are not near zero alone.
    _close(alone, together, "alone and in a batch a user's scores differ")


def what_is_loaded_scores_like_what_was_trained(subject: Subject) -> None:
    """`best/` holds no more than `model_state`."""
    trainer, users = subject.trained(), subject.split.valid.fold_in
    loaded = registry.load_recommender(
        subject.model, subject.config, subject.split.n_items, trainer.model_state()
    )
    _close(loaded.score(users), trainer.model.score(users), "the loaded model scores differently")
    found = evaluate(loaded, subject.split.valid).means()
    _require(found == evaluate(trainer.model, subject.split.valid).means(), "it ranks differently")


def a_restored_training_continues_bit_for_bit(subject: Subject) -> None:
    """A search that is killed ends as it would have."""
    whole, begun, restored = subject.trained(2 * CYCLES), subject.trained(), subject.trainer()
    restored.load_state_dict(begun.state_dict())
    for _ in range(CYCLES):
        restored.step()
    _same(restored.state_dict(), whole.state_dict())
    _same(restored.model_state(), whole.model_state())


def the_seed_decides_everything(subject: Subject) -> None:
    """A trial that is repeated gives what it gave."""
    _same(subject.trained().state_dict(), subject.trained().state_dict())


def a_state_is_not_changed_by_further_training(subject: Subject) -> None:
    """The best model is kept while training continues."""
    trainer = subject.trained()
    kept = [trainer.state_dict(), trainer.model_state()]
    before = [{name: value.clone() for name, value in state.items()} for state in kept]
    trainer.step()
    for state, copy in zip(kept, before, strict=True):
        _same(state, copy)


def a_state_that_does_not_fit_is_refused(subject: Subject) -> None:
    """A damaged checkpoint starts a trial over; it must be noticed for that."""
    try:
        subject.trainer().load_state_dict({})
    except CheckpointError:
        return
    raise BrokenPromiseError("an empty state was loaded without a CheckpointError")


def a_model_that_does_not_fit_is_refused(subject: Subject) -> None:
    """A file of another data set, cut short or of another type is an error in one line, not other rankings."""
    state, n_items = subject.trained(1).model_state(), subject.split.n_items

    def require_refused(what: str, state: Mapping[str, torch.Tensor], n_items: int = n_items) -> None:
        try:
            registry.load_recommender(subject.model, subject.config, n_items, state)
        except CheckpointError:
            return
        raise BrokenPromiseError(f"{what} was loaded without a CheckpointError")

    for others in (n_items - 1, n_items + 1):
        require_refused(f"a model of {n_items} items for {others}", state, others)
    for name, value in state.items():
        rest = {other: tensor for other, tensor in state.items() if other != name}
        require_refused(f"a model without {name}", rest)
        short = value.flatten()[1:] if value.numel() else torch.zeros(1, dtype=value.dtype)
        require_refused(f"{name} of another shape", {**rest, name: short})
        other_type = torch.float64 if value.dtype != torch.float64 else torch.float32
        require_refused(f"{name} in {other_type}", {**rest, name: value.to(other_type)})


def its_memory_is_estimated(subject: Subject) -> None:
    """Trials are laid on machines by it."""
    in_training, on_disk = registry.memory_bytes(subject.model, subject.config, subject.split.train)
    trainer = subject.trained()
    states = (*trainer.state_dict().values(), *trainer.model_state().values())
    taken = sum(value.numel() * value.itemsize for value in states)
    # Where it depends on the solution how sparse it is, an estimate is a bound.
    _require(
        0.5 * taken - 4096 <= on_disk <= 8 * taken + 4096,
        f"a state file takes {taken:,} bytes, {on_disk:,} are estimated",
    )
    _require(
        in_training >= on_disk, f"training is estimated at {in_training:,} bytes, its state at {on_disk:,}"
    )


def its_search_space_fits(subject: Subject) -> None:
    """`distrecvae search --model` needs no --space."""
    brought = registry.own_space(subject.model)
    if brought is None:
        SearchSpace.load(subject.model, model=subject.model)
    else:
        SearchSpace.from_mapping({"model": subject.model, **brought}, model=subject.model)


CHECKS: tuple[Callable[[Subject], None], ...] = (
    a_configuration_survives_json, every_step_is_a_cycle, scores_are_finite_float32_for_every_item,
    scores_do_not_depend_on_the_batch, what_is_loaded_scores_like_what_was_trained,
    a_restored_training_continues_bit_for_bit, the_seed_decides_everything, a_state_is_not_changed_by_further_training,
    a_state_that_does_not_fit_is_refused, a_model_that_does_not_fit_is_refused, its_memory_is_estimated,
    its_search_space_fits,
)  # fmt: skip


def subject_of(model: str, settings: Mapping[str, Any]) -> Subject:
    """Return a model to check, with these settings over its defaults.

    Raises:
        ConfigError: there is no such model, or a setting breaks its rule.
    """
    trust(model)
    split = synthetic_split(n_users=120, n_items=60, seed=3)
    return Subject(model, registry.config_from_dict(model, settings), split)


def main(words: Sequence[str]) -> int:
    """Run all checks over the model that `words` name, a line each; return the exit status."""
    if not words or words[0].startswith("-"):
        print(__doc__)
        return 0 if {"-h", "--help"} & set(words) else 2
    model, rest = words[0], list(words[1:])
    trust(model)
    try:
        if rest[0::2] != ["--set"] * (len(rest) // 2) or len(rest) % 2:
            raise DistrecvaeError(
                f"{' '.join(rest)}: after the model there is only --set NAME=VALUE, repeated"
            )
        subject = subject_of(model, read_config(model, None, rest[1::2])[1])
    except DistrecvaeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    broken = 0
    for check in CHECKS:
        title = check.__name__.replace("_", " ")
        try:
            check(subject)
        except Exception as error:
            broken += 1
            said = (
                one_line(error)
                if isinstance(error, BrokenPromiseError)
                else f"{type(error).__name__}: {one_line(error)}"
            )
            print(f"BROKEN  {title}: {said}")
        else:
            print(f"kept    {title}")
    print(f"{len(CHECKS) - broken} of {len(CHECKS)} promises are kept")
    return 1 if broken else 0


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BrokenPromiseError(otherwise)


def _close(found: torch.Tensor, expected: torch.Tensor, otherwise: str) -> None:
    _require(bool(torch.allclose(found, expected, rtol=1e-4, atol=1e-5)), otherwise)


def _same(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    _require(found.keys() == expected.keys(), f"{sorted(found)} is not {sorted(expected)}")
    for name, value in found.items():
        _require(torch.equal(value, expected[name]), f"{name} differs")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
