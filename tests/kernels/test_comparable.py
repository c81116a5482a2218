"""Scores made comparable: each rule against a naive float64 re-implementation, and what all rules promise."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch

from distrecvae.kernels.comparable import FLAT, RANK_OFFSET, RULES

Matrix = npt.NDArray[np.float64]


def naive(rule: str, scores: Matrix, seen: npt.NDArray[np.bool_]) -> Matrix:
    """Return comparable scores, user by user, in float64, as the formulas are written."""
    made = np.zeros_like(scores)
    for user, (row, has) in enumerate(zip(scores, seen, strict=True)):
        unseen = row[~has]
        if rule == "standardized":
            made[user] = (row - unseen.mean()) / math.sqrt(((unseen - unseen.mean()) ** 2).mean())
        elif rule == "log-softmax":
            made[user] = row - math.log(sum(math.exp(value) for value in unseen))
        else:
            order = sorted(
                range(row.size), key=lambda item: (has[item], -row[item] if not has[item] else 0, item)
            )
            for place, item in enumerate(order, 1):
                made[user, item] = 1 / (60 + place)
    return made


def users(n_users: int = 7, n_items: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(3)
    scores = random.normal(5, 2, (n_users, n_items)).round(1)  # rounded: some are equal
    seen = random.random((n_users, n_items)) < 0.2
    scores[seen] += 30  # what a user has, models like to score high: it must not move the others
    return torch.from_numpy(scores).float(), torch.from_numpy(seen)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_its_formula_over_the_unseen_items(rule: str) -> None:
    scores, seen = users()
    expected = naive(rule, scores.double().numpy(), seen.numpy())
    found = RULES[rule](scores, seen)
    assert found.dtype == torch.float32
    unseen = ~seen.numpy()
    # float32: seven digits, of values below 40.
    np.testing.assert_allclose(found.numpy()[unseen], expected[unseen], atol=2e-5)
    if rule != "ranks":
        np.testing.assert_allclose(found.numpy(), expected, atol=2e-5)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_keeps_the_order_of_the_unseen_items(rule: str) -> None:
    scores, seen = users()
    found = RULES[rule](scores, seen).numpy()
    for row, made, has in zip(scores.numpy(), found, seen.numpy(), strict=True):
        order = np.argsort(-row[~has], kind="stable")
        assert (np.diff(made[~has][order]) <= 1e-6).all()


@pytest.mark.parametrize("rule", ["standardized", "ranks"])
def test_unit_and_offset_of_a_models_scores_do_not_matter(rule: str) -> None:
    scores, seen = users()
    np.testing.assert_allclose(
        RULES[rule](scores * 8 - 64, seen).numpy(), RULES[rule](scores, seen).numpy(), atol=2e-5
    )


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("level", [0.0, 3.0, 1e-30, -7e5])
def test_a_user_whose_scores_are_all_the_same_gets_finite_scores(rule: str, level: float) -> None:
    scores = torch.full((2, 50), level)
    seen = torch.zeros(2, 50, dtype=torch.bool)
    seen[1, :49] = True
    made = RULES[rule](scores, seen)
    assert torch.isfinite(made).all()
    if rule == "standardized":
        assert not made.any()  # and not rounding of the mean, blown up to a deviation of 1


def test_rounding_is_no_taste_but_small_differences_are() -> None:
    seen = torch.zeros(1, 1000, dtype=torch.bool)
    rounding = torch.full((1, 1000), 1.0) + 1e-7 * (torch.arange(1000) % 2)
    assert not RULES["standardized"](rounding, seen).any()
    small = torch.full((1, 1000), 1.0) + 100 * FLAT * (torch.arange(1000) % 2)
    assert RULES["standardized"](small, seen).abs().min() > 0.9


@pytest.mark.parametrize("rule", RULES)
def test_a_user_who_has_everything_or_nothing_gets_finite_scores(rule: str) -> None:
    scores, _ = users()
    for value in (False, True):
        seen = torch.full(scores.shape, value)
        assert torch.isfinite(RULES[rule](scores, seen)).all()


@pytest.mark.parametrize("rule", RULES)
def test_a_users_scores_do_not_depend_on_who_else_is_there(rule: str) -> None:
    scores, seen = users()
    together = RULES[rule](scores, seen)
    torch.testing.assert_close(RULES[rule](scores[2:3], seen[2:3]), together[2:3])


def test_ranks_start_at_the_published_offset_and_end_with_what_is_seen() -> None:
    assert RANK_OFFSET == 60
    made = RULES["ranks"](torch.tensor([[1.0, 9.0, 1.0, 5.0]]), torch.tensor([[False, True, False, False]]))
    expected = [1 / 62, 1 / 64, 1 / 63, 1 / 61]
    np.testing.assert_allclose(made[0].numpy(), expected, rtol=1e-6)
