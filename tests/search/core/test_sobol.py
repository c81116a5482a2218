"""Quasi-random points without a state: trial n gets point n of one scrambled Sobol sequence, whoever asks and when."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import qmc

from distrecvae.rng import stream
from distrecvae.search.core.optuna_internals import stored_id
from distrecvae.search.core.samplers import make_sampler
from distrecvae.search.core.sobol import SobolSampler, at_quantile
from tests.search.core.suggested import suggest

SEED = 11


def point(study: optuna.Study, dimensions: int) -> list[float]:
    """Return the next trial's point in the unit cube."""
    trial = study.ask()
    return [trial.suggest_float(f"p{i}", 0, 1) for i in range(dimensions)]


class TestSobol:
    def test_points_fill_the_square_evenly(self) -> None:
        """The first 16 points put one into each cell of a 4 x 4 grid: what random points do once in a
        million."""
        study = optuna.create_study()
        cells = set()
        for number in range(16):
            study.sampler = make_sampler("qmc", seed=SEED, trial_number=number)
            trial = study.ask()
            cells.add((int(trial.suggest_float("x", 0, 4)), int(trial.suggest_float("y", 0, 4))))
        assert len(cells) == 16

    def test_a_suggestion_cut_short_and_taken_up_again_is_the_same(self) -> None:
        study = optuna.create_study(sampler=make_sampler("qmc", seed=SEED, trial_number=0))
        whole = suggest(study.ask())
        study = optuna.create_study(sampler=make_sampler("qmc", seed=SEED, trial_number=0))
        cut = study.ask()
        cut.suggest_float("x", 0, 1)
        study.sampler = make_sampler("qmc", seed=SEED, trial_number=0)
        assert suggest(optuna.trial.Trial(study, stored_id(cut))) == whole

    def test_any_number_of_parameters(self) -> None:
        study = optuna.create_study(sampler=make_sampler("qmc", seed=SEED, trial_number=0))
        trial = study.ask()
        values = [trial.suggest_float(f"p{i}", 0, 1) for i in range(140)]
        assert len(set(values)) == 140

    @pytest.mark.parametrize(
        ("distribution", "quantiles"),
        [
            (FloatDistribution(2, 4), {0.0: 2.0, 0.5: 3.0}),
            (FloatDistribution(1e-4, 1, log=True), {0.0: 1e-4, 0.5: 1e-2}),
            (FloatDistribution(0, 1, step=0.25), {0.0: 0.0, 0.19: 0.0, 0.21: 0.25, 0.99: 1.0}),
            (IntDistribution(1, 5), {0.0: 1, 0.19: 1, 0.21: 2, 0.999: 5}),
            (IntDistribution(50, 400, step=50), {0.0: 50, 0.13: 100, 0.999: 400}),
            (IntDistribution(1, 1000, log=True), {0.0: 1, 0.09: 1, 0.1: 1, 0.9999: 1000}),
            (CategoricalDistribution(("a", "b", "c")), {0.0: "a", 0.34: "b", 0.999: "c"}),
        ],
    )
    def test_quantiles(self, distribution: Any, quantiles: dict[float, Any]) -> None:
        for u, value in quantiles.items():
            got = at_quantile(distribution, u)
            assert type(got) is type(value)
            assert got == (pytest.approx(value) if isinstance(value, float) else value)

    def test_never_leaves_the_range(self) -> None:
        for distribution in (FloatDistribution(1e-4, 2e-3, log=True), IntDistribution(3, 700, log=True)):
            values = [at_quantile(distribution, u) for u in np.nextafter([0.0, 1.0], [1.0, 0.0]).tolist()]
            assert values == [pytest.approx(distribution.low), pytest.approx(distribution.high)]
            assert all(distribution.low <= value <= distribution.high for value in values)

    def test_points_are_scipys(self) -> None:
        """Point n of the sequence of 128 dimensions, of which a space takes the first: it may grow and keep them."""
        expected = qmc.Sobol(128, scramble=True, seed=np.random.default_rng(SEED)).random(8)
        for dimensions in (1, 3, 128):
            study = optuna.create_study(sampler=SobolSampler(SEED))
            found = [point(study, dimensions) for _ in range(8)]
            assert found == expected[:, :dimensions].tolist()

    def test_one_sampler_for_all_trials_or_one_for_each_is_the_same(self) -> None:
        one, each = optuna.create_study(sampler=SobolSampler(SEED)), optuna.create_study()
        for _ in range(5):
            each.sampler = SobolSampler(SEED)
            assert suggest(one.ask()) == suggest(each.ask())

    def test_trials_asked_at_once_keep_their_own_points(self) -> None:
        study = optuna.create_study(sampler=SobolSampler(SEED))
        first, second = study.ask(), study.ask()
        found: dict[str, list[float]] = {"first": [], "second": []}
        for name in ("p0", "p1"):  # in turns
            found["second"].append(second.suggest_float(name, 0, 1))
            found["first"].append(first.suggest_float(name, 0, 1))
        again = optuna.create_study(sampler=SobolSampler(SEED))
        assert [found["first"], found["second"]] == [point(again, 2), point(again, 2)]

    def test_seeds_differ_in_every_coordinate(self) -> None:
        one, other = (point(optuna.create_study(sampler=SobolSampler(seed)), 140) for seed in (1, 2))
        assert all(a != b for a, b in zip(one, other, strict=True))

    def test_what_is_beyond_the_sequence_is_drawn_for_the_trial_and_the_coordinate(self) -> None:
        study = optuna.create_study(sampler=SobolSampler(SEED))
        for number in range(2):
            beyond = point(study, 131)[128:]
            assert beyond == [
                float(stream(SEED, number, coordinate).random()) for coordinate in (128, 129, 130)
            ]

    def test_given_values_take_their_coordinate(self) -> None:
        """A point that is given in part leaves the rest where it was."""
        study = optuna.create_study(sampler=SobolSampler(SEED))
        study.enqueue_trial({"p0": 0.5})
        expected = point(optuna.create_study(sampler=SobolSampler(SEED)), 3)
        assert point(study, 3) == [0.5, *expected[1:]]

    def test_no_finished_trial_is_looked_at(self) -> None:
        """Optuna's own draws at random what was not in the first finished one."""
        study = optuna.create_study(sampler=SobolSampler(SEED))
        trial = study.ask()
        study.tell(trial, trial.suggest_float("other", 0, 1))
        fresh = optuna.create_study(sampler=SobolSampler(SEED))
        fresh.ask()
        assert point(study, 2) == point(fresh, 2)

    @pytest.mark.parametrize(
        "distribution",
        [
            IntDistribution(3, 9),
            IntDistribution(10, 50, step=10),
            FloatDistribution(0.5, 2.0, step=0.25),
            CategoricalDistribution(("a", "b", "c", "d", "e")),
        ],
    )
    def test_every_value_has_an_equal_part(self, distribution: BaseDistribution) -> None:
        n = 5040
        values = [at_quantile(distribution, (i + 0.5) / n) for i in range(n)]
        counts = [values.count(value) for value in dict.fromkeys(values)]
        expected = {"IntDistribution": (7, 5), "FloatDistribution": (7,), "CategoricalDistribution": (5,)}
        assert len(counts) in expected[type(distribution).__name__]
        assert max(counts) - min(counts) <= 1

    def test_a_whole_number_of_a_logarithm_takes_from_a_half_below_to_a_half_above(self) -> None:
        distribution = IntDistribution(1, 4, log=True)
        n = 20_000
        values = [at_quantile(distribution, (i + 0.5) / n) for i in range(n)]
        assert values == sorted(values)
        for whole in (1, 2, 3, 4):
            part = math.log((whole + 0.5) / (whole - 0.5)) / math.log(4.5 / 0.5)
            assert values.count(whole) == pytest.approx(n * part, abs=1)

    def test_what_optuna_does_not_suggest_is_refused(self) -> None:
        with pytest.raises(TypeError, match=r"^'uniform' is not a distribution of Optuna's suggest methods$"):
            at_quantile("uniform", 0.5)  # type: ignore[arg-type]
