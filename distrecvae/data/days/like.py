"""What a data set takes over from an earlier one: how its source was read and split, and its users' groups."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from distrecvae.data.days.matching import Groups
from distrecvae.data.io import GROUPS, OVERLAPPING_FORMAT, PROTOCOL, read_protocol
from distrecvae.data.presets import split_options
from distrecvae.data.remote import fetch
from distrecvae.data.sources.columns import ColumnNames
from distrecvae.data.splitting.options import BROUGHT, SplitOptions
from distrecvae.data.stored.tables import load_ids
from distrecvae.errors import ConfigError, DataError
from distrecvae.storage.uri import is_uri

USERS_FILE = "users.parquet"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a source is read, as told; None is not told.

    Attributes:
        columns: columns as told.
        source_format: of a file.
        member: which file of a zip or folder.
        header: whether a text's first line names the columns.
        missing: texts that stand for an id that is not there.
        encoding: of a text.
        max_rows: rows above which a source is refused.
    """

    columns: ColumnNames
    source_format: str | None = None
    member: str | None = None
    header: bool | None = None
    missing: tuple[str, ...] = ()
    encoding: str | None = None
    max_rows: int | None = None

    def recorded(self) -> dict[str, Any]:
        """Return what was told, JSON-able, by the names of options."""
        columns = {f"{each.name}_column": getattr(self.columns, each.name) for each in fields(ColumnNames)}
        others = {
            field.name: getattr(self, field.name) for field in fields(Reading) if field.name != "columns"
        }
        others["format"] = others.pop("source_format")
        others["missing"] = list(self.missing) or None
        return {name: value for name, value in (columns | others).items() if value is not None}

    def over(self, earlier: Mapping[str, Any], *, of_a_file: bool) -> Reading:
        """Return this with what is not told taken from an earlier record; of a table in memory a file's is not."""
        columns = {
            field.name: getattr(self.columns, field.name) or earlier.get(f"{field.name}_column")
            for field in fields(ColumnNames)
        }
        read = replace(
            self,
            columns=ColumnNames(**columns),
            missing=self.missing or tuple(earlier.get("missing", ())),
            max_rows=self.max_rows or earlier.get("max_rows"),
        )
        if not of_a_file:
            return read
        header = earlier.get("header") if self.header is None else self.header
        return replace(
            read,
            header=header,
            source_format=self.source_format or earlier.get("format"),
            member=self.member or earlier.get("member"),
            encoding=self.encoding or earlier.get("encoding"),
        )


