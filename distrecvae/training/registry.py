"""The list of models: by name, a configuration class, a trainer, a loader, an estimate of memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import ConfigError, nearest
from distrecvae.evaluation import Recommender
from distrecvae.kernels import item_weights
from distrecvae.models import (
    autorec,
    awae,
    cdae,
    ease,
    multdae,
    multvae,
    nbvae,
    pmf,
    popularity,
    ract,
    recvae,
    recvae_implicitslim,
    slim,
    wmf,
)
from distrecvae.precisions import Precision
from distrecvae.training.device import checked_device, resolved_precision
from distrecvae.training.entry import Common, CommonArrays, Entry
from distrecvae.training.others import installed, is_other, other_entry
from distrecvae.training.schemes import recvae as builders
from distrecvae.training.schemes.closed_form import closed_form
from distrecvae.training.schemes.gradient import gradient
from distrecvae.training.schemes.least_squares import least_squares
from distrecvae.training.schemes.phased import phased
from distrecvae.training.schemes.withheld import withheld_ndcg
from distrecvae.training.trainer import Earlier, Trainer, WarmTrainer

_GRAM = Common(item_weights.gram_arrays, item_weights.gram_arrays_bytes)

# Another model is one more line here: docs/models.md, "Adding a model".
_MODELS: dict[str, Entry] = {
    "recvae": Entry(
        recvae.RecVAEConfig, builders.recvae, recvae.load_recvae, builders.recvae_bytes, rounds=True
    ),
    "recvae-implicitslim": Entry(
        recvae_implicitslim.RecVAEImplicitSLIMConfig,
        builders.recvae_implicitslim,
        recvae.load_recvae,
        builders.recvae_implicitslim_bytes,
        rounds=True,
    ),
    "multvae": gradient(multvae.MultVAEConfig, multvae.MultVAE),
    "multdae": gradient(multdae.MultDAEConfig, multdae.MultDAE),
    "ract": phased(ract.RaCTConfig, partial(ract.RaCT, judge=withheld_ndcg)),
    "awae": phased(awae.AWAEConfig, awae.AWAE),
    "autorec": gradient(autorec.AutoRecConfig, autorec.AutoRec),
    "cdae": gradient(cdae.CDAEConfig, cdae.CDAE),
    "nbvae": gradient(nbvae.NBVAEConfig, nbvae.NBVAE),
    "ease": closed_form(
        ease.EASEConfig, ease.solve_ease, ease.load_ease, ease.ease_bytes, common=_GRAM, tells=True
    ),
    "slim": closed_form(
        slim.SLIMConfig, slim.solve_slim, slim.load_slim, slim.slim_bytes, common=_GRAM, tells=True
    ),
    "wmf": least_squares(wmf.WMFConfig, wmf.weigh_wmf),
    "pmf": least_squares(pmf.PMFConfig, pmf.weigh_pmf),
    "popularity": closed_form(
        popularity.PopularityConfig,
        popularity.solve_popularity,
        popularity.load_popularity,
        popularity.popularity_bytes,
    ),
}


def models() -> tuple[str, ...]:
    """Return the names of our models."""
    return tuple(_MODELS)


def is_known(model: str) -> bool:
    """Return whether there is a model of this name: ours, an installed package's, or one by its dotted name."""
    return model in _MODELS or is_other(model)


def names() -> tuple[str, ...]:
    """Return the names of all models that can be asked for by one, ours first."""
    return (*_MODELS, *(name for name in installed() if name not in _MODELS))


def own_space(model: str) -> Mapping[str, Any] | None:
    """Return the search space that another package's model brings along; None where it has none, or is ours.

    Raises:
        ConfigError: there is no such model.
    """
    return _entry(model).space


def config_class(model: str) -> type:
    """Return the configuration class of `model`, a frozen dataclass.

    Raises:
        ConfigError: there is no such model.
    """
    return _entry(model).config_class


def solved_at_once(model: str) -> bool:
    """Return whether the first pass over the data ends the training of `model`.

    Raises:
        ConfigError: there is no such model.
    """
    return _entry(model).at_once


def common_of(model: str) -> Common | None:
    """Return what trainings of `model` on the same data have in common, None where it is nothing worth sharing.

    Raises:
        ConfigError: there is no such model.
    """
    return _entry(model).common


def config_from_dict(model: str, mapping: Mapping[str, Any]) -> Any:
    """Return the configuration of `model` with the settings of `mapping`; lists become tuples.

    Raises:
        ConfigError: a setting is unknown, missing, or breaks a rule.
    """
    known = config_class(model)
    names = [field.name for field in dataclasses.fields(known) if field.init]
    for name in mapping:
        if name not in names:
            hint = nearest(str(name), names) or f"; it has {', '.join(names) or 'none'}"
            raise ConfigError(f"{name!r} is not a setting of {model}{hint}")
    try:
        return known(**{k: tuple(v) if isinstance(v, list) else v for k, v in mapping.items()})
    except TypeError as error:
        raise ConfigError(f"{model}: {error}; give every setting that has no default") from None


