"""Reads a YAML file of a search's settings."""

from __future__ import annotations

from typing import Any

import yaml

from distrecvae.errors import ConfigError
from distrecvae.typed import MisfitError, yaml_value
from distrecvae.words import first_line


def read_settings(path: str) -> dict[str, Any]:
    """Return the settings in a YAML file, keys as in `SearchConfig` (dashes may stand for underscores).

    Raises:
        ConfigError: the file is missing, not YAML, or not a mapping.
    """
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  (a path as the user typed it)
            content = yaml_value(file.read())
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); give a YAML file of settings"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, MisfitError) as error:
        raise ConfigError(
            f"{path}: is not YAML ({first_line(error)}); write one `setting: value` a line"
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path}: holds {type(content).__name__}, not settings; write one `setting: value` a line"
        )
    return {str(key).replace("-", "_"): value for key, value in content.items()}
