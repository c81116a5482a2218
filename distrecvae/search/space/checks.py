"""The check of a space against a model's config class: names, types, ranges, and the start."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from distrecvae.errors import SpaceError, nearest
from distrecvae.search.space.parameters import OneOf, Parameter


def base_config(
    config_class: type,
    parameters: Mapping[str, Parameter],
    fixed: Mapping[str, Any],
    default: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the first trial's configuration: the class's defaults under `fixed` under `default`, JSON-able.

    Raises:
        SpaceError: a name is no field of the class, or stands where it does not belong.
    """
    known = [field.name for field in dataclasses.fields(config_class) if field.init]
    searched = {field for parameter in parameters.values() for field in parameter.fields}
    _check_names(parameters, known)
    for section, entries in (("fixed", fixed), ("default", default)):
        for name in entries:
            if name not in known:
                raise SpaceError(f"{section}: unknown parameter {name!r}{_hint(str(name), known)}")
    for name in fixed:
        if name in searched:
            raise SpaceError(f"{name}: is both fixed and searched; keep one")
    for name in default:
        if name not in searched:
            raise SpaceError(f"default: {name} is not searched; move it to fixed")
    base = _defaults(config_class) | dict(fixed) | dict(default)
    for name in known:
        if name not in base:
            raise SpaceError(f"{name}: the model has no default for it; give one under fixed or default")
    return {name: _jsonable(base[name]) for name in known}


def check_against_model(
    config_class: type, parameters: Mapping[str, Parameter], base: Mapping[str, Any]
) -> None:
    """Build the model's config at the start and at the ends of every range, relative ranges only once resolved.

    Raises:
        SpaceError: the start is outside of a range, or the model refuses a value in one.
    """
    hints = typing.get_type_hints(config_class)
    for name, parameter in parameters.items():
        if parameter.relative:
            continue
        for field, distribution in parameter.leaves():
            _check_simplex(field, distribution, base[field], hints.get(field))
        for values in parameter.extremes():
            for field, value in values.items():
                if not _fits(hints.get(field), value):
                    wanted = getattr(hints[field], "__name__", str(hints[field]))
                    raise SpaceError(f"{field}: {value!r} is in the range, but the model takes {wanted}")
            if error := refusal(config_class, {**base, **values}):
                shown = ", ".join(
                    f"{field}={value!r}" for field, value in values.items() if value is not None
                )
                raise SpaceError(f"{name}: the model refuses {shown or 'null'}: {error}")
        try:
            parameter.internal(name, base)
        except SpaceError as outside:
            raise SpaceError(
                f"default: {outside}; widen the range or set another start under default"
            ) from None
    if error := refusal(config_class, base):
        raise SpaceError(f"default: the model refuses it: {error}")


def _check_names(parameters: Mapping[str, Parameter], known: list[str]) -> None:
    owner: dict[str, str] = {}
    for name, parameter in parameters.items():
        if isinstance(parameter, OneOf) and name in known:
            raise SpaceError(f"{name}: a one_of needs a name of its own, this is a parameter of the model")
        for field in parameter.fields:
            if field not in known:
                raise SpaceError(f"{field}: unknown parameter{_hint(field, known)}")
            if field in owner:
                raise SpaceError(f"{field}: is given twice, in {owner[field]} and in {name}; keep one")
            owner[field] = name


def _hint(name: str, known: list[str]) -> str:
    return nearest(name, known) or f"; the model has {', '.join(known) or 'no parameters'}"


def _check_simplex(field: str, distribution: Any, base: Any, hint: Any) -> None:
    components = getattr(distribution, "components", None)
    if components is None:
        return
    wanted = len(base) if isinstance(base, list) else _tuple_length(hint)
    if wanted is None:
        raise SpaceError(f"{field}: a simplex gives a list of weights, but this parameter is a single value")
    if len(components) != wanted:
        raise SpaceError(f"{field}: {len(components)} components, but the model takes {wanted} weights")


def _tuple_length(hint: Any) -> int | None:
    for option in typing.get_args(hint) if _is_union(hint) else (hint,):
        if typing.get_origin(option) is tuple and Ellipsis not in typing.get_args(option):
            return len(typing.get_args(option))
    return None


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _fits(hint: Any, value: Any) -> bool:
    # Only plain annotations are judged (int, float, bool, str, None, unions); the rest is the config's.
    options = typing.get_args(hint) if _is_union(hint) else (hint,)
    if isinstance(value, list) or not all(o in (int, float, bool, str, type(None)) for o in options):
        return True
    return type(value) in options or (type(value) is int and float in options)


def made(config_class: type, values: Mapping[str, Any]) -> Any:
    """Return a model's config with these values; lists become tuples."""
    return config_class(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def refusal(config_class: type, values: Mapping[str, Any]) -> str | None:
    """Return in a line why a model's config class refuses these values; None if it accepts them."""
    try:
        made(config_class, values)
    except (ValueError, TypeError) as error:  # ConfigError is a ValueError
        return " ".join(str(error).split())
    return None


def _defaults(config_class: type) -> dict[str, Any]:
    values = {}
    for field in dataclasses.fields(config_class):
        if field.default is not dataclasses.MISSING:
            values[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            values[field.name] = field.default_factory()
    return values


def _jsonable(value: Any) -> Any:
    return [_jsonable(v) for v in value] if isinstance(value, list | tuple) else value
