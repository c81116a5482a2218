"""Precision of products: what bfloat16 costs is known and bounded, float32 stays float32, and `auto` trusts only what
it checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from distrecvae.kernels import precision
from distrecvae.kernels.precision import best_precision, fast_float32, linear, product, product_dtype, rounded
from distrecvae.kernels.scratch import Scratch

CPU = torch.device("cpu")
LOW = torch.bfloat16


@pytest.fixture
def fresh_checks() -> Iterator[None]:
    """Let what was found out about this machine be found out again, and forgotten afterwards."""
    checks = (precision._has_bfloat16, precision._passes_parity, precision._onednn_is_exact_and_faster)
    for check in checks:
        check.cache_clear()
    yield
    for check in checks:
        check.cache_clear()


def capable(**capabilities: Any) -> dict[str, Any]:
    return {"cpu_name": "AMD Any", "avx512_f": True, **capabilities}


def relative_error(found: torch.Tensor, truth: torch.Tensor) -> float:
    return float((found.double() - truth).norm() / truth.norm())


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_only_bfloat16_rounds() -> None:
    assert [product_dtype(name) for name in ("float32", "bfloat16")] == [None, LOW]


@pytest.mark.parametrize("low", [None, LOW])
def test_a_linear_layer_and_its_gradients_are_as_near_as_the_rounding_of_factors(
    low: torch.dtype | None,
) -> None:
    parts = random(60, 90), random(40, 90, seed=1), random(40, seed=2)
    upstream = random(60, 40, seed=3)

    def results(dtype: torch.dtype, low: torch.dtype | None) -> list[torch.Tensor]:
        x, weight, bias = (part.to(dtype).requires_grad_() for part in parts)
        out = linear(x, weight, bias, low)
        assert out.dtype == dtype, "what follows a product is not rounded"
        return [
            out.detach(),
            *torch.autograd.grad(out, [x, weight, bias], upstream.to(dtype)),
        ]

    bound = 1e-6 if low is None else 2.0**-7
    for found, truth in zip(results(torch.float32, low), results(torch.float64, None), strict=True):
        assert relative_error(found, truth) <= bound


@pytest.mark.cuda
def test_on_a_gpu_a_layers_products_are_not_rounded_once_more() -> None:
    parts = random(60, 90), random(40, 90, seed=1), random(40, seed=2)
    upstream = random(60, 40, seed=3)

    def results(device: str, dtype: torch.dtype, low: torch.dtype | None) -> list[torch.Tensor]:
        x, weight, bias = (part.to(device, dtype).requires_grad_() for part in parts)
        out = linear(x, weight, bias, low)
        assert out.dtype == dtype
        gradients = torch.autograd.grad(out, [x, weight, bias], upstream.to(device, dtype))
        return [part.detach().cpu() for part in (out, *gradients)]

    everywhere = zip(
        results("cuda", torch.float32, LOW),
        results("cpu", torch.float32, LOW),
        results("cpu", torch.float64, None),
        strict=True,
    )
    for there, here, truth in everywhere:
        # Rounding the factors costs 2^-9, relative and alike in both; the CPU's rounding of the result comes on top.
        assert relative_error(there, truth) <= min(2.0**-8, 1.02 * relative_error(here, truth))


def test_a_bias_is_not_rounded() -> None:
    bias = torch.tensor([1000.125])
    assert float(linear(torch.zeros(1, 2), torch.zeros(1, 2), bias, LOW)) == 1000.125


def test_a_product_lies_in_a_buffer_that_the_next_one_overwrites() -> None:
    scratch = Scratch()
    a, b = random(5, 7), random(7, 3, seed=1)
    first = product(a, b, None, scratch)
    torch.testing.assert_close(first, a @ b)
    second = product(b.T, a.T, None, scratch)
    assert second.data_ptr() == first.data_ptr()
    assert product(a, b, LOW, scratch).dtype == torch.float32, "sums are not rounded"
    other = product(a, b, None, scratch, "other")
    assert other.data_ptr() not in (first.data_ptr(), product(b.T, a.T, None, scratch).data_ptr())
    assert rounded(a, LOW, scratch, "a").dtype == LOW
    assert rounded(a, None, scratch, "a") is a


@pytest.mark.usefixtures("fresh_checks")
@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [({"amx_bf16": True}, "bfloat16"), ({"avx512_bf16": True}, "bfloat16"), ({}, "float32")],
)
def test_auto_takes_bfloat16_where_the_processor_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capable(**capabilities))
    assert best_precision(CPU) == expected


@pytest.mark.usefixtures("fresh_checks")
def test_auto_does_not_trust_products_that_miss_the_parity_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capable(avx512_bf16=True))
    monkeypatch.setattr(precision, "PARITY_ERROR", 1e-6)  # what bfloat16 cannot keep
    assert best_precision(CPU) == "float32"


@pytest.mark.usefixtures("fresh_checks")
def test_auto_takes_float32_where_pytorch_does_not_say_what_a_cpu_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert best_precision(CPU) == "float32"
    with fast_float32():
        assert torch.isfinite(random(4, 4) @ random(4, 4)).all()


def test_fast_float32_is_float32_and_leaves_no_trace() -> None:
    a, b = random(300, 200), random(200, 400, seed=1)
    before = torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined]
    with fast_float32():
        found = a @ b
    assert relative_error(found, a.double() @ b.double()) <= 2 * relative_error(
        a @ b, a.double() @ b.double()
    )
    with pytest.raises(RuntimeError, match="inside"), fast_float32():
        raise RuntimeError("inside")
    assert torch.backends.mkldnn.matmul.fp32_precision == before  # type: ignore[attr-defined]


@pytest.mark.usefixtures("fresh_checks")
@pytest.mark.parametrize("capabilities", [{"amx_bf16": True}, {"cpu_name": "Intel"}, {"avx512_f": False}])
def test_fast_float32_asks_for_nothing_where_it_might_be_given_bfloat16(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, Any]
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capable(**capabilities))
    before = torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined]
    with fast_float32():
        assert torch.backends.mkldnn.matmul.fp32_precision == before  # type: ignore[attr-defined]


def test_for_a_gpu_fast_float32_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the host has an AMD CPU, what it is told for oneDNN made `torch.get_float32_matmul_precision` raise.
    monkeypatch.setattr(precision, "_onednn_is_exact_and_faster", lambda: True)
    before = torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined]
    with fast_float32(torch.device("cuda")):
        assert torch.backends.mkldnn.matmul.fp32_precision == before  # type: ignore[attr-defined]
        torch.get_float32_matmul_precision()
    with fast_float32(torch.device("cpu")):
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"  # type: ignore[attr-defined]
