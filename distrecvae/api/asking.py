"""What a search is asked to do, typed or called: settings, space, and the folder for results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from distrecvae.api.folders import results_place
from distrecvae.api.settings_file import read_settings
from distrecvae.dotted import trust
from distrecvae.errors import ConfigError
from distrecvae.layout import SEARCH_FILE
from distrecvae.metrics import trust_in
from distrecvae.search.core.config import DEMO, SearchConfig

if TYPE_CHECKING:
    from distrecvae.search.space.space import SearchSpace

DEMO_SETTINGS: dict[str, Any] = {"trials": 12, "max_passes": 60}
"""What a search without data is: small enough for three minutes on two cores."""

UNCOUNTED = 100_000
"""Trials of a comparison where only the time is bounded."""


class Asked(NamedTuple):
    """A search that was asked for.

    Attributes:
        config: its settings.
        folder: for results.
        resume: it resumes what lies there.
        space: what is searched, where the folder says so; None where the settings do.
        uri: where the folder is mirrored; None for nowhere.
        grow_to: trials asked for by this call, where the search may have been steered to fewer; None for none.
    """

    config: SearchConfig
    folder: Path
    resume: bool
    space: SearchSpace | None
    uri: str | None = None
    grow_to: int | None = None


def asked_search(
    given: Mapping[str, Any],
    *,
    config_file: str | None = None,
    out: Path | str | None = None,
    name: str | None = None,
    resume: bool = False,
    resume_or_start: bool = False,
    extend: Path | str | None = None,
    working_copy: Path | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> Asked:
    """Return the search that options or arguments ask for.

    Args:
        given: settings that were given, by their names in `SearchConfig`.
        config_file: YAML file of more of them.
        out: the results folder, or a URI as text.
        name: of a results folder below runs/.
        resume: resume the search there.
        resume_or_start: resume it, or start it.
        extend: resume the search in this folder, or at this URI, by its own settings.
        working_copy: of a URI; None for the usual place.
        tell: is told what is fetched from a URI.

    Raises:
        ConfigError: they contradict each other, or a setting breaks its rule.
        ResultsError: there is nothing to continue with.
        StorageError: what lies at a URI cannot be read.
    """
    if extend is not None:
        others = {"--out": out, "--name": name, "--config": config_file, "--resume": resume}
        for option, value in {**others, "--resume-or-start": resume_or_start}.items():
            if value:
                raise ConfigError(
                    f"--extend {extend} says where and how the search continues; leave {option} out"
                )
        from distrecvae.search.folder.extension import begun_search

        place = results_place(extend, None, "", resume=True, working_copy=working_copy, tell=tell)
        config, space = begun_search(place.folder, given)
        grow_to = None if given.get("trials") is None else config.trials
        return Asked(config, place.folder, True, space, place.uri, grow_to)
    _trust_named(given)
    from_file = read_settings(config_file) if config_file else {}
    demo = {} if "data" in given or from_file.get("data") else DEMO_SETTINGS
    config = SearchConfig.from_mapping({**demo, **from_file, **given}, source=config_file or "command line")
    if resume and resume_or_start:
        raise ConfigError(
            "--resume and --resume-or-start: the second one resumes where there is something; give one"
        )
    place = results_place(
        out,
        name,
        default_name(config),
        resume=resume or resume_or_start,
        must_exist=resume,
        working_copy=working_copy,
        tell=tell,
    )
    begun = resume_or_start and (place.folder / SEARCH_FILE).exists()
    return Asked(config, place.folder, resume or begun, None, place.uri)


def asked_comparison(given: Mapping[str, Any], *, config_file: str | None = None) -> SearchConfig:
    """Return the settings that the searches of a comparison have in common.

    Raises:
        ConfigError: a setting breaks its rule.
    """
    _trust_named(given)
    settings = {**(read_settings(config_file) if config_file else {}), **given}
    if "time_budget_s" in settings:
        settings.setdefault("trials", UNCOUNTED)
    return SearchConfig.from_mapping(settings, source=config_file or "command line")


def _trust_named(given: Mapping[str, Any]) -> None:
    """Trust the code that a person named in an option, or passed as an argument."""
    if isinstance(model := given.get("model"), str):
        trust(model)
    for name in ("metric", "metrics"):
        if isinstance(words := given.get(name), str):
            trust_in(words)


def default_name(config: SearchConfig) -> str:
    """Return the default name of the first search of this model on this data."""
    return f"{config.model.rpartition(':')[2]}-{data_name(config)}"


def data_name(config: SearchConfig) -> str:
    """Return the part of a default name that comes from the data set."""
    return DEMO if config.data is None else Path(config.data).resolve().name
