"""SLIM: all stages against scikit-learn's elastic net, and against the conditions of a minimum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import ConfigError, DivergedError
from distrecvae.kernels import active_sets
from distrecvae.kernels.item_weights import gram_matrix
from distrecvae.models import slim
from distrecvae.models.slim import SLIMConfig, descend, elastic_nets, load_slim, solve_slim
from tests.kernels.elastic_nets import as_matrix, assert_minimum, scikit_learns, twins
from tests.kernels.random_users import dense, random_users

CONFIGS = [SLIMConfig(l1=1.0, l2=5.0), SLIMConfig(l1=0.2, l2=0.5), SLIMConfig(l1=8.0, l2=40.0)]
Solver = Callable[[torch.Tensor, SLIMConfig, float], torch.Tensor]


def by_all_stages(gram: torch.Tensor, config: SLIMConfig, tolerance: float) -> torch.Tensor:
    return as_matrix(elastic_nets(gram, config, tolerance), len(gram))


def unit_rows(n_items: int) -> InteractionMatrix:
    """Return a user for each item, who has that one: scores are the weights."""
    return InteractionMatrix.from_pairs(range(n_items), range(n_items), n_users=n_items, n_items=n_items)


def weights_of(config: SLIMConfig, train: InteractionMatrix) -> torch.Tensor:
    """Return the dense weights of a model as it is stored and loaded."""
    return load_slim(config, train.n_items, solve_slim(config, train)).score(unit_rows(train.n_items))


SOLVERS: list[Solver] = [descend, by_all_stages]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_weights_are_scikit_learns(config: SLIMConfig, solver: Solver) -> None:
    train = random_users(n_users=150, n_items=30)
    weight = solver(gram_matrix(train, torch.float64, "cpu"), config, 1e-10)
    np.testing.assert_allclose(weight.numpy(), scikit_learns(dense(train), config.l1, config.l2), atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("n_items", [30, 150])
def test_weights_fulfil_the_conditions_of_a_minimum(config: SLIMConfig, n_items: int, solver: Solver) -> None:
    train = random_users(n_users=200, n_items=n_items)
    gram = gram_matrix(train, torch.float64, "cpu")
    assert_minimum(solver(gram, config, 1e-9), gram, config.l1, config.l2)


@pytest.mark.parametrize(
    ("limit", "descent_least", "rounds", "swept"),
    [(3, 0, 40, True), (3, 1000, 40, False), (400, 0, 1, True), (400, 1000, 2, True)],
    ids=["large sets swept", "few large sets", "unfinished", "unfinished twice"],
)
def test_what_active_sets_leave_is_solved_all_the_same(
    limit: int, descent_least: int, rounds: int, swept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps = []
    sweep = slim._sweep

    def counted(
        gram: torch.Tensor, weight: torch.Tensor, items: torch.Tensor, config: SLIMConfig
    ) -> torch.Tensor:
        sweeps.append(items.numel())
        return sweep(gram, weight, items, config)

    monkeypatch.setattr(slim, "_sweep", counted)
    monkeypatch.setattr(slim, "LIMIT", limit)
    monkeypatch.setattr(slim, "DESCENT_LEAST", descent_least)
    monkeypatch.setattr(slim, "BATCH_ITEMS", 20)
    monkeypatch.setattr(slim, "DESCENT_ITEMS", 50)
    monkeypatch.setattr(active_sets, "TAKEN_IN", 4)
    monkeypatch.setattr(active_sets, "MAX_ROUNDS", rounds)
    gram = gram_matrix(random_users(n_users=200, n_items=150), torch.float64, "cpu")
    shares: list[float] = []
    weight = as_matrix(elastic_nets(gram, CONFIGS[0], 1e-9, shares.append), 150)
    assert_minimum(weight, gram, CONFIGS[0].l1, CONFIGS[0].l2)
    assert bool(sweeps) == swept
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_systems_that_are_singular_are_solved_by_coordinate_descent() -> None:
    gram, config = gram_matrix(twins(), torch.float64, "cpu"), SLIMConfig(l1=0.5, l2=0)
    assert_minimum(as_matrix(elastic_nets(gram, config, 1e-9), 40), gram, config.l1, config.l2)


def test_the_number_of_threads_changes_no_bit() -> None:
    gram = gram_matrix(random_users(n_users=400, n_items=300), torch.float32, "cpu")
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(by_all_stages(gram, CONFIGS[1], 1e-4))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


def test_in_float32_they_are_the_same_to_the_tolerance() -> None:
    train = random_users(n_users=400, n_items=150)
    exact = descend(gram_matrix(train, torch.float64, "cpu"), CONFIGS[0], tolerance=1e-10)
    for weight in (
        weights_of(CONFIGS[0], train),
        descend(gram_matrix(train, torch.float32, "cpu"), CONFIGS[0]),
    ):
        assert weight.dtype == torch.float32
        assert (weight - exact).abs().max() < 5 * slim.TOLERANCE * exact.max()


def test_an_item_of_nobody_has_no_weights_even_without_regularization() -> None:
    train = InteractionMatrix.from_pairs([0, 0, 1], [0, 1, 1], n_users=2, n_items=3)
    weight = weights_of(SLIMConfig(l1=0, l2=0), train)
    assert torch.isfinite(weight).all()
    assert not weight[2].any()
    assert not weight[:, 2].any()


def test_what_does_not_converge_is_not_passed_off_as_a_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slim, "MAX_SWEEPS", 2)
    gram = gram_matrix(random_users(n_users=150, n_items=30), torch.float32, "cpu")
    with pytest.raises(DivergedError, match=r"still changed after 2 sweeps; raise l2 or l1"):
        descend(gram, SLIMConfig(l1=0.01, l2=0.01))


def test_what_breaks_a_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match="l1 is -1; it must be a finite number at least 0"):
        SLIMConfig(l1=-1)
    with pytest.raises(ConfigError, match="l2 is nan"):
        SLIMConfig(l2=float("nan"))
