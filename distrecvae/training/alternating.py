"""Owns the training of RecVAE: encoder and decoder in turn (or together), large gradients by hand.

An encoder pass uses the decoder only for the gradient by the code; a decoder pass computes neither prior nor
KL term nor any gradient of the encoder; q_old's posterior is computed once a user and cycle. See
docs/models.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError, DataError, DivergedError
from distrecvae.models.multinomial import Multinomial
from distrecvae.models.recvae import RecVAE, RecVAEConfig, kl_divergence, new_encoder
from distrecvae.models.sparse import SparseRows, scatter_sum
from distrecvae.rng import derive_seed
from distrecvae.training.noise import CountedNoise, Noise, Place

OLD_POSTERIOR_BYTES = 1 << 30
"""q_old's posterior is kept over a cycle where it takes no more than this; else each pass computes it."""


def old_posterior_bytes(config: RecVAEConfig, n_users: int, itemsize: int) -> int:
    """Return what keeping q_old's posterior over a cycle takes; 0 where it does not pay or fit."""
    size = 2 * n_users * config.latent_dim * itemsize
    reused = config.mixture_weights[1] > 0 and config.alternating and config.encoder_passes > 1
    return size if reused and size <= OLD_POSTERIOR_BYTES else 0


class Losses(NamedTuple):
    """Mean losses a user over one pass; `kl` is weighted and 0 where a pass does not compute it."""

    nll: float
    kl: float