def config_to_dict(config: Any) -> dict[str, Any]:
    """Return a configuration as JSON-able settings, defaults included; `config_from_dict` turns it back."""
    settings = dataclasses.asdict(config)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}


def precision_for(model: str, choice: str, automatic: Precision) -> Precision:
    """Return the precision that `model` is trained in.

    Args:
        model: a name of `models()`.
        choice: "float32", "bfloat16" or "auto".
        automatic: what "auto" takes, where the model has products that may be rounded.

    Raises:
        ConfigError: bfloat16 is asked for and the model has no such products.
    """
    if _entry(model).rounds:
        return resolved_precision(choice, automatic)
    if choice == "bfloat16":
        raise ConfigError(f"{model} is not trained in bfloat16; leave --precision out")
    return "float32"


def make_trainer(
    model: str,
    config: Any,
    train: InteractionMatrix,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    precision: Precision = "float32",
    dtype: torch.dtype = torch.float32,
    common: CommonArrays | None = None,
    progress: Callable[[float], None] | None = None,
) -> Trainer:
    """Return a trainer of `model` on the training users.

    Args:
        model: a name of `models()`.
        config: of the model's configuration class.
        train: the training users' interactions.
        seed: root of all randomness in training.
        device: where to train.
        precision: of the matrix products, where the model has such.
        dtype: of parameters and arithmetic; float64 is for oracles.
        common: what `common_of` computes from these users; None lets the trainer do so itself.
        progress: called during a step with the share of it that is done, by models whose steps are long.

    Raises:
        ConfigError: `config` is another model's.
        DataError: there is nothing to train on.
        ResourceError: the device is not there.
    """
    entry = _fitting(model, config)
    given: dict[str, Any] = {} if entry.common is None else {"common": common}
    if entry.tells:
        given["progress"] = progress
    return entry.train(
        config, train, seed=seed, device=checked_device(device), precision=precision, dtype=dtype, **given
    )


def require_warm(model: str) -> None:
    """Refuse weights of an earlier training for a model that has no use for them.

    Raises:
        ConfigError: there is no such model, or it is solved at once.
    """
    if _entry(model).at_once:
        raise ConfigError(
            f"{model} is solved at once from the data, and earlier weights save nothing; leave --warm-weights out"
        )


def begin_from(model: str, trainer: Trainer, earlier: Earlier) -> bool | None:
    """Let a fresh trainer of `model` begin where an earlier training ended; see `WarmTrainer`.

    Raises:
        ConfigError: the model cannot.
        CheckpointError: the earlier training is of other sizes.
    """
    require_warm(model)
    if not isinstance(trainer, WarmTrainer):
        raise ConfigError(f"{model} cannot begin with earlier weights; leave --warm-weights out")
    return trainer.begin_from(earlier)


def load_recommender(
    model: str,
    config: Any,
    n_items: int,
    state: Mapping[str, torch.Tensor],
    device: torch.device | str = "cpu",
) -> Recommender:
    """Return a model with the parameters that a trainer's `model_state` gave.

    Raises:
        CheckpointError: they do not fit the configuration or the number of items.
    """
    return _fitting(model, config).load(config, n_items, state, checked_device(device))


def memory_bytes(
    model: str,
    config: Any,
    train: InteractionMatrix,
    *,
    device: torch.device | str = "cpu",
    precision: Precision = "float32",
    lent: bool = False,
) -> tuple[int, int]:
    """Return what training takes on the device, and its state file, the best model in it: bytes.

    Libraries are not counted, nor the data where it is shared, nor what trainings have in common where it is `lent`;
    `device` need not be there.
    """
    entry = _fitting(model, config)
    told = {} if entry.common is None else {"lent": lent}
    return entry.memory(config, train, device=torch.device(device), precision=precision, **told)


def _entry(model: str) -> Entry:
    if model in _MODELS:
        return _MODELS[model]
    if is_other(model):
        return other_entry(model)
    hint = nearest(model, names()) or f"; known are {', '.join(names())}"
    raise ConfigError(f"there is no model {model!r}{hint}")


def _fitting(model: str, config: Any) -> Entry:
    entry = _entry(model)
    if type(config) is not entry.config_class:  # a model's settings may extend another's
        raise ConfigError(
            f"{type(config).__name__} does not fit {model}; it takes a {entry.config_class.__name__}"
        )
    return entry
