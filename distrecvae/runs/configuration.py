"""How a configuration is read: a packaged one by name, a file, ``name=value`` words, a model's config.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from distrecvae.errors import ConfigError, nearest
from distrecvae.packaged import is_path, packaged_file, packaged_names
from distrecvae.regular import read_regular
from distrecvae.storage.fetched import on_this_machine
from distrecvae.storage.uri import is_uri, parted
from distrecvae.training.registry import config_class, config_from_dict, config_to_dict
from distrecvae.typed import MisfitError, yaml_value
from distrecvae.words import one_line

DEFAULT_MODEL = "recvae"
FOLDER = "configs"


def available_configs() -> tuple[str, ...]:
    """Return the names of the packaged configurations, sorted."""
    return packaged_names(FOLDER)


def read_config(
    model: str | None, source: str | Path | None, words: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    """Return the model's name and whole configuration: defaults, under the source's settings, under `words`.

    Args:
        model: the name asked for; None takes the source's, or RecVAE.
        source: a packaged configuration's name (`available_configs`), or a path: it has a separator, or ends with
            .yaml, .yml or .json, or there is a file and no configuration of that name; or a URI. Files are YAML or
            JSON, either plain settings or ``{"model": ..., "config": {...}}`` as in a model folder.
        words: ``name=value`` each; values are YAML scalars or lists, and ``none`` is null.

    Raises:
        ConfigError: there is no such configuration, it or a word cannot be read, a setting is unknown or breaks a
            rule, or the models differ.
    """
    named, settings = (None, {}) if source is None else _from_source(source)
    if model is not None and named is not None and model != named:
        raise ConfigError(
            f"{source} configures {named}, but --model is {model}; leave --model out or take another --config"
        )
    chosen = model or named or DEFAULT_MODEL
    config_class(chosen)
    return chosen, config_to_dict(config_from_dict(chosen, {**settings, **_from_words(words)}))


def _from_source(source: str | Path) -> tuple[str | None, dict[str, Any]]:
    if not is_uri(source):
        return _from_file(str(source), _located(source))
    folder, name = parted(str(source))
    with on_this_machine(folder, lambda each: each == name) as copy:
        return _from_file(str(source), copy / name)


def _located(source: str | Path) -> Traversable:
    """Return the file that is meant."""
    if isinstance(source, Path) or is_path(source):
        return Path(source)
    found = packaged_file(FOLDER, source)
    if found is not None:
        return found
    if Path(source).is_file():
        return Path(source)
    known = available_configs()
    raise ConfigError(
        f"{source}: no such configuration{nearest(source, known)}; choose from {', '.join(known)}, or give a file"
    )


def _from_file(name: str, path: Traversable) -> tuple[str | None, dict[str, Any]]:
    try:
        text = read_regular(path).decode() if isinstance(path, Path) else path.read_text(encoding="utf-8")
        content = yaml_value(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, MisfitError) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise ConfigError(
            f"{name} cannot be read as YAML or JSON ({reason}); give a file of settings"
        ) from None
    if content is None:
        return None, {}
    if not isinstance(content, Mapping):
        raise ConfigError(f"{name} holds a {type(content).__name__}; it must be a mapping of settings")
    if "config" not in content:
        return None, {str(key): _value(value) for key, value in content.items()}
    model, settings = content.get("model"), content["config"]
    if not isinstance(settings, Mapping) or not isinstance(model, str | None):
        raise ConfigError(f"{name}: config must be a mapping of settings and model a name")
    return model, {str(key): _value(value) for key, value in settings.items()}


def _from_words(words: Sequence[str]) -> dict[str, Any]:
    settings = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.strip():
            raise ConfigError(
                f"{word!r} is not a setting; write --set name=value, such as --set latent_dim=64"
            )
        try:
            settings[name.strip()] = _value(yaml_value(text))
        except (yaml.YAMLError, MisfitError):
            raise ConfigError(
                f"the value of {word!r} cannot be read; write a number, a word or [a, list]"
            ) from None
    return settings


def _value(value: Any) -> Any:
    """Return a YAML value with what YAML 1.1 misses: 5e-4 is a number, none is null, 3/20 a fraction."""
    if isinstance(value, list):
        return [_value(item) for item in value]
    if not isinstance(value, str):
        return value
    if value.lower() == "none":
        return None
    numerator, slash, denominator = value.partition("/")
    try:
        return float(numerator) / float(denominator) if slash else float(value)
    except (ValueError, ZeroDivisionError):
        return value
