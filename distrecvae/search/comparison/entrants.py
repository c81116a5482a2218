"""Who takes part in a comparison: models, search spaces and configurations by their names, each a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from distrecvae.dotted import is_dotted, trust
from distrecvae.errors import ConfigError, nearest
from distrecvae.runs.configuration import available_configs, read_config
from distrecvae.search.core.config import ALL, SearchConfig
from distrecvae.search.launch import load_space, one_trial_without_parameters
from distrecvae.search.space.space import SearchSpace, available_spaces
from distrecvae.training import registry


@dataclass(frozen=True)
class Entrant:
    """One search of a comparison.

    Attributes:
        name: its row's and its folder's name.
        config: the settings of its search.
        space: what is searched.
    """

    name: str
    config: SearchConfig
    space: SearchSpace


def entrants(names: Sequence[str], config: SearchConfig) -> list[Entrant]:
    """Return the searches of a comparison, in the order asked for.

    Args:
        names: models, search spaces (packaged names or paths), or packaged configurations, which are one trial each;
            "all" stands for every model.
        config: the settings that all have in common; its model and space are not looked at. Without a sampler all have
            the same one, whatever their spaces say is likely: no model is to have a head start.

    Raises:
        ConfigError: a name is unknown or there twice, or there is none.
        SpaceError: a search space breaks a rule.
    """
    config = replace(config, sampler=config.proposer)
    wanted = [each for name in names for each in (registry.names() if name == ALL else (name,))]
    if not wanted:
        raise ConfigError("--models names nothing to compare; write for example --models recvae,ease or all")
    found: dict[str, Entrant] = {}
    for name in wanted:
        entrant = _entrant(name, config)
        if entrant.name in found:
            raise ConfigError(f"--models has {entrant.name!r} twice; each is searched once, leave one out")
        found[entrant.name] = entrant
    return list(found.values())


def _entrant(name: str, config: SearchConfig) -> Entrant:
    trust(name)  # a person has listed it
    if registry.is_known(name):
        own = replace(config, model=name, space=None)
        space = load_space(own)
    elif name in available_spaces() or name.endswith((".yaml", ".yml")) or "/" in name:
        space = SearchSpace.load(name)
        own = replace(config, model=space.model, space=name)
    elif name in available_configs():
        model, settings = read_config(None, name, ())
        space = SearchSpace.from_mapping({"model": model, "parameters": {}, "fixed": settings})
        own = replace(config, model=model, space=None)
    else:
        known = (*registry.names(), *available_spaces(), *available_configs())
        hint = nearest(name, known) or f"; known are {', '.join(registry.names())}"
        raise ConfigError(f"--models: {name!r} is not a model, search space or configuration{hint}")
    return Entrant(_row_name(name), one_trial_without_parameters(own, space), space)


def _row_name(name: str) -> str:
    """Return what a search is called in its comparison, and its folder: a dotted name by its last part."""
    return name.rpartition(":")[2] if is_dotted(name) else Path(name).stem