class AlternatingTrainer:
    """Trains a RecVAE, a cycle at a time; see `distrecvae.training.trainer.Trainer` for the promises.

    Args:
        config: the model's settings.
        train: the training users; rows without interactions contribute nothing.
        seed: root of all randomness, the parameters' initial values included.
        device: where to train.
        dtype: of parameters and arithmetic; float64 is for oracles.
        noise: where random values come from; None for `CountedNoise` under `seed`.

    Raises:
        DataError: there is no training user or no item.
    """

    def __init__(
        self,
        config: RecVAEConfig,
        train: InteractionMatrix,
        *,
        seed: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        noise: Noise | None = None,
    ) -> None:
        if not train.n_users or not train.n_items:
            raise DataError(
                f"training data is {train.n_users} users x {train.n_items} items; both must be positive"
            )
        self._config = config
        self._device = torch.device(device)
        self._rows = SparseRows.from_matrix(train, self._device)
        self._noise = noise if noise is not None else CountedNoise(seed, self._device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "parameters"))
            self._model = RecVAE(config, train.n_items).to(self._device, dtype)
            self._old = new_encoder(config, train.n_items).to(self._device, dtype).requires_grad_(False)
        self._encoder_optimizer = _adam(self._model.encoder, config.learning_rate)
        self._decoder_optimizer = _adam(self._model.decoder, config.learning_rate)
        self._likelihood = Multinomial()
        self._old_posterior = self._room_for_old_posterior(dtype)
        self._cycle = 0

    @property
    def model(self) -> RecVAE:
        """The model as it stands."""
        return self._model

    @property
    def cycle(self) -> int:
        """Cycles completed."""
        return self._cycle

    @property
    def passes(self) -> int:
        """Data passes completed."""
        return self._cycle * self.passes_per_cycle

    @property
    def passes_per_cycle(self) -> int:
        """Encoder and decoder passes; one where both are trained together."""
        return self._config.encoder_passes + self._config.decoder_passes if self._config.alternating else 1

    @property
    def solved(self) -> bool:
        """Never: training goes on as long as anyone asks."""
        return False

    def step(self) -> dict[str, float]:
        """Train one cycle.

        Returns:
            ``loss``, the negative ELBO, and its parts ``nll`` and ``kl`` (weighted), means a user over the
            passes that train the encoder; ``decoder_nll`` over the last decoder pass where there is one.

        Raises:
            DivergedError: a pass's loss is not finite.
        """
        config, number = self._config, self.passes_per_cycle
        encoder_passes = config.encoder_passes if config.alternating else 1
        losses = []
        for pass_ in range(number):
            if pass_ == encoder_passes:
                self._remember_encoder()
            encoder = pass_ < encoder_passes
            losses.append(
                self._train_pass(pass_, encoder=encoder, decoder=not encoder or not config.alternating)
            )
        if not config.alternating:
            self._remember_encoder()
        self._cycle += 1
        nll = sum(part.nll for part in losses[:encoder_passes]) / encoder_passes
        kl = sum(part.kl for part in losses[:encoder_passes]) / encoder_passes
        report = {"loss": nll + kl, "nll": nll, "kl": kl}
        return report | {"decoder_nll": losses[-1].nll} if config.alternating else report

    def _train_pass(self, pass_: int, *, encoder: bool, decoder: bool) -> Losses:
        """Update once a batch; return the pass's mean losses."""
        n_users, size = self._rows.n_rows, self._config.batch_size
        order = self._noise.order(Place(self._cycle, pass_, 0), n_users)
        totals = torch.zeros(2, dtype=torch.float64, device=self._device)
        for batch, start in enumerate(range(0, n_users, size)):
            totals += self._update(
                Place(self._cycle, pass_, batch),
                order[start : start + size],
                encoder=encoder,
                decoder=decoder,
            )
        losses = Losses(*(totals / n_users).tolist())
        if not all(torch.isfinite(totals).tolist()):
            raise DivergedError(
                f"the loss is {sum(losses)} in pass {pass_ + 1}, cycle {self._cycle + 1}; lower learning_rate"
            )
        return losses

    def _update(self, place: Place, users: torch.Tensor, *, encoder: bool, decoder: bool) -> torch.Tensor:
        """Take one optimizer step for the sides named; return the batch's summed loss terms: nll and kl."""
        model, config = self._model, self._config
        rows = self._rows.take(users)
        values = self._denoised(place, rows, config.dropout if encoder else config.decoder_dropout)
        with torch.no_grad():
            preactivation = model.encoder.preactivation(rows, values)
        with torch.set_grad_enabled(encoder):
            mu, logvar = model.encoder(preactivation.requires_grad_(encoder))
            noise = self._noise.normal(place, (mu.shape[0], mu.shape[1]), mu.dtype)
            z = mu + noise * (logvar / 2).exp()
        with torch.set_grad_enabled(encoder or decoder):
            code = model.decoder(z)
        code_gradient = torch.empty_like(code) if code.requires_grad else None
        nll = self._likelihood.loss_and_gradients(
            rows,
            code.detach(),
            model.decoder.weight.detach(),
            model.decoder.bias.detach(),
            code_gradient=code_gradient,
            weight_gradient=model.decoder.weight.grad if decoder else None,
            bias_gradient=model.decoder.bias.grad if decoder else None,
        )
        outputs, gradients, kl = [code], [code_gradient], torch.zeros_like(nll)
        if encoder:
            kl = self._kl_weight(place, rows) * kl_divergence(
                z, mu, logvar, config.mixture_weights, self._old_posterior_of(place, users, rows)
            )
            outputs, gradients = [code, kl], [code_gradient, torch.full_like(kl, 1 / rows.n_rows)]
        if code_gradient is not None:
            wanted = _dense_parameters(model, encoder=encoder, decoder=decoder)
            torch.autograd.backward(
                outputs, gradients, inputs=[*wanted, preactivation] if encoder else wanted
            )
        if encoder:
            first = model.encoder.fc1
            assert preactivation.grad is not None and first.weight.grad is not None  # noqa: S101, PT018
            scatter_sum(rows, values, preactivation.grad, out=first.weight.grad)
            first.bias.grad = preactivation.grad.sum(dim=0)
        for optimizer, used in ((self._encoder_optimizer, encoder), (self._decoder_optimizer, decoder)):
            if used:
                optimizer.step()
        for parameter in _dense_parameters(model, encoder=True, decoder=True):
            parameter.grad = None
        return torch.stack([nll.sum(), kl.detach().sum()]).double()

    def _denoised(self, place: Place, rows: SparseRows, dropout: float) -> torch.Tensor:
        """Return x~ at the interactions of `rows`: normalized, some of them dropped, the others scaled up."""
        values = rows.unit_values(self._model.decoder.bias.dtype)
        if not dropout:
            return values
        return values * self._noise.kept(place, values.numel(), dropout) / (1 - dropout)

    def _kl_weight(self, place: Place, rows: SparseRows) -> torch.Tensor | float:
        """Return the weight of each row's KL term."""
        config = self._config
        if config.gamma is not None:
            # Counts are integers, and a float times integers would be of PyTorch's default dtype.
            return config.gamma * rows.counts().to(self._model.decoder.bias.dtype)
        assert config.beta is not None  # noqa: S101  (the configuration's promise)
        if not config.anneal_updates:
            return config.beta
        encoder_passes = config.encoder_passes if config.alternating else 1
        batches = -(-self._rows.n_rows // config.batch_size)
        updates = (place.cycle * encoder_passes + place.pass_) * batches + place.batch
        return min(config.beta, updates / config.anneal_updates)

    def _old_posterior_of(
        self, place: Place, users: torch.Tensor, rows: SparseRows
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return q_old's mu and logvar of a batch: computed in a cycle's first pass, then looked up."""
        if not self._config.mixture_weights[1]:
            return None
        kept = self._old_posterior
        if kept is not None and place.pass_:
            return kept[0][users], kept[1][users]
        mu, logvar = self._old.posterior(rows)
        if kept is not None:
            kept[0][users], kept[1][users] = mu, logvar
        return mu, logvar

    def _room_for_old_posterior(self, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return where q_old's posterior is kept over a cycle, or None where that does not pay or fit."""
        config, n_users = self._config, self._rows.n_rows
        if not old_posterior_bytes(config, n_users, dtype.itemsize):
            return None
        mu, logvar = torch.empty(2, n_users, config.latent_dim, dtype=dtype, device=self._device).unbind()
        return mu, logvar

    def _remember_encoder(self) -> None:
        """Let q_old be the encoder as it stands."""
        self._old.load_state_dict(self._model.encoder.state_dict())

    def _named_tensors(self) -> dict[str, torch.Tensor]:
        """Return everything that training changes, by name, not copied."""
        modules = (
            ("encoder", self._model.encoder),
            ("encoder_old", self._old),
            ("decoder", self._model.decoder),
        )
        named = {
            f"{side}/{name}": value for side, module in modules for name, value in module.state_dict().items()
        }
        optimizers = (
            ("encoder", self._model.encoder, self._encoder_optimizer),
            ("decoder", self._model.decoder, self._decoder_optimizer),
        )
        for side, module, optimizer in optimizers:
            for name, parameter in module.named_parameters():
                named |= {
                    f"adam/{side}/{name}/{key}": value for key, value in optimizer.state[parameter].items()
                }
        return named

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the complete state: copies on the CPU."""
        named = {name: value.detach().cpu().clone() for name, value in self._named_tensors().items()}
        return named | {"cycle": torch.tensor(self._cycle)}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over a state made by `state_dict`; nothing is changed where it does not fit."""
        named = self._named_tensors()
        for name, value in (named | {"cycle": torch.tensor(0)}).items():
            given = state.get(name)
            if given is None or given.shape != value.shape or given.dtype != value.dtype:
                found = "missing" if given is None else f"{given.dtype} of shape {tuple(given.shape)}"
                raise CheckpointError(f"{name} is {found}; it is the state of another run: start anew")
        for name, value in named.items():
            value.copy_(state[name])
        self._cycle = int(state["cycle"])

    def model_state(self) -> dict[str, torch.Tensor]:
        """Return the parameters that scoring needs: copies on the CPU."""
        return {name: value.detach().cpu().clone() for name, value in self._model.state_dict().items()}


def _adam(module: torch.nn.Module, learning_rate: float) -> torch.optim.Adam:
    """Return Adam with its state made at once (to save, or to load into) and with gradients to write to."""
    optimizer = torch.optim.Adam(module.parameters(), lr=learning_rate, fused=True)
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
        optimizer.state[parameter] = {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return optimizer


def _dense_parameters(model: RecVAE, *, encoder: bool, decoder: bool) -> list[torch.nn.Parameter]:
    """Return the parameters whose gradients autograd makes: all but those of the layers of items."""
    sides = ([model.encoder] if encoder else []) + ([model.decoder] if decoder else [])
    by_hand = {id(p) for layer in (model.encoder.fc1, model.decoder) for p in (layer.weight, layer.bias)}
    return [p for side in sides for p in side.parameters() if id(p) not in by_hand]
