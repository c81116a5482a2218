"""The blend: a model whose scores are a weighted mean of other models' scores, made comparable a user at a time.

A blend is a model like any other to what evaluates, recommends and exports; its folder holds its members' weights once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from distrecvae.checks import require_choice, require_number
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError, ConfigError
from distrecvae.evaluation import Recommender
from distrecvae.kernels.comparable import RULES
from distrecvae.training.registry import config_from_dict, load_recommender
from distrecvae.words import short

BLEND = "blend"
"""What a blend's folder has in the place of a model's name."""


@dataclass(frozen=True, kw_only=True)
class MemberConfig:
    """One model of a blend.

    Attributes:
        name: what it is called, by where it came from.
        model: its name in the registry.
        config: its settings, JSON-able.
        weight: of its scores.

    Raises:
        ConfigError: the weight is not positive.
    """

    name: str
    model: str
    config: Mapping[str, Any]
    weight: float

    def __post_init__(self) -> None:
        require_number("a member's weight", self.weight, above=0)


@dataclass(frozen=True, kw_only=True)
class BlendConfig:
    """Settings of a blend.

    Attributes:
        rule: how scores are made comparable, of `RULES`.
        members: the models; their weights sum to 1.

    Raises:
        ConfigError: there is no such rule, no member, or the weights do not sum to 1.
    """

    rule: str
    members: tuple[MemberConfig, ...]

    def __post_init__(self) -> None:
        require_choice("rule", self.rule, tuple(RULES))
        if not self.members:
            raise ConfigError("a blend has no member; give at least one")
        total = sum(member.weight for member in self.members)
        if abs(total - 1) > 1e-6:
            raise ConfigError(f"the members' weights sum to {total:g}; they must sum to 1")


class Blend(nn.Module):
    """Scores s = sum_m w_m c(s_m), with c the rule that makes scores comparable.

    Attributes:
        rule: its name.
        weights: of the members.
        members: the models, which know the same items.
    """

    def __init__(self, rule: str, weights: Sequence[float], members: Sequence[Recommender]) -> None:
        super().__init__()
        self.rule, self.weights, self.members = rule, tuple(weights), tuple(members)
        for place, member in enumerate(self.members):  # so that tools of PyTorch find their parameters
            if isinstance(member, nn.Module):
                self.add_module(f"member_{place}", member)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.members[0].n_items

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return float32 scores, (n_users, n_items)."""
        total: torch.Tensor | None = None
        for weight, member in zip(self.weights, self.members, strict=True):
            scores = member.score(fold_in)
            if total is None:
                seen = seen_cells(fold_in, scores.device)
            part = RULES[self.rule](scores, seen).mul_(weight)
            total = part if total is None else total.add_(part)
        assert total is not None, "a blend has members"  # noqa: S101
        return total

    def dense_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same from rows with a place for every item, as a graph of tensors: (n_rows, n_items).

        Only where every member has such a graph; see `why_no_graph`.
        """
        seen, parts = x > 0, []
        for weight, member in zip(self.weights, self.members, strict=True):
            parts.append(weight * RULES[self.rule](member.dense_scores(x), seen))  # type: ignore[attr-defined]
        return torch.stack(parts).sum(dim=0)


def seen_cells(fold_in: InteractionMatrix, device: torch.device) -> torch.Tensor:
    """Return where users have items: bool, (n_users, n_items)."""
    seen = np.zeros(fold_in.shape, dtype=np.bool_)
    seen[np.repeat(np.arange(fold_in.n_users), fold_in.counts()), fold_in.indices] = True
    return torch.from_numpy(seen).to(device)


def blend_config(document: Mapping[str, Any]) -> BlendConfig:
    """Return the settings of a blend's folder.

    Raises:
        ConfigError: a value breaks its rule.
        KeyError, TypeError: they are not a blend's.
    """
    return BlendConfig(
        rule=document["rule"], members=tuple(MemberConfig(**member) for member in document["members"])
    )


def member_state(state: Mapping[str, torch.Tensor], place: int) -> dict[str, torch.Tensor]:
    """Return the parameters of one member among those of a blend."""
    prefix = f"{place}/"
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def joined_state(states: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Return the members' parameters as a blend's."""
    return {f"{place}/{name}": value for place, state in enumerate(states) for name, value in state.items()}


def load_blend(
    config: BlendConfig, n_items: int, state: Mapping[str, torch.Tensor], device: torch.device | str = "cpu"
) -> Blend:
    """Return the blend with the parameters `state`.

    Raises:
        CheckpointError: they do not fit the members' configurations or the number of items.
        ConfigError: a member's configuration breaks a rule.
    """
    places = {name.split("/", 1)[0] for name in state}
    if places != {str(place) for place in range(len(config.members))}:
        raise CheckpointError(f"the file does not hold the weights of {len(config.members)} members")
    members = [
        load_recommender(
            member.model,
            config_from_dict(member.model, member.config),
            n_items,
            member_state(state, place),
            device,
        )
        for place, member in enumerate(config.members)
    ]
    return Blend(config.rule, [member.weight for member in config.members], members)


def settings_of(config: BlendConfig) -> dict[str, Any]:
    """Return a blend's settings as its card shows them: a line a member."""
    lines: dict[str, Any] = {"rule": config.rule}
    for place, member in enumerate(config.members, 1):
        own = ", ".join(f"{name}={short(value)}" for name, value in member.config.items())
        lines[f"member {place}"] = (
            f"{member.weight:.4g} x {member.model} ({member.name}): {own or 'no settings'}"
        )
    return lines


def why_no_graph(blend: Blend, config: BlendConfig) -> str | None:
    """Return why the blend's scores cannot be exported as a graph of tensors; None where they can."""
    if config.rule == "ranks":
        return "it goes by ranks, which turn over where two scores differ by a rounding; blend with --rule standardized"
    for member, described in zip(blend.members, config.members, strict=True):
        if not hasattr(member, "dense_scores"):
            return f"the scores of its member {described.name} ({described.model}) are no graph of tensors"
    return None


def total_bytes(state: Mapping[str, torch.Tensor]) -> int:
    """Return the size of parameters as they are stored: bytes."""
    return sum(value.numel() * value.element_size() for value in state.values())
