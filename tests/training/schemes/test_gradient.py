"""Gradient training: its optimizer does what it says; what holds for each network is in `test_passes.py`."""

from __future__ import annotations

import torch

from distrecvae.training.schemes.state import adam


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
