"""Data: a data set ready to be searched, and the account of how it came about; in memory or in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from distrecvae.data.dataset import Split, require_scored
from distrecvae.data.days.like import Like, Reading, group_codes, like_of
from distrecvae.data.days.matching import Groups
from distrecvae.data.io import is_dataset, load_dataset, read_protocol, save_dataset
from distrecvae.data.presets import split_options
from distrecvae.data.pro_sg import pro_sg_folder, read_pro_sg
from distrecvae.data.sources import read_table
from distrecvae.data.sources.columns import ColumnNames, Told
from distrecvae.data.sources.frames import read_frame
from distrecvae.data.sources.sizes import require_room
from distrecvae.data.split import split_table
from distrecvae.data.splitting.brought import brought_files, read_brought, without_effect
from distrecvae.data.splitting.folds import fold_folders, fold_name
from distrecvae.data.splitting.options import SplitOptions
from distrecvae.data.summary import describe
from distrecvae.data.synthetic import N_ITEMS, N_USERS, synthetic_table
from distrecvae.data.table import InteractionTable
from distrecvae.errors import ConfigError
from distrecvae.files import new_folder
from distrecvae.storage.uri import is_uri

Watcher = Callable[[InteractionTable, SplitOptions, Split], None]
"""Told of a source, of how it was split, and of what came of it."""

Stage = Callable[[str, str], AbstractContextManager[None]]
"""Told what is being done, and to what, while it is done."""


def _quietly(_doing: str, _what: str) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, eq=False)
class Data:
    """Interactions split by users into train, valid and test, and how they came about.

    Attributes:
        split: the interactions.
        protocol: what `dataset.json` says: source, options, counts.
        folder: where the data set lies, a path or a URI; None where it is in memory only.
        name: what results are called by.
        folds: the data sets of all folds, of which this is the first; empty where there are none.
    """

    split: Split
    protocol: Mapping[str, Any]
    folder: str | None = None
    name: str = "data"
    folds: tuple[Data, ...] = field(default=(), repr=False)

    @property
    def fingerprint(self) -> str:
        """Hex digest of the content."""
        return self.split.fingerprint

    def like(self) -> Like:
        """Return this as a data set to make the next like.

        Raises:
            ConfigError: it was split already when it was read, so that there is nothing to take over.
        """
        split = self.split
        sizes = [split.train.n_users, split.valid.n_users, split.test.n_users]
        groups = None if split.overlapping else Groups(split.user_ids, group_codes(sizes))
        return like_of(self.folder or self.name, self.protocol, self.fingerprint, groups)

    def save(self, folder: Path | str) -> Data:
        """Write a new dataset folder, and return the data set that lies there.

        Raises:
            ResultsError: `folder` exists and is not empty.
            DataError: the file system refuses; nothing is left behind.
        """
        if self.folds:
            return self._save_folds(Path(folder))
        save_dataset(self.split, folder, self.protocol)
        return Data(self.split, self.protocol, str(folder), Path(folder).resolve().name)

    def _save_folds(self, folder: Path) -> Data:
        with new_folder(folder) as temporary:
            for number, each in enumerate(self.folds, 1):
                save_dataset(each.split, temporary / fold_name(number), each.protocol)
        name = folder.resolve().name
        folds = tuple(
            replace(each, folder=str(folder / fold_name(number)), name=f"{name}-{fold_name(number)}")
            for number, each in enumerate(self.folds, 1)
        )
        return replace(folds[0], folds=folds)

    def __str__(self) -> str:
        return "\n".join(describe(self.split, self.protocol))

    def __repr__(self) -> str:
        where = "in memory" if self.folder is None else f"in {self.folder}"
        split = self.split
        users = f"{split.train.n_users:,} + {split.valid.n_users:,} + {split.test.n_users:,} users"
        return f"<Data {where}: {users} x {split.n_items:,} items, fingerprint {self.fingerprint[:12]}>"

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def read_data(folder: Path | str) -> Data:
    """Return the data set in a folder, or at a URI; of a folder of folds the first, which knows the others.

    Raises:
        DataError: there is none, or it is damaged.
    """
    if not is_uri(folder) and not is_dataset(folder) and (folders := fold_folders(Path(folder))):
        folds = tuple(map(read_data, folders))
        return replace(folds[0], folds=folds)
    split = load_dataset(folder)
    protocol = {} if is_uri(folder) else read_protocol(folder)
    return Data(split, protocol, str(folder), Path(folder).resolve().name)


def prepare_data(
    source: pd.DataFrame | Path | str | None,
    *,
    columns: ColumnNames | None = None,
    source_format: str | None = None,
    member: str | None = None,
    header: bool | None = None,
    missing: Sequence[str] = (),
    encoding: str | None = None,
    max_rows: int | None = None,
    preset: str | None = None,
    seed: int | None = None,
    users: int | None = None,
    items: int | None = None,
    like: Like | None = None,
    stage: Stage = _quietly,
    watcher: Watcher | None = None,
    **split: Any,
) -> Data:
    """Return a source as a data set in memory; a folder that is split already is read as it is.

    Args:
        source: a DataFrame, whatever `read_table` reads, a folder that is split already, or None for synthetic data.
        columns: columns as told.
        source_format: of a file; None to tell by name and content.
        member: which file of a zip or folder to read.
        header: whether a text's first line names the columns; None to tell by that line.
        missing: texts that stand for an id that is not there; rows with one are left out and counted.
        encoding: of a text; None for what it says itself, or UTF-8.
        max_rows: rows above which a source is refused; None lets the memory decide.
        preset: a published protocol; what is in `split` overrides it.
        seed: of the split, or of synthetic data.
        users: of synthetic data.
        items: of synthetic data.
        like: an earlier data set, whose choices hold where nothing else is given, and whose users keep their groups.
        stage: told what is being done.
        watcher: told of the rows, of a source that is split here.
        **split: options of the split by the names of `SplitOptions`; None where not given.

    Raises:
        DataError: the source cannot be read, or too little is left of it.
        ConfigError: an option is out of its range, or has no effect.
    """
    reading = Reading(
        columns=columns or ColumnNames(), source_format=source_format, member=member, header=header,
        missing=tuple(missing), encoding=encoding, max_rows=max_rows,
    )  # fmt: skip
    others = {"preset": preset, "seed": seed, "like": like, "explain": watcher}
    if isinstance(source, pd.DataFrame):
        of_files = {"format": source_format, "member": member, "header": header, "encoding": encoding}
        for option, value in of_files.items():
            if value is not None:
                raise ConfigError(f"--{option} {value}: a DataFrame is not a file; leave it out")
    elif source is not None and (is_dataset(source) or pro_sg_folder(Path(source))):
        of_reading = {n: v for n, v in reading.recorded().items() if n not in ("format", "member")}
        _refuse_given(source, split | others | of_reading)
        return _already_split(Path(source), stage)
    elif source is not None and (files := brought_files(Path(source), member)):
        if (vain := without_effect(files, split | others)) is not None:
            _refuse_given(source, {vain: True})
        with stage("reading", str(source)):
            brought, protocol = read_brought(Path(source), files, reading, split | {"seed": seed})
            require_scored(brought, str(source), "valid")
        return Data(brought, protocol, name=Path(source).resolve().name)
    own = split | {"seed": None if source is None else seed}
    plan = _Plan(reading, preset, split_options(preset, **own), None, {})
    if like is not None:
        anew = own | {"preset": preset} | reading.recorded()
        reading = reading.over(like.reading, of_a_file=isinstance(source, Path | str))
        plan = _Plan(reading, preset or like.preset, like.options_under(preset, own), like, anew)
    plan.options.require_effect(own)
    times = plan.options.by_time
    if source is None:
        sizes = {
            "n_users": N_USERS if users is None else users,
            "n_items": N_ITEMS if items is None else items,
        }
        made = partial(synthetic_table, **sizes, seed=0 if seed is None else seed)
        return _split(made, "synthetic data", plan, stage, watcher)
    if isinstance(source, pd.DataFrame):
        require_room(len(source), "the DataFrame", reading.max_rows)
        told = Told(columns=reading.columns, missing=reading.missing, times=times)
        return _split(partial(read_frame, source, told), "the DataFrame", plan, stage, watcher)
    read = partial(
        read_table, source, reading.columns, source_format=reading.source_format, member=reading.member,
        header=reading.header, missing=reading.missing, encoding=reading.encoding, max_rows=reading.max_rows,
        times=times,
    )  # fmt: skip
    return _split(read, str(source), plan, stage, watcher)


def _refuse_given(source: Path | str, given: Mapping[str, Any]) -> None:
    """Refuse options of a split for what is split already."""
    for name in (name for name, value in given.items() if value is not None):
        raise ConfigError(
            f"{source} is already split; --{name.replace('_', '-')} has no effect on it: leave it out"
        )


class _Plan(NamedTuple):
    """How a source is read and split, and what that was taken over from; `given` are the options given beside it."""

    reading: Reading
    preset: str | None
    options: SplitOptions
    like: Like | None
    given: Mapping[str, Any]


def _already_split(source: Path, stage: Stage) -> Data:
    """Read a dataset folder, or a folder in Liang et al.'s layout."""
    if is_dataset(source):
        with stage("reading", str(source)):
            return read_data(source)
    folder = pro_sg_folder(source) or source
    with stage("reading", str(folder)):
        split, counts = read_pro_sg(folder)
        require_scored(split, str(folder), "valid")
    protocol = {"source": {"path": str(folder), "format": "pro_sg"}, "options": None, "counts": counts}
    return Data(split, protocol, name=source.resolve().name)


