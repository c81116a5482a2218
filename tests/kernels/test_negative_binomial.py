"""Negative-binomial cells: likelihoods against SciPy, gradients against float64's autograd, extremes against limits."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom

from distrecvae.kernels.negative_binomial import (
    Head,
    NegativeBinomial,
    OneLoss,
    counted,
    log_mean,
    log_rate,
    occurred,
)
from distrecvae.kernels.sparse import SparseRows
from tests.kernels.test_multinomial import random_parts
from tests.kernels.test_sparse import random_matrix

A = torch.linspace(-6, 3, 19, dtype=torch.float64)[:, None].expand(19, 21)
B = torch.linspace(-8, 5, 21, dtype=torch.float64)[None, :].expand(19, 21)
R, P = A.exp().numpy(), torch.sigmoid(B).numpy()
"""SciPy's p is the chance of a success that ends the run: 1 - P here."""


def true_loss(name: str, a: torch.Tensor, b: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return -log P of all cells from the definitions, for autograd, where nothing under- or overflows."""
    r, p = a.exp(), torch.sigmoid(b)
    zero = (1 - p) ** r
    one = 1 - zero if name == "bernoulli" else r * p * zero
    return -torch.where(x > 0, one, zero).log()


ONE_LOSSES: dict[str, OneLoss] = {"bernoulli": occurred, "negative_binomial": counted}
every_likelihood = pytest.mark.parametrize("name", ONE_LOSSES)


def test_a_count_of_one_has_scipys_probability() -> None:
    loss, _, _ = counted(A, B)
    np.testing.assert_allclose(-loss.numpy(), nbinom.logpmf(1, R, 1 - P), rtol=1e-9, atol=1e-11)


def test_a_positive_count_has_scipys_probability() -> None:
    loss, _, _ = occurred(A, B)
    # sf is 1 - pmf(0) without its cancellation.
    np.testing.assert_allclose((-loss).exp().numpy(), nbinom.sf(0, R, 1 - P), rtol=1e-9)
    np.testing.assert_allclose((-loss).exp().numpy(), 1 - nbinom.pmf(0, R, 1 - P), rtol=0, atol=1e-13)


@every_likelihood
def test_a_row_of_zeros_has_scipys_probability(name: str) -> None:
    nothing = SparseRows(torch.zeros(2, dtype=torch.int64), torch.zeros(0, dtype=torch.int32), A.numel())
    code = torch.ones(1, 1, dtype=torch.float64)
    heads = [Head(code, logits.reshape(-1, 1), torch.zeros(A.numel()).double()) for logits in (A, B)]
    loss = NegativeBinomial(ONE_LOSSES[name]).loss_and_gradients(nothing, (heads[0], heads[1]))
    assert float(-loss) == pytest.approx(np.sum(nbinom.logpmf(0, R, 1 - P)), rel=1e-9)


@every_likelihood
def test_derivatives_of_a_one_are_autograds(name: str) -> None:
    a, b = (logits.clone().requires_grad_() for logits in (A, B))
    loss, *derivatives = ONE_LOSSES[name](A, B)
    expected = true_loss(name, a, b, torch.ones_like(A))
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-7, atol=1e-9)
    for found, true in zip(derivatives, torch.autograd.grad(expected.sum(), [a, b]), strict=True):
        torch.testing.assert_close(found, true, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_likelihood
def test_extreme_logits_give_finite_numbers_that_are_right(name: str, dtype: torch.dtype) -> None:
    grid = torch.tensor([-80.0, -50.0, -20.5, -19.5, -1.0, 0.0, 1.0, 39.0, 41.0, 80.0], dtype=dtype)
    a, b = (part.flatten() for part in torch.meshgrid(grid, grid, indexing="ij"))
    parts = ONE_LOSSES[name](a, b)
    for x, y, *found in zip(a.tolist(), b.tolist(), *(part.tolist() for part in parts), strict=True):
        softplus = y + math.log1p(math.exp(-y)) if y > 0 else math.log1p(math.exp(y))
        sigmoid = math.exp(-max(-y, 0)) / (1 + math.exp(-abs(y)))
        rate = math.exp(x) * softplus
        if name == "bernoulli":
            by_rate = (
                0.0 if rate > 700 else 1 / math.expm1(rate)
            )  # of exp(x), -1 / expm1(rate) the derivative
            expected = [
                -math.log(-math.expm1(-rate)),
                -rate * by_rate,
                -math.exp(x) * sigmoid * by_rate,
            ]
        else:
            log_sigmoid = y - softplus
            expected = [rate - x - log_sigmoid, rate - 1, math.exp(x) * sigmoid - 1 / (1 + math.exp(y))]
        tolerance = 1e-4 if dtype == torch.float32 else 1e-9
        assert found == pytest.approx(expected, rel=tolerance, abs=tolerance), (x, y)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_likelihood
def test_extreme_logits_leave_a_batch_finite(name: str, dtype: torch.dtype) -> None:
    grid = torch.tensor([-80.0, 0.0, 80.0], dtype=dtype)
    a, b = (part.reshape(-1, 1) for part in torch.meshgrid(grid, grid, indexing="ij"))
    rows = SparseRows(torch.tensor([0, 0, 9]), torch.arange(9, dtype=torch.int32), 9)
    code, bias = torch.ones(2, 1, dtype=dtype), torch.zeros(9, dtype=dtype)
    heads = Head(code, a, bias), Head(code, b, bias)
    gradients = tuple(Head(*(torch.full_like(part, math.nan) for part in head)) for head in heads)
    losses = NegativeBinomial(ONE_LOSSES[name]).loss_and_gradients(rows, heads, (gradients[0], gradients[1]))
    assert torch.isfinite(losses).all()
    for part in (*gradients[0], *gradients[1]):
        assert torch.isfinite(part).all()


@settings(deadline=None, max_examples=40)
@given(
    name=st.sampled_from(sorted(ONE_LOSSES)),
    seed=st.integers(0, 999),
    n_rows=st.integers(1, 9),
    n_items=st.integers(1, 40),
    items_a_block=st.integers(1, 45),
    padding=st.integers(0, 9),
)
def test_losses_and_gradients_in_any_shape_and_blocks(
    name: str, seed: int, n_rows: int, n_items: int, items_a_block: int, padding: int
) -> None:
    matrix = random_matrix(seed, n_rows, n_items)
    parts = [random_parts(seed + n, n_rows, n_items, width, scale=0.5) for n, width in enumerate((3, 4))]
    heads = Head(*parts[0]), Head(*parts[1])
    rows = SparseRows.from_matrix(matrix).take(
        torch.arange(n_rows), matrix.n_interactions + padding, padded=bool(padding)
    )
    gradients = tuple(Head(*(torch.full_like(part, math.nan) for part in head)) for head in heads)
    output = NegativeBinomial(ONE_LOSSES[name], items_a_block=items_a_block)
    losses = output.loss_and_gradients(rows, heads, (gradients[0], gradients[1]))
    copies = [part.clone().requires_grad_() for head in heads for part in head]
    a, b = (code @ weight.T + bias for code, weight, bias in (copies[:3], copies[3:]))
    x = torch.from_numpy(matrix.to_scipy().toarray()).double()
    expected = true_loss(name, a, b, x).sum(dim=1)
    torch.testing.assert_close(losses, expected.detach())
    mine = [*gradients[0], *gradients[1]]
    for found, true in zip(mine, torch.autograd.grad(expected.mean(), copies), strict=True):
        torch.testing.assert_close(found, true)


@every_likelihood
def test_bfloat16_is_the_same_but_for_rounding(name: str) -> None:
    matrix = random_matrix(2, 20, 20)
    parts = [[part.float() for part in random_parts(seed, 20, 20, 4, scale=0.5)] for seed in (2, 3)]
    heads = Head(*parts[0]), Head(*parts[1])
    results = []
    for low in (None, torch.bfloat16):
        gradients = tuple(Head(*(torch.empty_like(part) for part in head)) for head in heads)
        losses = NegativeBinomial(ONE_LOSSES[name], low).loss_and_gradients(
            SparseRows.from_matrix(matrix), heads, (gradients[0], gradients[1])
        )
        results.append([losses, *gradients[0], *gradients[1]])
    for found, true in zip(results[1], results[0], strict=True):
        assert float((found - true).norm() / true.norm()) <= 2.0**-6


@pytest.mark.parametrize(
    ("score", "ranked_by"),
    [
        (log_rate, lambda r, p: 1 - nbinom.pmf(0, r, 1 - p)),  # NBVAE_b: the chance of a one
        (
            log_mean,
            lambda r, p: r * p,
        ),  # NBVAE: the published code's predictive rate of an item that is not there
    ],
)
def test_scores_order_as_what_the_paper_ranks_by(
    score: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ranked_by: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> None:
    low = A[:10].flatten(), B[:10].flatten()  # a chance near one has no order left
    values = ranked_by(R[:10].ravel(), P[:10].ravel())
    order = np.argsort(score(*low).numpy())
    assert (np.diff(values[order]) > -1e-12).all()
    assert values[order[-1]] > 100 * values[order[0]]


def test_scores_are_finite_and_tell_extremes_apart() -> None:
    b = torch.tensor([-300.0, -200.0, -100.0, 0.0, 100.0, 1000.0])
    for score in (log_rate, log_mean):
        found = score(torch.zeros(6), b)
        assert torch.isfinite(found).all()
        assert (found.diff() >= 0).all()
    assert (log_rate(torch.zeros(6), b).diff() > 0).all()


@pytest.mark.cuda
@pytest.mark.parametrize("items_a_block", [None, 7])
@pytest.mark.parametrize("name", ONE_LOSSES)
def test_a_gpu_is_not_waited_for_and_gives_the_same(name: str, items_a_block: int | None) -> None:
    # It asked the device twice a batch where the ones are, so that no step could be recorded.
    def results(device: str, items_a_block: int | None) -> list[torch.Tensor]:
        matrix = random_matrix(4, 9, 30)
        rows = SparseRows.from_matrix(matrix, device)
        if device == "cuda":
            users = torch.arange(9, device=device)
            rows = rows.take(users, matrix.n_interactions + 5, padded=True)
        parts = [part.to(device) for seed in (4, 5) for part in random_parts(seed, 9, 30, 3)]
        out = [torch.empty_like(part) for part in parts]
        likelihood = NegativeBinomial(ONE_LOSSES[name], items_a_block=items_a_block)
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("error")
        try:
            losses = likelihood.loss_and_gradients(
                rows, (Head(*parts[:3]), Head(*parts[3:])), (Head(*out[:3]), Head(*out[3:]))
            )
        finally:
            if device == "cuda":
                torch.cuda.set_sync_debug_mode("default")
        return [part.cpu() for part in (losses, *out)]

    for one, other in zip(results("cuda", items_a_block), results("cpu", None), strict=True):
        torch.testing.assert_close(one, other)