@dataclass(frozen=True)
class Like:
    """An earlier data set, as far as the next one is made like it.

    Attributes:
        name: what it is called.
        source: what was read, as its protocol has it.
        preset: the published protocol that it began with; None for none.
        options: of its split.
        reading: how its source was read, as told.
        fingerprints: its own, then those of the data sets that it was made like.
        groups: its users; None where they are in more than one group.
        moments: those that it was split at.
    """

    name: str
    source: Mapping[str, Any]
    preset: str | None
    options: SplitOptions
    reading: Mapping[str, Any]
    fingerprints: tuple[str, ...]
    groups: Groups | None
    moments: Mapping[str, Any] = field(default_factory=dict)

    def require_later(self, moments: Mapping[str, Any]) -> None:
        """Refuse moments before those at which it was split.

        Raises:
            ConfigError: its models were trained on what would be predicted.
        """
        before, now = self.moments.get("valid_from"), moments.get("valid_from")
        if before is not None and now is not None and now < before:
            raise ConfigError(
                f"--like {self.name} trains on what came before {self.moments.get('valid_from_written')}, and"
                f" --valid-from {moments.get('valid_from_written')} is earlier: its models know what would be"
                " predicted; choose a later moment"
            )

    def options_under(self, preset: str | None, given: Mapping[str, Any]) -> SplitOptions:
        """Return the options with those of a preset over them, if one is named, and what is given over both."""
        named = split_options(preset) if preset is not None else self.options
        chosen = replace(named, **{name: value for name, value in given.items() if value is not None})
        if self.options.folds is not None or chosen.folds is not None:
            raise ConfigError(
                f"--like {self.name} with --folds: folds are drawn again each time, no user keeps one; leave one out"
            )
        for name in ("split", "leave"):
            before, now = getattr(self.options, name), getattr(chosen, name)
            if before != now:
                raise ConfigError(
                    f"--like {self.name} was split with --{name} {before}, and --{name} {now} would test by what its"
                    f" models were trained on; leave --{name} out"
                )
        return chosen

    def again(self) -> dict[str, Any]:
        """Return the source that it was made from, as arguments of `prepare_data`: a path, or what synthetic data is.

        Raises:
            ConfigError: it was a table in memory.
        """
        path = self.source.get("path")
        if path is not None:
            return {"source": Path(str(path))}
        if self.source.get("format") != "synthetic":
            raise ConfigError(f"--like {self.name} was made from a table in memory; give a source")
        return {"source": None, **{name: self.source[name] for name in ("users", "items", "seed")}}

    def record(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the next data set's protocol says of this one, JSON-able.

        Args:
            given: options that were newly given, by their names.
        """
        default = SplitOptions()
        own = {
            field.name: getattr(self.options, field.name)
            for field in fields(SplitOptions)
            if getattr(self.options, field.name) != getattr(default, field.name)
        }
        anew = sorted(name for name, value in given.items() if value not in (None, (), []))
        taken = {name: value for name, value in (own | dict(self.reading)).items() if name not in anew}
        return {"name": self.name, "fingerprints": list(self.fingerprints), "taken": taken, "given": anew}


def read_like(folder: Path | str) -> Like:
    """Return the data set in a folder, or at a URI, as one to make the next like.

    Raises:
        DataError: there is none, or it is damaged.
        ConfigError: it was split already when it was read, so that there is nothing to take over.
    """
    if is_uri(folder):
        with tempfile.TemporaryDirectory(prefix="distrecvae-") as copy:
            fetch(str(folder), (PROTOCOL, USERS_FILE), Path(copy))
            return replace(read_like(copy), name=str(folder))
    protocol = read_protocol(folder)
    try:
        sizes = [int(protocol["n_users"][group]) for group in GROUPS]
        fingerprint = str(protocol["fingerprint"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{Path(folder) / PROTOCOL} lacks {error}; run `distrecvae prepare` again") from error
    if protocol["format"] == OVERLAPPING_FORMAT:
        return like_of(str(folder), protocol, fingerprint, None)
    user_ids = load_ids(Path(folder) / USERS_FILE, kind="user_id", n_ids=sum(sizes))
    return like_of(str(folder), protocol, fingerprint, Groups(user_ids, group_codes(sizes)))


def group_codes(sizes: list[int]) -> np.ndarray[Any, np.dtype[np.int8]]:
    """Return the group of each user, int8, from how many are in train, valid and test."""
    return np.repeat(np.arange(3, dtype=np.int8), sizes)


def like_of(name: str, protocol: Mapping[str, Any], fingerprint: str, groups: Groups | None) -> Like:
    """Return a data set, whose protocol is `protocol`, as one to make the next like.

    Raises:
        ConfigError: it was split already when it was read, so that there is nothing to take over.
        DataError: the protocol's options are not those of a split.
    """
    options = protocol.get("options")
    if not isinstance(options, Mapping) or options.get("split") == BROUGHT:
        raise ConfigError(
            f"--like {name}: it was read as split already, and has no options to take over; give them instead"
        )
    try:
        options = SplitOptions(**options)
        earlier = [str(each) for each in (protocol.get("like") or {}).get("fingerprints", ())]
        source, reading = dict(protocol.get("source") or {}), dict(protocol.get("reading") or {})
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"--like {name}: its {PROTOCOL} is damaged ({error}); prepare it again") from error
    return Like(
        name, source, protocol.get("preset"), options, reading, (fingerprint, *earlier), groups,
        dict(protocol.get("moments") or {}),
    )  # fmt: skip
