"""The decoder's gradients and its step: against autograd of the equation, and Adam, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.kernels.triton import PRODUCTS, assert_as_exact, error_of, lowered, needs_triton
from tests.kernels.triton.compiled import CAPABILITIES, Launch, launches_of, made_up, resources_of
from tests.kernels.triton.random_batch import RandomBatch, random_batch

pytestmark = needs_triton

SHAPES = [(37, 130, 24), (5, 31, 100), (70, 64, 16), (2, 1, 1), (3, 200, 7)]
RATE = 5e-4


def targets_of(batch: RandomBatch, scale: torch.Tensor) -> Any:
    from distrecvae.kernels.triton.adam import by_item
    from distrecvae.kernels.triton.decoder import Targets

    counts = batch.offsets.diff().float()
    return Targets(by_item(batch.items, batch.weight.shape[0]), batch.row_of, counts, scale)


def scale_of(n_rows: int) -> torch.Tensor:
    """Return what rows count, each another amount."""
    return torch.rand(n_rows, generator=torch.Generator().manual_seed(n_rows)) / n_rows


def true_gradients(batch: RandomBatch, scale: torch.Tensor) -> list[torch.Tensor]:
    """Return the gradients by weight and bias, from autograd in float64."""
    weight, bias = (part.double().requires_grad_() for part in (batch.weight, batch.bias))
    losses = -(torch.log_softmax(batch.code.double() @ weight.T + bias, 1) * batch.dense()).sum(1)
    return list(torch.autograd.grad((losses * scale).sum(), [weight, bias]))


def usual_gradients(batch: RandomBatch, scale: torch.Tensor, low: torch.dtype | None) -> list[torch.Tensor]:
    """Return them with logits in memory: products of factors rounded to `low`, what is observed in float32."""
    x = batch.dense().float()
    logits = lowered(batch.code, low) @ lowered(batch.weight, low).T + batch.bias
    pulled = logits.softmax(1) * (x.sum(1) * scale)[:, None]
    observed = (x * scale[:, None]).T
    weight = lowered(pulled, low).T @ lowered(batch.code, low) - observed @ batch.code
    return [weight, pulled.sum(0) - observed.sum(1)]


def log_totals(batch: RandomBatch, low: torch.dtype | None) -> torch.Tensor:
    """Return what a sweep finds for the decoder's step: of logits with rounded factors."""
    return (
        (lowered(batch.code, low) @ lowered(batch.weight, low).T + batch.bias).double().logsumexp(1).float()
    )


@pytest.mark.parametrize(("n_rows", "n_items", "width"), SHAPES)
@pytest.mark.parametrize(("run", "low"), PRODUCTS)
def test_gradients_are_as_exact_as_with_logits_in_memory(
    run: Callable[..., Any], low: torch.dtype | None, n_rows: int, n_items: int, width: int
) -> None:
    batch, scale = random_batch(3, n_rows, n_items, width), scale_of(n_rows)
    into = [torch.full_like(part, float("nan")) for part in (batch.weight, batch.bias)]
    arguments = (
        targets_of(batch, scale),
        batch.code,
        batch.weight,
        batch.bias,
        log_totals(batch, low),
        low,
        *into,
    )
    found = run("decoder", "decoder_gradients", *arguments)[-2:]
    for mine, usual, true in zip(
        found, usual_gradients(batch, scale, low), true_gradients(batch, scale), strict=True
    ):
        assert_as_exact(mine, usual, true, low)


@pytest.mark.parametrize(("run", "low"), PRODUCTS)
def test_what_is_observed_is_as_exact_as_in_float32(run: Callable[..., Any], low: torch.dtype | None) -> None:
    # Rows that count no interactions have no softmax in their gradient: what is left is the sparse part.
    batch, scale = random_batch(8, 37, 130, 24), scale_of(37)
    targets = targets_of(batch, scale)._replace(counts=torch.zeros(37))
    into = [torch.empty_like(part) for part in (batch.weight, batch.bias)]
    arguments = (targets, batch.code, batch.weight, batch.bias, log_totals(batch, low), low, *into)
    weight, bias = run("decoder", "decoder_gradients", *arguments)[-2:]
    x, code = batch.dense(), batch.code.double()
    observed = (x * scale.double()[:, None]).T
    assert_as_exact(weight, -(observed.float() @ batch.code), -(observed @ code))
    assert_as_exact(bias, -observed.float().sum(1), -observed.sum(1))


@pytest.mark.parametrize(("run", "low"), PRODUCTS)
def test_logits_of_two_hundred_change_nothing_and_rows_that_are_not_there_neither(
    run: Callable[..., Any], low: torch.dtype | None
) -> None:
    # A softmax does not see what is added to all logits. 2^288 is beyond float32: a row of padding would be NaN.
    batch, scale = random_batch(9, 5, 40, 7), scale_of(5)
    batch = batch._replace(bias=batch.bias + 200)
    into = [torch.empty_like(part) for part in (batch.weight, batch.bias)]
    arguments = (
        targets_of(batch, scale),
        batch.code,
        batch.weight,
        batch.bias,
        log_totals(batch, low),
        low,
        *into,
    )
    found = run("decoder", "decoder_gradients", *arguments)[-2:]
    for mine, true in zip(found, true_gradients(batch, scale), strict=True):
        # A logit of 200 has roundings of 1.5e-5, and so have the logarithms of probabilities.
        assert error_of(mine, true) <= 1e-4 + (0 if low is None else 3 * torch.finfo(low).eps)


