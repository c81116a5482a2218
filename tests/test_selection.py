"""The expected score of a chosen model: the luck of the choice is taken out of it, on trials whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from distrecvae.metrics import Float64Array
from distrecvae.selection import FEWEST, ExpectedScore, expected_of_chosen, fitted

N_USERS = 400


def one_search(
    random: np.random.Generator, n_trials: int, spread: float
) -> tuple[ExpectedScore, float, float]:
    """Return what is expected of the best of so many trials, its score, and its true one."""
    true = 0.4 + spread * random.standard_normal(n_trials)
    weak = random.random(n_trials) < 0.4  # stopped early
    true -= weak * 0.1 * random.random(n_trials)
    hard = random.normal(0.0, 0.15, N_USERS)  # for all models: no model is chosen for it
    users = true[:, None] + hard + random.normal(0.0, 0.12, (n_trials, N_USERS))
    scores = users.mean(axis=1)
    order = np.argsort(-scores)
    best = order[0]
    error = float(users[best].std(ddof=1) / np.sqrt(N_USERS))
    found = expected_of_chosen(scores.tolist(), [users[k] for k in order[:3]], float(scores[best]), error)
    assert found is not None
    return found, float(scores[best]), float(true[best])


@pytest.mark.parametrize("n_trials", [12, 48])
@pytest.mark.parametrize("spread", [0.002, 0.006, 0.02], ids=["luck decides", "both do", "worth decides"])
def test_the_bias_of_the_choice_is_removed(n_trials: int, spread: float) -> None:
    random = np.random.default_rng(7)
    naive, corrected, held = [], [], []
    for _ in range(300):
        found, score, true = one_search(random, n_trials, spread)
        naive.append(score - true)
        corrected.append(found.mean - true)
        held.append(abs(found.mean - true) <= 1.96 * found.standard_error)
    # Means of 300 are known to 0.0005. The validation score flatters by 0.002 (where worth decides) to 0.012.
    assert np.mean(naive) > 0.0015
    assert abs(float(np.mean(corrected))) <= max(0.0015, 0.3 * float(np.mean(naive)))
    assert np.mean(held) >= 0.88, "of 95 % intervals, but for what 12 scores do not tell of how they lie"


def users_of(*means: float, luck: float = 0.1, n_users: int = 100) -> list[Float64Array]:
    """Return values with these means; those of every second model differ from the others' by so much luck."""
    signs = np.where(np.arange(n_users) % 2 == 0, 1.0, -1.0)
    return [mean + (luck * signs if place % 2 else 0.0 * signs) for place, mean in enumerate(means)]


def test_models_that_every_user_sees_alike_were_not_chosen_by_luck() -> None:
    users = users_of(0.30, 0.29, luck=0.0)
    found = expected_of_chosen([0.3, 0.29, 0.2, 0.2, 0.1, 0.1], users, 0.3, 0.01)
    assert found is not None
    assert found.mean == pytest.approx(0.3)
    assert found.standard_error == pytest.approx(0.01)
    assert found.luck == pytest.approx(0.0, abs=1e-9)


def test_where_all_is_luck_the_best_is_worth_what_the_others_are() -> None:
    scores = [0.300, 0.299, 0.298, 0.297, 0.296, 0.295, 0.294, 0.293]
    found = expected_of_chosen(scores, users_of(0.300, 0.299, luck=1.0), 0.300, 0.1)
    assert found is not None
    assert found.mean == pytest.approx(fitted(scores)[0])
    assert found.luck == pytest.approx(np.sqrt(1.0 / 2 / 99), rel=1e-6), "half of a difference's variance"
    assert (found.models, found.chosen_from) == (2, 8)


def test_too_few_scores_models_or_users_tell_nothing() -> None:
    scores = [0.3, 0.29, 0.28, 0.27, 0.26, 0.25]
    two = users_of(0.3, 0.29)
    assert len(scores) == FEWEST
    assert expected_of_chosen(scores, two, 0.3, 0.01) is not None
    assert expected_of_chosen(scores[:-1], two, 0.3, 0.01) is None
    assert expected_of_chosen(scores, two[:1], 0.3, 0.01) is None
    assert expected_of_chosen(scores, [each[:1] for each in two], 0.3, 0.01) is None


def test_a_normal_sample_is_fitted_by_its_best_alone() -> None:
    scores = np.random.default_rng(0).normal(0.3, 0.02, 5000)
    scores[scores < 0.3] -= 1.0
    mean, deviation = fitted(scores.tolist())
    assert mean == pytest.approx(0.3, abs=0.002)
    assert deviation == pytest.approx(0.02, rel=0.05)
