"""Two models over the same users: the textbook's error, its paired test, and the cases that say nothing."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import special, stats

from distrecvae.paired import (
    Gain,
    effect_size,
    interval,
    paired_gain,
    users_in_words,
    users_to_tell,
    what_users_tell,
)


def test_mean_error_and_p_are_the_textbooks() -> None:
    best, other = np.random.default_rng(0).random((2, 500))
    found = paired_gain(best, other)
    differences = [float(a) - float(b) for a, b in zip(best, other, strict=True)]
    mean = math.fsum(differences) / 500
    error = math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / 499) / math.sqrt(500)
    # The t-distribution's two tails by the incomplete beta function, Abramowitz and Stegun 26.7.1.
    t = mean / error
    p_value = special.betainc(499 / 2, 1 / 2, 499 / (499 + t * t))
    assert found.mean == pytest.approx(mean)
    assert found.standard_error == pytest.approx(error)
    assert found.p_value == pytest.approx(p_value)
    turned = paired_gain(other, best)
    assert (turned.mean, turned.p_value) == pytest.approx((-found.mean, found.p_value))


def test_equal_values_are_no_gain_and_no_chance_gives_less() -> None:
    values = np.array([0.5, 0.25, 0.0])
    assert paired_gain(values, values.copy()) == Gain(0.0, 0.0, 1.0)


def test_a_gain_that_is_the_same_for_every_user_is_no_chance() -> None:
    values = np.array([0.5, 0.25, 0.0])
    assert paired_gain(values + 0.25, values) == Gain(0.25, 0.0, 0.0)
    rounded = paired_gain(values + 0.1, values)  # the differences differ in their last bits
    assert rounded.mean == pytest.approx(0.1)
    assert rounded.p_value < 1e-20


def test_a_single_user_tells_nothing_of_others_and_none_nothing_at_all() -> None:
    assert paired_gain(np.array([0.5]), np.array([0.25])) == Gain(0.25, 0.0, 1.0)
    none = paired_gain(np.zeros(0), np.zeros(0))
    assert math.isnan(none.mean), "a mean over no users is not a number"
    assert (none.standard_error, none.p_value) == (0.0, 1.0)


def test_two_users_are_enough_for_an_error_and_a_chance() -> None:
    found = paired_gain(np.array([0.5, 0.75]), np.array([0.25, 0.25]))
    # Differences of 1/4 and 1/2: with one degree of freedom, p is 1 - 2/pi * arctan(t), and t is 3.
    assert (found.mean, found.standard_error) == pytest.approx((0.375, 0.125))
    assert found.p_value == pytest.approx(1 - 2 / math.pi * math.atan(3))


def test_what_the_caller_wants_to_be_warned_of_stays_as_it_was() -> None:
    before = list(warnings.filters)
    paired_gain(np.array([0.5, 0.25]), np.array([0.25, 0.5]))
    assert list(warnings.filters) == before


def test_what_is_not_a_number_is_not_hidden() -> None:
    found = paired_gain(np.array([0.5, math.nan, 0.25]), np.array([0.25, 0.0, 0.5]))
    assert all(math.isnan(value) for value in (found.mean, found.standard_error, found.p_value))


# --- what the users can tell


def test_an_interval_leaves_out_zero_where_the_paired_test_says_so_and_is_scipys() -> None:
    draws = np.random.default_rng(3)
    for shift in (0.0, 0.02, 0.05, 0.2):
        best, other = draws.random((2, 40))
        best = best + shift
        gain = paired_gain(best, other)
        low, high = interval(gain.mean, gain.standard_error, 40)
        assert (low > 0 or high < 0) == (gain.p_value < 0.05)
        theirs = stats.ttest_rel(best, other).confidence_interval(0.95)
        assert (low, high) == pytest.approx((theirs.low, theirs.high))


def test_so_many_users_show_a_gain_of_that_size_four_times_in_five() -> None:
    # By drawing them: the share of experiments with so many users whose paired test finds the gain.
    draws = np.random.default_rng(5)
    error = 1.0 / math.sqrt(50)
    needed = math.ceil(users_to_tell(0.2, error, 50))
    samples = draws.normal(0.2, 1.0, (4000, needed))
    found = stats.ttest_1samp(samples, 0.0, axis=1).pvalue < 0.05
    # The standard error of that share is 0.0063; four of them.
    assert np.mean(found) == pytest.approx(0.8, abs=0.025)


def test_users_that_cannot_tell_are_no_evidence_that_two_models_are_the_same() -> None:
    # It said "The published configuration is as good a choice" of this: a tester's search on 200 test users.
    said = what_users_tell(0.0068, 0.0071, 200)
    assert said == (
        "These 200 test users cannot tell the two apart: the gain is between -0.0072 and +0.0208 (95% interval)."
        " To show one as large as measured takes about 1,800 users."
    )
    assert "as good" not in said


def test_a_gain_and_a_loss_beyond_chance_are_told_from_each_other() -> None:
    assert what_users_tell(0.03, 0.01, 100) == (
        "That is a gain beyond chance, between +0.0102 and +0.0498 (95% interval)."
    )
    assert what_users_tell(-0.03, 0.01, 100).startswith(
        "That is a loss beyond chance, between -0.0498 and -0.0102"
    )


def test_few_users_have_wide_intervals() -> None:
    # Twice the standard error is no evidence with four users: Student's t for three degrees of freedom is 3.18.
    assert "cannot tell" in what_users_tell(0.021, 0.01, 4)
    assert what_users_tell(0.021, 0.01, 1) == "A single test user tells nothing of others."
    assert interval(0.5, 0.0, 1) == (-math.inf, math.inf)


def test_no_number_of_users_shows_a_gain_of_nothing() -> None:
    assert users_to_tell(0.0, 0.1, 10) == math.inf
    assert what_users_tell(0.0, 0.01, 100).endswith("(95% interval).")
    assert "more than 1,000,000 users" in what_users_tell(1e-7, 0.01, 100)


@pytest.mark.parametrize(
    ("number", "said"),
    [(9.2, "about 10 users"), (87.1, "about 88 users"), (1711.0, "about 1,800 users"),
     (171_100.0, "about 180,000 users"), (2e6, "more than 1,000,000 users"), (math.inf, "more than 1,000,000 users")],
)  # fmt: skip
def test_numbers_of_users_are_rounded_up_to_two_digits(number: float, said: str) -> None:
    assert users_in_words(number) == said


def test_an_effect_is_the_mean_gain_in_deviations_and_does_not_grow_with_users() -> None:
    gains = np.random.default_rng(4).normal(0.3, 1.0, size=4000)
    for n_users in (100, 4000):
        part = gains[:n_users]
        size = effect_size(float(part.mean()), float(stats.sem(part)), n_users)
        assert size == pytest.approx(part.mean() / part.std(ddof=1))
    assert effect_size(0.0, 0.0, 5) == 0.0
    assert math.isnan(effect_size(0.5, 0.0, 5)), "all gain the same: no deviation to measure by"
    assert math.isnan(effect_size(0.5, 0.1, 1))