@pytest.mark.parametrize(("n_rows", "n_items", "width"), SHAPES)
@pytest.mark.parametrize(("run", "low"), PRODUCTS)
def test_the_step_is_adams_with_these_gradients(
    run: Callable[..., Any], low: torch.dtype | None, n_rows: int, n_items: int, width: int
) -> None:
    from distrecvae.kernels.triton.adam import Moments, Rates

    batch, scale = random_batch(4, n_rows, n_items, width), scale_of(n_rows)
    targets, totals = targets_of(batch, scale), log_totals(batch, low)
    into = [torch.empty_like(part) for part in (batch.weight, batch.bias)]
    arguments = (targets, batch.code, batch.weight, batch.bias, totals, low)
    gradients = run("decoder", "decoder_gradients", *arguments, *into)[-2:]
    # Moments as they are in the middle of a training, so that a step is not merely the gradient's sign.
    moments = tuple(
        Moments(torch.tensor(9.0), gradient.flip(0) * 0.3, gradient.square() * 2 + 1e-9)
        for gradient in gradients
    )
    copy = None if low is None else torch.full_like(batch.weight, float("nan"), dtype=low)
    ran = run("decoder", "step_decoder", *arguments, moments, Rates(RATE), copy)
    weight, bias, after, copied = ran[3], ran[4], ran[7], ran[9]
    for number, (new, old) in enumerate(((weight, batch.weight), (bias, batch.bias))):
        usual, true = (
            adams_step(old, gradients[number], moments[number], dtype)
            for dtype in (torch.float32, torch.float64)
        )
        found = (new, after[number].exp_avg, after[number].exp_avg_sq)
        for mine, in_float32, truth in zip(found, usual, true, strict=True):
            assert_as_exact(mine, in_float32, truth)
        # A weight is thousands of times its step, so that the step is looked at on its own: it is as exact as the
        # roundings of a weight and of the gradient, which is as near to zero as it pleases, allow.
        step, rounding = true[0] - old, 2.0**-23 * float(old.abs().max())
        assert float((new - old - step).abs().max()) <= rounding + 1e-5 * RATE
        assert float(after[number].step) == 10
    if low is not None:
        assert torch.equal(copied, weight.to(low))


def adams_step(
    weight: torch.Tensor, gradient: torch.Tensor, moments: Any, dtype: torch.dtype
) -> list[torch.Tensor]:
    """Return the weight and both moments after PyTorch's step in `dtype`."""
    parameter = weight.to(dtype, copy=True).requires_grad_()
    parameter.grad = gradient.to(dtype)
    optimizer = torch.optim.Adam([parameter], lr=RATE)
    state = {name: value.to(dtype, copy=True) for name, value in moments._asdict().items()}
    optimizer.state[parameter] = {**state, "step": torch.tensor(float(moments.step))}
    optimizer.step()
    return [parameter.detach(), state["exp_avg"], state["exp_avg_sq"]]


def launch_at(monkeypatch: pytest.MonkeyPatch, low: torch.dtype | None, width: int) -> Launch:
    """Return the decoder's step at MovieLens-20M's shape."""
    from distrecvae.kernels.triton.adam import ByItem, Moments, Rates
    from distrecvae.kernels.triton.decoder import Targets, step_decoder

    places, n_items = (50_000,), 20_108
    found = ByItem(
        made_up((n_items + 1,), torch.int64), made_up(places, torch.int32), made_up(places, torch.int64)
    )
    row = made_up((500,))
    targets = Targets(found, made_up(places, torch.int64), row, row)
    code, weight, bias = made_up((500, width)), made_up((n_items, width)), made_up((n_items,))
    moments = Moments(made_up(()), weight, weight), Moments(made_up(()), bias, bias)
    copy = None if low is None else made_up((n_items, width), low)
    *_, launch = launches_of(
        monkeypatch, lambda: step_decoder(targets, code, weight, bias, row, low, moments, Rates(RATE), copy)
    )
    return launch


@pytest.mark.slow
@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize(
    ("low", "width"), [(torch.bfloat16, 200), (torch.bfloat16, 256), (None, 200)], ids=str
)
def test_it_compiles_without_spills(
    monkeypatch: pytest.MonkeyPatch, low: torch.dtype | None, width: int, capability: int
) -> None:
    found = resources_of(launch_at(monkeypatch, low, width), capability)
    # 255 is what a thread can have; 99 KiB is what a program can have on every GPU since Ampere.
    assert found.registers <= 255
    # At the widest a number or four, once a program: what Triton 3.7's assembler makes of it; 3.8's spills none.
    assert found.spilled_bytes <= (16 if width > 200 else 0)
    assert found.shared_bytes <= 99 << 10
    if low is None:
        assert "tf32" not in found.ptx, "float32 is float32"
    else:
        assert "mma" in found.ptx, "tensor cores multiply"
