"""What shells complete by name: models, search spaces, configurations. Nothing heavy is imported for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from distrecvae.metrics import KINDS, METRICS
from distrecvae.packaged import packaged_file, packaged_names
from distrecvae.search.core.config import ALL

SPACES, CONFIGS = "search_spaces", "configs"


def model_names() -> tuple[str, ...]:
    """Return the registry's names without its PyTorch: each model has a packaged space of its own name."""
    return tuple(name for name in packaged_names(SPACES) if _is_of(name))


def complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:  # noqa: ARG001
    """Complete a model."""
    return _items(model_names(), incomplete)


def complete_metric(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:  # noqa: ARG001
    """Complete a metric."""
    names = [f"{kind}@{k}" for kind in KINDS for k in (10, 20, 50, 100)]
    return _items([*METRICS, *names], incomplete)


def complete_space(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:  # noqa: ARG001
    """Complete a packaged search space, or a file."""
    return _items(packaged_names(SPACES), incomplete) or _file(incomplete)


def complete_config(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:  # noqa: ARG001
    """Complete a packaged configuration, or a file."""
    return _items(packaged_names(CONFIGS), incomplete) or _file(incomplete)


def complete_entrants(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    incomplete: str,
) -> list[CompletionItem[Any]]:
    """Complete the last one of a comparison's searches, A,B,...: none is taken twice."""
    listed, comma, last = incomplete.rpartition(",")
    known = (*model_names(), *packaged_names(SPACES), *packaged_names(CONFIGS), ALL)
    free = [name for name in dict.fromkeys(known) if name not in listed.split(",")]
    return _items([f"{listed}{comma}{name}" for name in free], f"{listed}{comma}{last}")


def _items(names: Iterable[str], incomplete: str) -> list[CompletionItem[Any]]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _file(incomplete: str) -> list[CompletionItem[Any]]:
    return [CompletionItem(incomplete, type="file")]


def _is_of(name: str) -> bool:
    space = packaged_file(SPACES, name)
    return space is not None and f"model: {name}" in space.read_text(encoding="utf-8").splitlines()
