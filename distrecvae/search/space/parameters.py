"""The entries of a space: a `Setting` (one field of the config) or a `OneOf` (branches, of which one is used)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from optuna.trial import BaseTrial

from distrecvae.checks import Scalar
from distrecvae.errors import SpaceError
from distrecvae.search.space.distributions import Distribution
from distrecvae.search.space.parsing import parse, resolved
from distrecvae.search.space.relative import Relative, Sizes


class Parameter(Protocol):
    """An entry of a space: it fills one or more fields of the model's config."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the config that it fills, without repetition."""

    def leaves(self, config: Mapping[str, Any] | None = None) -> list[tuple[str, Distribution]]:
        """Return fields and their distributions: all of them, or those that are used in `config`."""

    @property
    def relative(self) -> bool:
        """Whether a range in it depends on the data."""

    def resolved(self, sizes: Sizes, config: Mapping[str, Any]) -> Parameter:
        """Return the entry on a data set, where the start is `config`.

        Raises:
            SpaceError: a range makes no sense there.
        """

    def suggest(self, trial: BaseTrial, name: str) -> dict[str, Any]:
        """Return the value of every field, drawn from `trial`; None where a branch was not chosen."""

    def internal(self, name: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the Optuna parameters for which `suggest` gives the values in `config`.

        Raises:
            SpaceError: a value is outside of its range.
        """

    def extremes(self) -> Iterator[dict[str, Any]]:
        """Yield field values at the ends of the ranges, one range at a time."""

    def rows(self, name: str, config: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """Return (name, range, value in `config`) in words."""

    def asked(self, sizes: Sizes) -> list[str]:
        """Return, for each of `rows`, its range as it was written, empty where it does not depend on the data."""

    def flatten(self, name: str, config: Mapping[str, Any]) -> dict[str, Scalar]:
        """Return the table columns for `config`."""

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping from which `parse_parameter` makes an equal entry."""


@dataclass(frozen=True)
class Setting:
    """One field of the config and its distribution; entry and field have the same name."""

    field: str
    distribution: Distribution

    @property
    def fields(self) -> tuple[str, ...]:
        """The one field."""
        return (self.field,)

    def leaves(self, config: Mapping[str, Any] | None = None) -> list[tuple[str, Distribution]]:  # noqa: ARG002
        """Return the field and its distribution."""
        return [(self.field, self.distribution)]

    @property
    def relative(self) -> bool:
        """Whether its range depends on the data."""
        return isinstance(self.distribution, Relative)

    def resolved(self, sizes: Sizes, config: Mapping[str, Any]) -> Setting:
        """Return the field with its range on a data set."""
        return Setting(self.field, resolved(self.field, self.distribution, sizes, config[self.field]))

    def suggest(self, trial: BaseTrial, name: str) -> dict[str, Any]:
        """Return `{field: drawn value}`."""
        return {self.field: self.distribution.suggest(trial, name)}

    def internal(self, name: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the Optuna parameters of the field's value."""
        return self.distribution.internal(name, config[self.field])

    def extremes(self) -> Iterator[dict[str, Any]]:
        """Yield the ends of the range."""
        for end in self.distribution.ends():
            yield {self.field: end}

    def rows(self, name: str, config: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """Return one row."""
        return [(name, self.distribution.text(), _words(config[self.field]))]

    def asked(self, sizes: Sizes) -> list[str]:
        """Return one text."""
        return [_asked(self.field, self.distribution, sizes)]

    def flatten(self, name: str, config: Mapping[str, Any]) -> dict[str, Scalar]:
        """Return the distribution's columns."""
        return self.distribution.flatten(name, config[self.field])

    def to_dict(self) -> dict[str, Any]:
        """Return the distribution's mapping."""
        return self.distribution.to_dict()


@dataclass(frozen=True)
class OneOf:
    """Branches by name, each a mapping from fields to distributions; the fields of the others are None.

    Optuna draws the parameters of every branch, under `entry/branch/field`, and the branch, under `entry`.
    """

    branches: Mapping[str, Mapping[str, Distribution]]

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of all branches."""
        return tuple(dict.fromkeys(field for branch in self.branches.values() for field in branch))

    def leaves(self, config: Mapping[str, Any] | None = None) -> list[tuple[str, Distribution]]:
        """Return the fields of every branch, or of the one that is set in `config`."""
        chosen = None if config is None else self.active(config)
        return [
            leaf
            for name, branch in self.branches.items()
            if config is None or name == chosen
            for leaf in branch.items()
        ]

    @property
    def relative(self) -> bool:
        """Whether a range in a branch depends on the data."""
        return any(isinstance(distribution, Relative) for _, distribution in self.leaves())

    def resolved(self, sizes: Sizes, config: Mapping[str, Any]) -> OneOf:
        """Return the branches with their ranges on a data set."""
        chosen = self.active(config)
        return OneOf(
            {
                branch: {
                    field: resolved(field, d, sizes, config[field] if branch == chosen else None)
                    for field, d in distributions.items()
                }
                for branch, distributions in self.branches.items()
            }
        )

    def active(self, config: Mapping[str, Any]) -> str | None:
        """Return the first branch whose fields are set in `config` while the others are None, or None."""
        for name, branch in self.branches.items():
            if all((config[field] is not None) == (field in branch) for field in self.fields):
                return name
        return None

    def suggest(self, trial: BaseTrial, name: str) -> dict[str, Any]:
        """Return the drawn values of the drawn branch, None for the other fields."""
        chosen = trial.suggest_categorical(name, tuple(self.branches))
        values: dict[str, Any] = dict.fromkeys(self.fields)
        for branch, distributions in self.branches.items():
            for field, distribution in distributions.items():
                value = distribution.suggest(trial, f"{name}/{branch}/{field}")
                if branch == chosen:
                    values[field] = value
        return values

    def internal(self, name: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the branch and its parameters; those that are not used are in the middle of their range."""
        chosen = self.active(config)
        if chosen is None:
            options = " | ".join(
                f"{branch} ({', '.join(d) or 'nothing'})" for branch, d in self.branches.items()
            )
            raise SpaceError(f"{name}: exactly one branch must be set and the others null: {options}")
        point: dict[str, Any] = {name: chosen}
        for branch, distributions in self.branches.items():
            for field, distribution in distributions.items():
                value = config[field] if branch == chosen else distribution.middle()
                point |= distribution.internal(f"{name}/{branch}/{field}", value)
        return point

    def extremes(self) -> Iterator[dict[str, Any]]:
        """Yield, branch by branch, the ends of each range with the branch's other fields in their middle."""
        for distributions in self.branches.values():
            values = dict.fromkeys(self.fields) | {field: d.middle() for field, d in distributions.items()}
            yield values
            for field, distribution in distributions.items():
                for end in distribution.ends():
                    yield values | {field: end}

    def rows(self, name: str, config: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """Return a row for the choice and one for each branch's fields, indented."""
        chosen = self.active(config)
        rows = [(name, f"one of {' | '.join(self.branches)}", str(chosen))]
        for branch, distributions in self.branches.items():
            for field, distribution in distributions.items():
                value = _words(config[field]) if branch == chosen else "-"
                rows.append((f"  {field} (if {branch})", distribution.text(), value))
        return rows

    def asked(self, sizes: Sizes) -> list[str]:
        """Return an empty text for the choice and one for each branch's fields."""
        return ["", *(_asked(field, distribution, sizes) for field, distribution in self.leaves())]

    def flatten(self, name: str, config: Mapping[str, Any]) -> dict[str, Scalar]:
        """Return a column for the branch's name and the columns of every field."""
        chosen = self.active(config)
        columns: dict[str, Scalar] = {name: chosen}
        for distributions in self.branches.values():
            for field, distribution in distributions.items():
                columns |= distribution.flatten(field, None)
        for field, distribution in self.branches.get(chosen or "", {}).items():
            columns |= distribution.flatten(field, config[field])
        return columns

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping form."""
        return {
            "type": "one_of",
            "branches": {
                b: {f: d.to_dict() for f, d in fields.items()} for b, fields in self.branches.items()
            },
        }


def parse_parameter(name: str, raw: object) -> Parameter:
    """Return the entry that the mapping `raw` describes.

    Raises:
        SpaceError: a rule is broken; the message starts with `name`.
    """
    if not isinstance(raw, Mapping) or raw.get("type") != "one_of":
        return Setting(name, parse(name, raw))
    for key in raw:
        if key not in ("type", "branches"):
            raise SpaceError(f"{name}: unknown key {key!r} for type one_of; it takes type, branches")
    branches = raw.get("branches")
    if not isinstance(branches, Mapping) or len(branches) < 2:
        raise SpaceError(f"{name}: type one_of needs at least 2 branches, each a mapping of parameters")
    parsed: dict[str, dict[str, Distribution]] = {}
    for branch, entries in branches.items():
        if not isinstance(branch, str) or not branch or "/" in branch:
            raise SpaceError(f"{name}: branch name {branch!r} must be text without a slash; quote it")
        if not isinstance(entries, Mapping):
            raise SpaceError(
                f"{name}: branch {branch} is {entries!r}; write its parameters, or {{}} for none"
            )
        parsed[branch] = {
            str(field): _in_branch(f"{name}/{branch}/{field}", d) for field, d in entries.items()
        }
    return OneOf(parsed)


def _in_branch(name: str, raw: object) -> Distribution:
    if isinstance(raw, Mapping):
        if raw.get("type") == "one_of":
            raise SpaceError(f"{name}: a one_of cannot stand in another one's branch; write the branches out")
        choices = raw.get("choices")
        if isinstance(choices, list) and None in choices:
            raise SpaceError(
                f"{name}: null marks the branches not chosen, so it cannot be a choice in a branch"
            )
    return parse(name, raw)


def _asked(field: str, distribution: Distribution, sizes: Sizes) -> str:
    return distribution.asked(field, sizes) if isinstance(distribution, Relative) else ""


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_words(v) for v in value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:.6g}" if isinstance(value, float) else str(value)
