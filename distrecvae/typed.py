"""Reads JSON as dataclasses, and refuses what does not fit them: which field, what it is, what it must be; and YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import AliasChoices, Field, TypeAdapter, ValidationError

from distrecvae.regular import read_regular
from distrecvae.words import LONGEST, first_line

Read = TypeVar("Read")


class MisfitError(ValueError):
    """A file's JSON does not fit its type; the text names the field, the value and the rule, in a line."""


def read_as(*names: str) -> Any:
    """Return what annotates a field that files have under one of several names, as earlier versions wrote them."""
    return Field(validation_alias=AliasChoices(*names))


def read_typed(path: Path, wanted: type[Read]) -> Read:
    """Return the dataclass that a JSON file describes.

    Nothing is converted: text is not a number, 1 is not true, 1.5 is not a whole number. Every field without a default
    must be there, and none that the dataclass does not have. Its own rules (`__post_init__`) hold, too.

    Raises:
        MisfitError: the file is not JSON, or does not fit.
        OSError: it cannot be read.
    """
    return typed_json(read_regular(path), wanted)


def typed_json(data: bytes, wanted: type[Read]) -> Read:
    """Return the dataclass that a JSON text describes, by the rules of `read_typed`.

    Raises:
        MisfitError: it is not JSON, or does not fit.
    """
    try:
        return TypeAdapter(wanted).validate_json(data, strict=True, extra="forbid")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    field, rule = ".".join(map(str, first["loc"])), first["msg"]
    if first["type"] == "json_invalid":
        raise MisfitError(rule[:LONGEST])
    if first["type"] in ("missing", "unexpected_keyword_argument"):
        raise MisfitError(f"{field}: {rule.lower()}")
    if first["type"] == "value_error":  # a rule of the dataclass itself says what was met
        raise MisfitError(f"{field + ': ' if field else ''}{first['ctx']['error']}"[:LONGEST])
    raise MisfitError(f"{field + ' is ' if field else ''}{first['input']!r:.60}: {rule}")


def yaml_value(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """Return what a YAML text holds.

    Raises:
        yaml.YAMLError: it is not YAML.
        MisfitError: it is, and holds what cannot be: a date without such a day, a number of thousands of digits,
            brackets without end.
    """
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506  (a SafeLoader)
    except RecursionError:
        raise MisfitError("it is nested too deeply") from None
    except (ValueError, OverflowError) as error:
        raise MisfitError(f"a value in it is impossible: {first_line(error)}") from None