def _split(
    read: Callable[[], InteractionTable],
    what: str,
    plan: _Plan,
    stage: Stage,
    watcher: Watcher | None,
) -> Data:
    with stage("reading", what):
        table = read()
    folds = [
        _split_once(table, what, plan._replace(options=replace(plan.options, fold=number)), stage, watcher)
        for number in range(1, (plan.options.folds or 1) + 1)
    ]
    return folds[0] if plan.options.folds is None else replace(folds[0], folds=tuple(folds))


def _split_once(
    table: InteractionTable, what: str, plan: _Plan, stage: Stage, watcher: Watcher | None
) -> Data:
    options, number = plan.options, f" (fold {plan.options.fold})" if plan.options.folds else ""
    with stage("splitting", f"{table.n_rows:,} rows{number}"):
        split, counts, moments = split_table(table, options, None if plan.like is None else plan.like.groups)
        if plan.like is not None:
            plan.like.require_later(moments)
        if watcher is not None and options.fold == 1:
            watcher(table, options, split)
        require_scored(split, what, "valid")
    protocol: dict[str, Any] = {
        "source": dict(table.source),
        "preset": plan.preset,
        "options": options.recorded(),
        "reading": plan.reading.recorded(),
        "counts": counts.recorded(),
    }
    if moments:
        protocol["moments"] = moments
    if plan.like is not None:
        protocol["like"] = plan.like.record(plan.given)
    path = table.source.get("path")
    if path is not None:
        return Data(split, protocol, name=Path(str(path)).name.split(".")[0] or "data")
    return Data(split, protocol, name="synthetic" if table.source.get("format") == "synthetic" else "data")
