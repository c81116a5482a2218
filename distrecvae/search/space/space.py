"""SearchSpace: which of a model's settings are searched, in which ranges, and where the search begins.

A space is read from YAML (docs/spaces.md) and checked against the model's config class, so that a trial can only get a
configuration that the model accepts. Optuna sees the same parameters in every trial: of a `one_of`, every branch's
parameters are drawn and only the chosen branch's are used, so that no sampler falls back to independent draws because
the space varies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from optuna.trial import BaseTrial

from distrecvae.checks import Scalar, is_whole
from distrecvae.errors import SpaceError, nearest
from distrecvae.search.space.checks import base_config, check_against_model
from distrecvae.search.space.distributions import nearest_value
from distrecvae.search.space.edges import Edge, edges
from distrecvae.search.space.files import available_spaces, read_space
from distrecvae.search.space.likely import Likely, expected, parse_likely
from distrecvae.search.space.parameters import Parameter, parse_parameter
from distrecvae.search.space.relative import Sizes

__all__ = ["SearchSpace", "available_spaces"]

_KEYS = ("model", "description", "source", "max_passes", "fixed", "parameters", "likely", "default")


@dataclass(frozen=True)
class SearchSpace:
    """The searched settings of one model.

    Attributes:
        model: the model's name in the registry.
        parameters: the searched entries by name, in the order of the file.
        base: the first trial's whole configuration, JSON-able; what is not searched keeps these values.
        description: one line on what the space is for.
        source: where its ranges come from.
        asked: the entries that depended on the data, as they were written; `parameters` has what they came to.
        max_passes: data passes that a trial needs at most; None where the space does not say.
        sizes: of the training set that they were resolved on; None where nothing was.
        likely: where the best values are expected, by setting.
    """

    model: str
    parameters: Mapping[str, Parameter]
    base: Mapping[str, Any]
    description: str = ""
    source: str = ""
    asked: Mapping[str, Parameter] = field(default_factory=dict)
    sizes: Sizes | None = None
    max_passes: int | None = None
    likely: Mapping[str, Likely] = field(default_factory=dict)

    @classmethod
    def load(
        cls, source: str | Path, *, model: str | None = None, config_class: type | None = None
    ) -> SearchSpace:
        """Return the space in a file, checked against its model's config class.

        Args:
            source: a packaged space's name (`available_spaces`), or a path (it has a separator or a suffix).
            model: the model that the space must be for; None accepts whichever it names.
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
        sections = {key: _section(content, key) for key in ("fixed", "parameters", "likely", "default")}
        config_class = config_class or _registered(named)
        parameters = {
            str(name): parse_parameter(str(name), raw) for name, raw in sections["parameters"].items()
        }
        base = base_config(config_class, parameters, sections["fixed"], sections["default"])
        check_against_model(config_class, parameters, base)
        passes = content.get("max_passes")
        if passes is not None and (not is_whole(passes) or passes < 1):
            raise SpaceError(f"max_passes is {passes!r}; it must be a whole number, at least 1")
        description, source = _line(content, "description"), _line(content, "source")
        likely = parse_likely(sections["likely"], parameters)
        return cls(named, parameters, base, description, source, max_passes=passes, likely=likely)

    @property
    def relative(self) -> bool:
        """Whether anything depends on the data; such a space is `resolved` before anything is drawn from it."""
        expects = self.sizes is None and any(each.size for each in self.likely.values())
        return expects or any(parameter.relative for parameter in self.parameters.values())

    def resolved(self, sizes: Sizes, *, config_class: type | None = None) -> SearchSpace:
        """Return the space on a training set: each range that depends on its size has numbers for ends.

        The start belongs to every range, wherever the data puts its ends: they move out as far as there.

        Args:
            sizes: of the training set.
            config_class: the frozen dataclass to check against; None asks the registry.

        Raises:
            SpaceError: a range makes no sense on this data, or the model refuses it.
        """
        if not self.relative:
            return self
        asked = {name: parameter for name, parameter in self.parameters.items() if parameter.relative}
        parameters = {name: each.resolved(sizes, self.base) for name, each in self.parameters.items()}
        check_against_model(config_class or _registered(self.model), parameters, self.base)
        return replace(self, parameters=parameters, asked=asked, sizes=sizes)

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

    def moved_inside(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return `config`, maybe of other data, with its values moved into the ranges that depend on the data."""
        moved = dict(config)
        for name in self.asked:
            for field_, distribution in self.parameters[name].leaves(config):
                moved[field_] = nearest_value(distribution, config[field_])
        return moved

    def edges(self, config: Mapping[str, Any], *, config_class: type | None = None) -> tuple[Edge, ...]:
        """Return the values of a whole `config` at the edge of their ranges; see `distrecvae.search.space.edges`."""
        return edges(self.parameters, config, config_class or _registered(self.model))

    def expected(self) -> dict[str, tuple[float, float | None]]:
        """Return where the best values are expected, and `Likely.within`, by Optuna parameter."""
        return expected(self.likely, self.parameters, self.sizes)

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
        """Return (name, range, start) rows in words; of a range that depends on the data what was asked for, too."""
        rows = []
        for name, parameter in self.parameters.items():
            own = parameter.rows(name, self.base)
            asked = (
                self.asked[name].asked(self.sizes) if name in self.asked and self.sizes else [""] * len(own)
            )
            for (label, text, first), words in zip(own, asked, strict=True):
                rows.append((label, f"{text}, asked: {words}" if words else text, first))
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form; two spaces are the same if these are equal."""
        form: dict[str, Any] = {
            "model": self.model,
            "description": self.description,
            "source": self.source,
            "parameters": {name: parameter.to_dict() for name, parameter in self.parameters.items()},
            "base": dict(self.base),
        }
        if self.max_passes is not None:
            form["max_passes"] = self.max_passes
        if self.likely:
            form["likely"] = {name: each.to_dict() for name, each in self.likely.items()}
        if self.sizes is not None:
            form["asked"] = {name: parameter.to_dict() for name, parameter in self.asked.items()}
            form["sizes"] = self.sizes.to_dict()
        return form

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> SearchSpace:
        """Return the space that `to_dict` gave.

        Raises:
            SpaceError: something else gave it.
        """
        try:
            parameters, asked = (
                {name: parse_parameter(name, raw) for name, raw in entries.items()}
                for entries in (form["parameters"], form.get("asked", {}))
            )
            likely = parse_likely(form.get("likely", {}), asked | parameters)
            return cls(
                form["model"],
                parameters,
                dict(form["base"]),
                form["description"],
                form["source"],
                asked,
                Sizes(**form["sizes"]) if "sizes" in form else None,
                form.get("max_passes"),
                likely,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise SpaceError(f"not a stored search space ({error!r})") from None


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
