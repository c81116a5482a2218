"""The state of gradient training: Adam as PyTorch's is, ready to be saved, and taken over whole or not at all."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from distrecvae.errors import CheckpointError
from distrecvae.training.schemes.state import adam, moments, snapshot, take_over
from tests.soft_cuda import SoftDevice


def test_weights_decay_and_biases_do_not() -> None:
    # Adam's first step is the sign of what it is given: of a parameter without a gradient, that is its decay.
    layer = torch.nn.Linear(3, 2)
    before = {name: p.detach().clone() for name, p in layer.named_parameters()}
    optimizer = adam(layer, 0.1, weight_decay=0.5)
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    torch.testing.assert_close(
        layer.weight.detach(), before["weight"] - 0.1 * before["weight"].sign(), atol=1e-4, rtol=0
    )
    assert torch.equal(layer.bias.detach(), before["bias"])


@pytest.mark.parametrize("beta2", [0.999, 0.9])
def test_without_decay_it_is_pytorchs_adam(beta2: float) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 2).double()
    other = torch.nn.Linear(3, 2).double()
    other.load_state_dict(layer.state_dict())
    mine = adam(layer, 0.01, beta2=beta2)
    plain = torch.optim.Adam(other.parameters(), lr=0.01, betas=(0.9, beta2), foreach=False)
    for _ in range(4):
        x = torch.randn(5, 3, dtype=torch.float64)
        for module, optimizer in ((layer, mine), (other, plain)):
            optimizer.zero_grad()
            module(x).square().sum().backward()
            optimizer.step()
    for found, expected in zip(layer.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


TRAINED = """
import sys
from distrecvae.data.synthetic import synthetic_split
from distrecvae.training import registry
for model in ("recvae", "wmf"):
    settings = {"latent_dim": 4, **({"hidden_dim": 8} if model == "recvae" else {})}
    config = registry.config_from_dict(model, settings)
    registry.make_trainer(model, config, synthetic_split(n_users=60, n_items=50, seed=1).train, seed=0).step()
print("torch._dynamo" in sys.modules)
"""


def test_a_training_imports_no_compiler() -> None:
    # A fifth of what a worker's start took of its processor, and nothing was ever compiled.
    done = subprocess.run([sys.executable, "-c", TRAINED], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_all_there_is_to_save_is_there_before_the_first_step() -> None:
    layer = torch.nn.Linear(3, 2).double()
    found = moments("adam/", layer, adam(layer, 0.1))
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "adam/weight/step": (),
        "adam/weight/exp_avg": (2, 3),
        "adam/weight/exp_avg_sq": (2, 3),
        "adam/bias/step": (),
        "adam/bias/exp_avg": (2,),
        "adam/bias/exp_avg_sq": (2,),
    }
    assert not any(value.any() for value in found.values())
    assert found["adam/weight/exp_avg"].dtype == torch.float64


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_on_a_gpu_its_step_can_be_recorded(device: str, soft_device: SoftDevice) -> None:
    # PyTorch refuses to record the step of one that is not `capturable`: then all steps run as they are. Without a GPU
    # it does not look.
    optimizer = adam(torch.nn.Linear(3, 2).to(device), 0.1)
    assert {group["capturable"] for group in optimizer.param_groups} == {device == "cuda"}
    assert {group["fused"] for group in optimizer.param_groups} == {True}
    assert {str(state["step"].device.type) for state in optimizer.state.values()} == {device}


def test_moments_are_the_optimizers_own_and_a_snapshot_is_not() -> None:
    layer = torch.nn.Linear(3, 2)
    optimizer = adam(layer, 0.1)
    named = moments("", layer, optimizer)
    kept = snapshot(named)
    for parameter in layer.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert float(named["weight/step"]) == 1
    assert named["weight/exp_avg"].all()
    assert not any(value.any() for value in kept.values())


def test_a_snapshot_has_no_graph() -> None:
    (copy,) = snapshot({"a": torch.ones(2, requires_grad=True)}).values()
    assert not copy.requires_grad


def test_a_state_taken_over_goes_on_as_if_nothing_had_happened() -> None:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(3, 2) for _ in range(2)]
    optimizers = [adam(layer, 0.1) for layer in layers]
    x = torch.randn(4, 3)

    def step(number: int) -> None:
        optimizers[number].zero_grad()
        layers[number](x).square().sum().backward()
        optimizers[number].step()

    def named(number: int) -> dict[str, torch.Tensor]:
        return layers[number].state_dict() | moments("adam/", layers[number], optimizers[number])

    step(0)
    step(0)
    take_over(named(1), snapshot(named(0)))
    step(0)
    step(1)
    assert all(torch.equal(value, named(1)[name]) for name, value in named(0).items())


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, "missing"),
        (torch.ones(3), r"torch.float32 of shape \(3,\)"),
        (torch.ones(2, 1), r"torch.float32 of shape \(2, 1\)"),
        (torch.ones(2).double(), r"torch.float64 of shape \(2,\)"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(given: torch.Tensor | None, found: str) -> None:
    named = {"first": torch.zeros(2), "second": torch.zeros(2)}
    state = {"first": torch.ones(2)} | ({} if given is None else {"second": given})
    with pytest.raises(CheckpointError, match=f"second is {found}; it is the state of another run") as caught:
        take_over(named, state)
    assert "\n" not in str(caught.value)
    assert not any(value.any() for value in named.values())


def test_what_else_a_state_has_is_not_looked_at() -> None:
    named = {"first": torch.zeros(2)}
    take_over(named, {"first": torch.ones(2), "best/first": torch.ones(9)})
    assert named["first"].all()
