"""Owns SearchSpace: which of a model's settings are searched, in which ranges, and where the search begins.

A space is read from YAML (docs/spaces.md) and checked against the model's config class, so that a trial can
only get a configuration that the model takes. Optuna sees the same parameters in every trial: of a `one_of`,
every branch's parameters are drawn and only the chosen branch's are used, so that no sampler falls back to
blind draws for want of a fixed space.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import BaseTrial

from distrecvae.checks import Scalar
from distrecvae.errors import SpaceError, nearest
from distrecvae.search.space.checks import base_config, check_against_model
from distrecvae.search.space.files import available_spaces, read_space
from distrecvae.search.space.parameters import Parameter, parse_parameter

__all__ = ["SearchSpace", "available_spaces"]

_KEYS = ("model", "description", "source", "fixed", "parameters", "default")


@dataclass(frozen=True)
class SearchSpace:
    """The searched settings of one model.

    Attributes:
        model: the model's name in the registry.
        parameters: the searched entries by name, in the order of the file.
        base: the first trial's whole configuration, JSON-able; what is not searched keeps these values.
        description: one line on what the space is for.
        source: where its ranges come from.
    """

    model: str
    parameters: Mapping[str, Parameter]
    base: Mapping[str, Any]
    description: str = ""
    source: str = ""

    @classmethod
    def load(
        cls, source: str | Path, *, model: str | None = None, config_class: type | None = None
    ) -> SearchSpace:
        """Return the space in a file, checked against its model's config class.

        Args:
            source: a packaged space's name (`available_spaces`), or a path (it has a separator or a suffix).
            model: the model that the space must be for; None takes whichever it names.
            config_class: the frozen dataclass to check against; None asks the registry.

        Raises:
            SpaceError: the file is missing or breaks a rule.
        """
        name, content = read_space(source)
        try:
            return cls.from_mapping(content, model=model, config_class=config_class)
        except SpaceError as error:
            raise SpaceError(f"{name}: {error}") from None

    @classmethod
    def from_mapping(
        cls, content: object, *, model: str | None = None, config_class: type | None = None
    ) -> SearchSpace:
        """Return the space that a parsed YAML file describes; arguments and errors as for `load`."""
        if not isinstance(content, Mapping):
            found = "is empty" if content is None else f"holds {type(content).__name__}, not a mapping"
            raise SpaceError(f"{found}; a search space has at least `model` and `parameters`")
        for key in content:
            if key not in _KEYS:
                hint = nearest(str(key), _KEYS) or f"; known are {', '.join(_KEYS)}"
                raise SpaceError(f"unknown key {key!r}{hint}")
        named = content.get("model")
        if not isinstance(named, str):
            raise SpaceError("has no model; write for example `model: recvae`")
        if model is not None and named != model:
            raise SpaceError(f"is a space for model {named!r}, not for {model!r}; choose another space")
        sections = {key: _section(content, key) for key in ("fixed", "parameters", "default")}
        config_class = config_class or _registered(named)
        parameters = {
            str(name): parse_parameter(str(name), raw) for name, raw in sections["parameters"].items()
        }
        base = base_config(config_class, parameters, sections["fixed"], sections["default"])
        check_against_model(config_class, parameters, base)
        return cls(named, parameters, base, _line(content, "description"), _line(content, "source"))

    def suggest(self, trial: BaseTrial) -> dict[str, Any]:
        """Return the whole configuration of `trial`, JSON-able: every field of the model's config."""
        config = dict(self.base)
        for name, parameter in self.parameters.items():
            config |= parameter.suggest(trial, name)
        return config

    @property
    def starts_as_published(self) -> bool:
        """Whether the first trial is the published configuration: the model's defaults, where its class says so."""
        config_class = _registered(self.model)
        # Of the class itself: a model that extends another one's settings does not inherit its standing.
        published = vars(config_class).get("PUBLISHED", False)
        return bool(published) and dict(self.base) == base_config(config_class, {}, {}, {})

    @property
    def start_name(self) -> str:
        """What texts call the first trial: "published", or "starting" where a space starts elsewhere."""
        return "published" if self.starts_as_published else "starting"

    def default_config(self) -> dict[str, Any]:
        """Return the configuration that the search starts from, JSON-able."""
        return dict(self.base)

    def default_point(self) -> dict[str, Any]:
        """Return the Optuna parameters of the start, for `study.enqueue_trial`."""
        point: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            point |= parameter.internal(name, self.base)
        return point

    def internal_point(self, config: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the Optuna parameters for which `suggest` gives `config`, or None.

        Fields that `config` lacks are the start's. None: no trial of this space can have this configuration.
        """
        if any(field not in self.base for field in config):
            return None
        whole = {**self.base, **{field: _listed(value) for field, value in config.items()}}
        searched = {field for parameter in self.parameters.values() for field in parameter.fields}
        if any(whole[field] != self.base[field] for field in whole if field not in searched):
            return None
        point: dict[str, Any] = {}
        try:
            for name, parameter in self.parameters.items():
                point |= parameter.internal(name, whole)
        except SpaceError:
            return None
        return point

    def flatten(self, config: Mapping[str, Any]) -> dict[str, Scalar]:
        """Return the searched values of a whole `config`: scalars by column, None in branches not chosen."""
        columns: dict[str, Scalar] = {}
        for name, parameter in self.parameters.items():
            columns |= parameter.flatten(name, config)
        return columns

    def names(self) -> tuple[str, ...]:
        """Return the columns of `flatten`, in order."""
        return tuple(self.flatten(self.base))

    def describe(self) -> list[tuple[str, str, str]]:
        """Return (name, range, start) rows in words."""
        return [row for name, parameter in self.parameters.items() for row in parameter.rows(name, self.base)]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form; two spaces are the same if these are equal."""
        return {
            "model": self.model,
            "description": self.description,
            "source": self.source,
            "parameters": {name: parameter.to_dict() for name, parameter in self.parameters.items()},
            "base": dict(self.base),
        }

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> SearchSpace:
        """Return the space that `to_dict` gave.

        Raises:
            SpaceError: something else gave it.
        """
        try:
            parameters = {name: parse_parameter(name, raw) for name, raw in form["parameters"].items()}
            return cls(form["model"], parameters, dict(form["base"]), form["description"], form["source"])
        except (KeyError, TypeError, AttributeError) as error:
            raise SpaceError(f"not a stored search space ({error!r} is amiss)") from None


def _section(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    if key == "parameters" and key not in content:
        raise SpaceError("has no parameters; list what is searched, or write `parameters: {}` for one trial")
    section = content.get(key, {})
    if not isinstance(section, Mapping):
        raise SpaceError(f"{key} is {section!r}; it must be a mapping, {{}} for nothing")
    for name in section:
        if not isinstance(name, str):
            raise SpaceError(f"{key}: {name!r} is not text; a name in it may need quotes")
    return section


def _line(content: Mapping[str, Any], key: str) -> str:
    text = content.get(key, "")
    if not isinstance(text, str):
        raise SpaceError(f"{key} is {text!r}; it must be text")
    return " ".join(text.split())


def _registered(model: str) -> type:
    import distrecvae.training.registry as registry  # torch comes with it: only where no class was given

    if not registry.is_known(model):
        hint = nearest(model, registry.names()) or f"; known are {', '.join(registry.names())}"
        raise SpaceError(f"unknown model {model!r}{hint}")
    config_class: type = registry.config_class(model)
    return config_class


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
