"""Turns options into the settings of a training run, a new one or one that is resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distrecvae.errors import ConfigError, ResultsError
from distrecvae.layout import CONFIG_FILE, METRICS_FILE
from distrecvae.metrics import METRICS, listed, require_metrics, selecting, trust_in
from distrecvae.precisions import AUTO
from distrecvae.storage.fetched import on_this_machine
from distrecvae.storage.uri import is_uri, parted

if TYPE_CHECKING:
    from distrecvae.data.dataset import Split
    from distrecvae.runs.training_run import RunSettings

Configuration = Callable[[], tuple[str, dict[str, Any]]]
"""Reads a configuration: the model's name, and all of its settings."""


def implied_by_refit(
    given: dict[str, Any], config_source: str | None, seeds: int | None, *, resume: bool
) -> dict[str, Any]:
    """Return the settings that --refit implies: as many passes as were best when the configuration was chosen."""
    from distrecvae.runs.refit import chosen_passes

    if seeds is not None or "patience" in given:
        other = "--patience" if seeds is None else "--seeds"
        raise ConfigError(
            f"--refit with {other}: a refit has no validation users to choose by; leave one of them out"
        )
    if resume or "max_passes" in given:
        return {"refit": True}
    if config_source is None:
        raise ConfigError("--refit needs --config FOLDER/config.json of a finished model, or --max-passes")
    beside = parted(config_source)[0] if is_uri(config_source) else Path(config_source).parent
    with on_this_machine(beside, lambda name: name in (CONFIG_FILE, METRICS_FILE)) as folder:
        return {"refit": True, "max_passes": chosen_passes(folder)}


def new_settings(
    given: dict[str, Any],
    configuration: Configuration | None,
    precision: str | None,
    device: str,
    split: Split | None,
) -> tuple[Split, RunSettings]:
    """Return the data, read unless given, and the settings of a new run."""
    from distrecvae.data.dataset import require_scored
    from distrecvae.data.io import load_dataset
    from distrecvae.runs.configuration import read_config
    from distrecvae.runs.ending import require_a_cycle
    from distrecvae.runs.room import require_memory
    from distrecvae.runs.training_run import RunSettings
    from distrecvae.runs.warm import earlier_config
    from distrecvae.training.device import device_facts
    from distrecvae.training.registry import config_from_dict, memory_bytes, precision_for, require_warm

    if "data" not in given:
        raise ConfigError("--data is missing; give a dataset folder (`distrecvae prepare` makes one)")
    earlier = given.get("warm_weights")
    own = None if earlier is None else earlier_config(Path(earlier))
    chosen, config = (configuration or partial(read_config, None, own, ()))()
    if earlier is not None:
        require_warm(chosen)
        given = {**given, "warm_weights": str(Path(earlier).resolve())}  # other processes read it, too
    split = load_dataset(given["data"]) if split is None else split
    if not given.get("refit"):
        require_scored(split, str(given["data"]), "valid")
    settings = RunSettings(
        model=chosen,
        config=config,
        fingerprint=split.fingerprint,
        precision=precision_for(chosen, precision or AUTO, device_facts(device).precision),
        **_as_kept(given),
    )
    require_metrics(settings.metrics, split.n_items)
    made = config_from_dict(chosen, config)
    require_a_cycle(chosen, made, settings.max_passes)
    if device == "cpu":
        needed, _ = memory_bytes(chosen, made, split.train, precision=settings.precision)
        require_memory(f"training {chosen} with these settings", needed)
    return split, settings


def old_settings(
    out: Path,
    given: dict[str, Any],
    configuration: Configuration | None,
    precision: str | None,
    split: Split | None,
) -> tuple[Split, RunSettings]:
    """Return the data, read unless given, and the settings of the run in `out`, updated by what was given."""
    from distrecvae.data.io import load_dataset
    from distrecvae.runs.training_run import read_settings

    settings = read_settings(out)
    if configuration is not None and configuration() != (settings.model, settings.config):
        raise ConfigError(f"{out} was started with another configuration; leave it out or start over")
    if given.get("refit", settings.refit) != settings.refit:
        raise ConfigError(f"{out} was started without --refit; leave it out, or start over in another folder")
    if given.get("seed", settings.seed) != settings.seed:
        raise ConfigError(f"{out} was started with seed {settings.seed}; leave --seed out, or start over")
    earlier = given.get("warm_weights")
    if earlier is not None and str(Path(earlier).resolve()) != settings.warm_weights:
        begun = settings.warm_weights or "fresh ones"
        raise ConfigError(
            f"{out} was started with the weights of {begun}; leave --warm-weights out, or start over"
        )
    given = {name: value for name, value in given.items() if name != "warm_weights"}
    names = {field.name for field in fields(settings)} & given.keys()
    if precision not in (None, AUTO, settings.precision):
        raise ConfigError(f"{out} was started in {settings.precision}; leave --precision out, or start over")
    kept = _as_kept({name: given[name] for name in names})
    for name in ("metric", "metrics"):
        if kept.get(name, getattr(settings, name)) != getattr(settings, name):
            raise ConfigError(f"{out} was started with another --{name}; leave it out, or start over")
    settings = replace(settings, **kept)
    return load_dataset(settings.data) if split is None else split, settings


def _as_kept(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings as a run stores them: patience 0 becomes None, metrics get their names in files."""
    kept = dict(given)
    for name in ("metric", "metrics"):
        trust_in(str(kept.get(name, "")))
    if "patience" in kept:
        kept["patience"] = kept["patience"] or None
    if "metric" in kept:
        kept["metric"] = selecting(kept["metric"])
    if "metric" in kept or "metrics" in kept:
        names = listed(kept["metrics"]) if "metrics" in kept else METRICS
        chosen = kept.get("metric", METRICS[0])
        kept["metrics"] = names if chosen in names else (chosen, *names)
    return kept


def refuse_used(out: Path) -> None:
    """Refuse a folder for a new run if it is not empty.

    Raises:
        ResultsError: it has.
    """
    if out.is_dir() and any(path.name != ".lock" for path in out.iterdir()):
        raise ResultsError(f"{out} is not empty; --resume resumes the run in it, or choose another folder")
