"""What the model of a folder can be: one of the registry's, or a blend of such; the folder is the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from distrecvae.errors import CheckpointError, ConfigError
from distrecvae.evaluation import Recommender
from distrecvae.saved import blend
from distrecvae.saved.blend import BlendConfig
from distrecvae.training import registry
from distrecvae.training.others import is_other
from distrecvae.words import first_line


def read_settings(model: str, settings: Mapping[str, Any]) -> Any:
    """Return the configuration that a folder's settings say.

    Raises:
        ConfigError: there is no such model, or a value breaks its rule.
        KeyError, TypeError: they are not a blend's.
    """
    return (
        blend.blend_config(settings) if model == blend.BLEND else registry.config_from_dict(model, settings)
    )


def require_known(folder: Path, model: object) -> None:
    """Refuse a folder of another package's model that is not here: nothing in it is damaged.

    Raises:
        CheckpointError: the model's package is not installed, or a dotted name is not trusted.
    """
    if not isinstance(model, str) or model == blend.BLEND:
        return
    try:
        registry.config_class(model)
    except ConfigError as error:
        raise CheckpointError(
            f"{folder}: {first_line(error)}"
            if is_other(model)
            else f"{folder} holds a model {model!r}, which is not installed here; install its package, or the"
            " version of distrecvae that wrote it"
        ) from None


def recommender_of(
    model: str,
    config: Any,
    n_items: int,
    state: Mapping[str, torch.Tensor],
    device: torch.device | str = "cpu",
) -> Recommender:
    """Return the model with the parameters `state`.

    Raises:
        CheckpointError: they do not fit the configuration or the number of items.
    """
    if isinstance(config, BlendConfig):
        return blend.load_blend(config, n_items, state, device)
    return registry.load_recommender(model, config, n_items, state, device)


def parts_of(
    config: Any, settings: Mapping[str, Any], state: Mapping[str, torch.Tensor]
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, torch.Tensor]]]:
    """Yield settings and parameters of each model of the registry's that a folder holds: its one, or its members."""
    if not isinstance(config, BlendConfig):
        yield settings, state
        return
    for place, member in enumerate(config.members):
        yield member.config, blend.member_state(state, place)


def shown_settings(config: Any, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return settings as a model card shows them."""
    return blend.settings_of(config) if isinstance(config, BlendConfig) else settings
