"""One optimizer step of RecVAE: what is computed for which side, large gradients by hand.

A step that trains the encoder uses the decoder only for the gradient by the code; one that trains the decoder computes
neither prior nor KL term nor any gradient of the encoder; q_old's posterior is computed once a user and cycle.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from distrecvae.kernels.composite_prior import sampled
from distrecvae.kernels.precision import product_dtype
from distrecvae.kernels.sparse import SparseRows
from distrecvae.models.recvae import Encoder, RecVAE, RecVAEConfig
from distrecvae.precisions import Precision
from distrecvae.training.schemes.batches import Batch
from distrecvae.training.schemes.item_steps import first_layer, output_layer
from distrecvae.training.schemes.state import adam

OLD_POSTERIOR_BYTES = 1 << 30
"""q_old's posterior is kept over a cycle where it takes no more than this; else each pass computes it."""


def old_posterior_bytes(config: RecVAEConfig, n_users: int, itemsize: int) -> int:
    """Return the bytes that keeping q_old's posterior over a cycle takes; 0 where it does not pay or fit."""
    size = 2 * n_users * config.latent_dim * itemsize
    reused = config.mixture_weights[1] > 0 and config.alternating and config.encoder_passes > 1
    return size if reused and size <= OLD_POSTERIOR_BYTES else 0


class Sides(NamedTuple):
    """What a step trains.

    Attributes:
        encoder: whether it trains the encoder.
        decoder: whether it trains the decoder.
        first: whether it is of a cycle's first pass, which computes q_old's posterior for the others.
    """

    encoder: bool
    decoder: bool
    first: bool


class Update:
    """The optimizer step; it changes only parameters, moments and q_old's kept posterior.

    Args:
        config: the model's settings.
        rows: the training users, on the device.
        model: what is trained.
        old: q_old.
        precision: of the matrix products.

    Attributes:
        optimizers: the encoder's and the decoder's.
    """

    def __init__(
        self, config: RecVAEConfig, rows: SparseRows, model: RecVAE, old: Encoder, precision: Precision
    ) -> None:
        self._config, self._rows, self._model, self._old = config, rows, model, old
        self._low = product_dtype(precision)
        encoder, decoder = model.encoder, model.decoder
        self.optimizers = (adam(encoder, config.learning_rate), adam(decoder, config.learning_rate))
        self._first = first_layer(encoder.fc1.weight, self.optimizers[0])
        self._output = output_layer(decoder.weight, decoder.bias, self.optimizers[1], self._low)
        self._old_posterior = self._room_for_old_posterior()

    def __call__(self, batch: Batch, sides: Sides) -> torch.Tensor:
        """Take one step for the sides named; return the summed losses nll and weighted kl: float64, (2,)."""
        model, config = self._model, self._config
        rows = self._rows.take(batch.users, batch.n_places, padded=batch.padded)
        values = self._denoised(rows, batch.kept, config.dropout if sides.encoder else config.decoder_dropout)
        with torch.no_grad():
            preactivation = model.encoder.preactivation(rows, values)
        with torch.set_grad_enabled(sides.encoder):
            mu, logvar = model.encoder(preactivation.requires_grad_(sides.encoder), self._low)
            if sides.encoder:
                old = self._old_posterior_of(batch.users, rows, first=sides.first)
                by_hand = self._low is not None  # float32 stays what it was, bit for bit
                z, divergence = sampled(mu, logvar, batch.noise, config.mixture_weights, old, by_hand=by_hand)
            else:
                z = mu + batch.noise * (logvar / 2).exp()
        with torch.set_grad_enabled(sides.encoder or sides.decoder):
            code = model.decoder(z, self._low)
        code_gradient = torch.empty_like(code) if code.requires_grad else None
        nll = self._output.losses(rows, code.detach(), code_gradient, learn=sides.decoder)
        outputs, gradients, kl = [code], [code_gradient], torch.zeros_like(nll)
        if sides.encoder:
            # Counts are integers, and a float times integers would be of PyTorch's default dtype.
            weight = batch.beta if config.gamma is None else config.gamma * rows.counts.to(nll.dtype)
            assert weight is not None  # noqa: S101  (a batch has what its configuration asks for)
            kl = weight * divergence
            outputs, gradients = [code, kl], [code_gradient, torch.full_like(kl, 1 / rows.n_rows)]
        if code_gradient is not None:
            self._backward(rows, values, preactivation, outputs, gradients, sides)
        for optimizer, used in zip(self.optimizers, (sides.encoder, sides.decoder), strict=True):
            if used:
                optimizer.step()
        return torch.stack([nll.sum(), kl.detach().sum()]).double()

    def renew(self) -> None:
        """Note that something other than a step has changed parameters; called before the next step."""
        self._output.renew()

    def _backward(
        self,
        rows: SparseRows,
        values: torch.Tensor,
        preactivation: torch.Tensor,
        outputs: list[torch.Tensor],
        gradients: list[torch.Tensor | None],
        sides: Sides,
    ) -> None:
        """Write the gradients of the dense layers; let the layer that sees the items learn."""
        wanted = _dense_parameters(self._model, encoder=sides.encoder, decoder=sides.decoder)
        inputs = [*wanted, preactivation] if sides.encoder else wanted
        found = torch.autograd.grad(outputs, inputs, gradients)
        for parameter, gradient in zip(wanted, found, strict=False):
            parameter.grad = gradient
        if sides.encoder:
            self._first.learn(rows, values, found[-1])
            self._model.encoder.fc1.bias.grad = found[-1].sum(dim=0)

    def _denoised(self, rows: SparseRows, kept: torch.Tensor | None, dropout: float) -> torch.Tensor:
        """Return x~ at the interactions of `rows`: normalized, some of them dropped, the others scaled up."""
        values = rows.unit_values(self._model.decoder.bias.dtype)
        return values if kept is None else values * kept / (1 - dropout)

    def _old_posterior_of(
        self, users: torch.Tensor, rows: SparseRows, *, first: bool
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return q_old's mu and logvar of a batch: computed in a cycle's first pass, then looked up."""
        if not self._config.mixture_weights[1]:
            return None
        kept = self._old_posterior
        if kept is not None and not first:
            return kept[0][users], kept[1][users]
        mu, logvar = self._old.posterior(rows, self._low)
        if kept is not None:
            kept[0][users], kept[1][users] = mu, logvar
        return mu, logvar

    def _room_for_old_posterior(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return where q_old's posterior is kept over a cycle, or None where that does not pay or fit."""
        config, n_users, like = self._config, self._rows.n_rows, self._model.decoder.bias
        if not old_posterior_bytes(config, n_users, like.itemsize):
            return None
        mu, logvar = torch.zeros(2, n_users, config.latent_dim, dtype=like.dtype, device=like.device).unbind()
        return mu, logvar


def _dense_parameters(model: RecVAE, *, encoder: bool, decoder: bool) -> list[torch.nn.Parameter]:
    """Return the parameters whose gradients autograd makes: all but those of the layers of items."""
    sides = ([model.encoder] if encoder else []) + ([model.decoder] if decoder else [])
    by_hand = {id(p) for layer in (model.encoder.fc1, model.decoder) for p in (layer.weight, layer.bias)}
    return [p for side in sides for p in side.parameters() if id(p) not in by_hand]
