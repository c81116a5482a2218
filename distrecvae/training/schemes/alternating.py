"""The training of RecVAE: encoder and decoder in turn (or together), cycle by cycle; its state.

What a single optimizer step computes is in `distrecvae.training.schemes.update`. See docs/models.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import NamedTuple, cast

import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError, DivergedError
from distrecvae.kernels.item_axes import item_axes, take_items
from distrecvae.kernels.precision import fast_float32
from distrecvae.kernels.sparse import SparseRows
from distrecvae.models.recvae import RecVAE, RecVAEConfig, new_encoder
from distrecvae.precisions import Precision
from distrecvae.rng import derive_seed
from distrecvae.training.schemes.batches import Batch, Cutter
from distrecvae.training.schemes.graphs import Recorder
from distrecvae.training.schemes.noise import CountedNoise, Noise, Place
from distrecvae.training.schemes.state import CountingTrainer, moments, snapshot, take_moments
from distrecvae.training.schemes.update import Sides, Update
from distrecvae.training.trainer import Earlier


class Losses(NamedTuple):
    """Mean losses a user over one pass; `kl` is weighted and 0 where a pass does not compute it."""

    nll: float
    kl: float


class AlternatingTrainer(CountingTrainer):
    """Trains a RecVAE, a cycle at a time; see `distrecvae.training.trainer.Trainer` for the promises.

    Args:
        config: the model's settings.
        train: the training users; rows without interactions contribute nothing.
        seed: root of all randomness, the parameters' initial values included.
        device: where to train.
        precision: of the matrix products.
        dtype: of parameters and arithmetic; float64 is for oracles.
        noise: where random values come from; None for `CountedNoise` under `seed`.
        before_cycle: called as a cycle begins with the cycles completed, the model, the training users on the device;
            it may change parameters in place, and only they are saved.

    Raises:
        DataError: there is no training user or no item.
    """

    solved = False

    def __init__(
        self,
        config: RecVAEConfig,
        train: InteractionMatrix,
        *,
        seed: int,
        device: torch.device | str = "cpu",
        precision: Precision = "float32",
        dtype: torch.dtype = torch.float32,
        noise: Noise | None = None,
        before_cycle: Callable[[int, RecVAE, SparseRows], None] | None = None,
    ) -> None:
        if not train.n_users or not train.n_items:
            raise DataError(
                f"training data is {train.n_users} users x {train.n_items} items; both must be positive"
            )
        self._config = config
        self._device = torch.device(device)
        self._rows = rows = SparseRows.from_matrix(train, self._device)
        self._before_cycle = before_cycle
        self._noise = noise if noise is not None else CountedNoise(seed, self._device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "parameters"))
            self._model = RecVAE(config, train.n_items).to(self._device, dtype)
            self._old = new_encoder(config, train.n_items).to(self._device, dtype).requires_grad_(False)
        update = Update(config, rows, self._model, self._old, precision)
        self._optimizers = update.optimizers
        self._cutter = Cutter(train, config.batch_size, self._device)
        self._update = update
        self._totals = torch.zeros(2, dtype=torch.float64, device=self._device)
        self._recorder = Recorder[Batch](self._take_step, self._device)
        self._n_places = self._cutter.places() if self._device.type == "cuda" else 0

    @property
    def model(self) -> RecVAE:
        """The model as it stands."""
        return self._model

    @property
    def passes_per_cycle(self) -> int:
        """Encoder and decoder passes; one where both are trained together."""
        return self._config.encoder_passes + self._config.decoder_passes if self._config.alternating else 1

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
        if self._before_cycle is not None:
            self._before_cycle(self._cycle, self._model, self._rows)
        self._update.renew()  # after that, and whatever was loaded since the last cycle
        for pass_ in range(number):
            if pass_ == encoder_passes:
                self._remember_encoder()
            encoder = pass_ < encoder_passes
            with fast_float32(self._device):
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
        order = self._noise.order(Place(self._cycle, pass_, 0), self._cutter.n_users)
        sides = Sides(encoder, decoder, first=pass_ == 0)
        with self._recorder.running():
            self._totals.zero_()
            for number, (users, n_interactions) in enumerate(self._cutter.cut(order)):
                batch = self._batch(Place(self._cycle, pass_, number), users, n_interactions, encoder=encoder)
                self._recorder.take(batch, sides, fixed=self._is_fixed(batch))
            losses = Losses(*(self._totals / self._cutter.n_users).tolist())
        if not all(map(math.isfinite, losses)):
            raise DivergedError(
                f"the loss is {sum(losses)} in pass {pass_ + 1}, cycle {self._cycle + 1}; lower learning_rate"
            )
        return losses

    def _take_step(self, batch: Batch, sides: Hashable) -> None:
        self._totals += self._update(batch, cast(Sides, sides))

    def _is_fixed(self, batch: Batch) -> bool:
        return batch.n_places == self._n_places and batch.users.numel() == self._cutter.n_rows

    def _batch(self, place: Place, users: torch.Tensor, n_interactions: int, *, encoder: bool) -> Batch:
        """Return what a step needs of a batch, its random values drawn."""
        config, bias = self._config, self._model.decoder.bias
        dropout = config.dropout if encoder else config.decoder_dropout
        n_places = max(n_interactions, self._n_places)
        return Batch(
            users=users,
            kept=self._noise.kept(place, n_places, dropout) if dropout else None,
            noise=self._noise.normal(place, (users.numel(), config.latent_dim), bias.dtype),
            beta=None if config.beta is None else bias.new_full((), self._beta(place)),
            n_places=n_places,
            padded=self._n_places > 0,
        )

    def _beta(self, place: Place) -> float:
        """Return the weight of the KL term where it is the same for all users: constant, or annealed."""
        config = self._config
        assert config.beta is not None  # noqa: S101  (the caller's promise)
        if not config.anneal_updates:
            return config.beta
        encoder_passes = config.encoder_passes if config.alternating else 1
        updates = (place.cycle * encoder_passes + place.pass_) * self._cutter.n_batches + place.batch
        return min(config.beta, updates / config.anneal_updates)

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
        for side, optimizer in zip(("encoder", "decoder"), self._optimizers, strict=True):
            named |= moments(f"adam/{side}/", self._model.get_submodule(side), optimizer)
        return named

    def begin_from(self, earlier: Earlier) -> bool:
        """Start from an earlier training's parameters and moments; q_old is the encoder, as at the end of a cycle."""
        take_items(self._model.state_dict(), earlier.model, item_axes(self._model), earlier.at)
        self._remember_encoder()
        taken = [
            take_moments(f"adam/{side}/", part, optimizer, earlier.training, item_axes(part), earlier.at)
            for side, optimizer in zip(("encoder", "decoder"), self._optimizers, strict=True)
            for part in (self._model.get_submodule(side),)
        ]
        return all(taken)

    def model_state(self) -> dict[str, torch.Tensor]:
        """Return the parameters that scoring needs: copies on the CPU."""
        return snapshot(self._model.state_dict())
