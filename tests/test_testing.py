"""The checks that anyone can run over their own model: ours pass, and each broken promise is named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
import torch

from distrecvae import testing
from distrecvae.checks import require_whole
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError, ConfigError
from distrecvae.testing import CHECKS, BrokenPromiseError, Subject, main, subject_of
from distrecvae.training import registry
from distrecvae.training.entry import Entry
from distrecvae.training.schemes.closed_form import ClosedFormTrainer, closed_form
from tests import HANGS_AFTER_S, ROOT

SMALL: dict[str, dict[str, Any]] = {
    "recvae": {"hidden_dim": 8, "latent_dim": 3},
    "wmf": {"latent_dim": 3},
    "ease": {},
}


@pytest.mark.parametrize("model", SMALL)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_our_models_keep_their_promises(check: Callable[[Subject], None], model: str) -> None:
    check(subject_of(model, SMALL[model]))


@dataclass(frozen=True, kw_only=True)
class Broken:
    """Which promise the model below breaks."""

    how: str = ""
    scale: int = 1

    def __post_init__(self) -> None:
        require_whole("scale", self.scale, at_least=1)


class Model:
    def __init__(self, how: str, counts: torch.Tensor) -> None:
        self.how, self.counts = how, counts

    @property
    def n_items(self) -> int:
        return self.counts.numel()

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        scores = self.counts.repeat(fold_in.n_users, 1)
        if self.how == "nan":
            scores[0, 0] = torch.nan
        if self.how == "double":
            return scores.double()
        return scores / fold_in.n_users if self.how == "company" else scores


class Miscounting(ClosedFormTrainer):
    """Says that a cycle costs two passes, and counts one."""

    passes_per_cycle = 2

    @property
    def passes(self) -> int:
        return self.cycle


TURN = count()

ITEMS = subject_of("popularity", {}).split.n_items


def solve(config: Broken, train: InteractionMatrix, device: torch.device) -> dict[str, torch.Tensor]:
    counts = torch.from_numpy(train.item_counts()).float()
    return {"counts": counts + (next(TURN) if config.how == "random" else 0)}


def load(config: Broken, n_items: int, state: Any, device: Any = "cpu") -> Model:
    counts = state.get("counts")
    fits = counts is not None and (
        config.how == "loads others"
        or (
            (n_items == ITEMS if config.how == "loads other shapes" else counts.shape == (n_items,))
            and (config.how == "loads other types" or counts.dtype == torch.float32)
        )
    )
    if not fits:
        raise CheckpointError("it does not fit")
    return Model(config.how, state["counts"] * (2 if config.how == "loaded" and len(state) == 1 else 1))


def entry_of(how: str) -> Entry:
    def memory(_: Broken, train: InteractionMatrix) -> tuple[int, int]:
        return 9999, 10**7 if how == "memory" else 4 * train.n_items

    made = closed_form(Broken, solve, load, memory)

    def train(*arguments: Any, **given: Any) -> Any:
        trainer: Any = made.train(*arguments, **given)
        kept = trainer.state_dict, trainer.model_state, trainer.load_state_dict
        if how == "passes":
            trainer.__class__ = Miscounting
        if how == "alias":
            step = trainer.step
            trainer.step = lambda: (step(), trainer.model.counts.add_(1.0))[0]
            trainer.model_state = lambda: {"counts": trainer.model.counts}
        if how == "loaded":
            trainer.model_state = lambda: {"counts": kept[1]()["counts"] + 1.0}
        if how == "forgets":
            trainer.state_dict = lambda: kept[0]() | {"counts": kept[0]()["counts"] * 0 + next(TURN)}
        if how == "takes all":
            trainer.load_state_dict = lambda state: kept[2](state) if state else None
        return trainer

    space = {"parameters": {"scale": {"type": "int", "low": 0 if how == "space" else 1, "high": 9}}}
    return made._replace(train=train, space=space)


BREAKS = {
    "passes": {"every_step_is_a_cycle"},
    "nan": {"scores_are_finite_float32_for_every_item", "every_step_is_a_cycle"},
    "double": {"scores_are_finite_float32_for_every_item"},
    "company": {"scores_do_not_depend_on_the_batch"},
    "loaded": {"what_is_loaded_scores_like_what_was_trained"},
    "random": {"the_seed_decides_everything", "a_restored_training_continues_bit_for_bit"},
    "forgets": {"a_restored_training_continues_bit_for_bit", "the_seed_decides_everything"},
    "alias": {"a_state_is_not_changed_by_further_training"},
    "takes all": {"a_state_that_does_not_fit_is_refused"},
    "loads others": {"a_model_that_does_not_fit_is_refused"},
    "loads other types": {"a_model_that_does_not_fit_is_refused"},
    "loads other shapes": {"a_model_that_does_not_fit_is_refused"},
    "memory": {"its_memory_is_estimated"},
    "space": {"its_search_space_fits"},
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_promise_is_found(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._MODELS, "broken", entry_of(how))
    subject = subject_of("broken", {"how": how})
    found = set()
    for check in CHECKS:
        try:
            check(subject)
        except Exception:
            found.add(check.__name__)
    assert found & BREAKS[how], found
    monkeypatch.setitem(registry._MODELS, "broken", entry_of(""))
    whole = subject_of("broken", {"how": ""})
    for check in CHECKS:
        check(whole)


def test_each_check_is_broken_by_something() -> None:
    # JSON is the one that a dataclass can hardly break: it is held below.
    assert set().union(*BREAKS.values()) | {"a_configuration_survives_json"} == {
        check.__name__ for check in CHECKS
    }


def test_a_configuration_that_changes_on_its_way_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "config_to_dict", lambda _: {"regularization": 1.0})
    with pytest.raises(BrokenPromiseError, match="it is another one afterwards"):
        testing.a_configuration_survives_json(subject_of("ease", {}))


def test_it_tells_each_promise_and_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["popularity"]) == 0
    assert "12 of 12 promises are kept" in capsys.readouterr().out
    monkeypatch.setitem(registry._MODELS, "broken", entry_of("company"))
    assert main(["broken", "--set", "how=company"]) == 1
    told = capsys.readouterr().out
    assert "BROKEN  scores do not depend on the batch: alone and in a batch a user's scores differ" in told
    assert "11 of 12 promises are kept" in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobodys"], "there is no model 'nobodys'"),
        (["ease", "--set", "regularization=-1"], "regularization"),
        (["ease", "--set"], "after the model there is only --set"),
        (["ease", "--sets", "a=1"], "after the model there is only --set"),
        (["no_such_package:entry"], "cannot be imported"),
    ],
)
def test_what_is_asked_for_wrongly_is_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_it_is_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "distrecvae.testing"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=HANGS_AFTER_S,
    )  # fmt: skip
    assert done.returncode == 2
    assert "python -m distrecvae.testing package.module:entry" in done.stdout


def test_a_subject_of_wrong_settings_is_refused() -> None:
    with pytest.raises(ConfigError):
        subject_of("ease", {"regularization": -1})
