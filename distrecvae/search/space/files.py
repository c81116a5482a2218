"""Finds search spaces and reads their YAML: packaged ones by name, any file by path."""

from __future__ import annotations

import re
from collections.abc import Hashable
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from distrecvae.errors import SpaceError, nearest
from distrecvae.packaged import is_path, packaged_file, packaged_names
from distrecvae.regular import read_regular
from distrecvae.training.others import is_other
from distrecvae.typed import MisfitError, yaml_value

FOLDER = "search_spaces"


def read_space(source: str | Path) -> tuple[str, object]:
    """Return the display name and the parsed content of a space given by packaged name or by path.

    A path has a separator or ends with .yaml, .yml or .json; anything else is a name of `available_spaces`.

    Raises:
        SpaceError: there is no such file or name, or its content is not YAML.
    """
    if isinstance(source, Path) or is_path(source):
        path: Traversable = Path(source)
        if not path.is_file():
            raise SpaceError(f"{source}: no such file; give a search space's path, or one of {_names()}")
    else:
        found = packaged_file(FOLDER, source)
        if found is None and is_other(str(source)):
            raise SpaceError(
                f"{source}: its entry brings no search space; let it have a `space`, as in docs/your-model.md, or give"
                " --space FILE"
            )
        if found is None:
            hint = nearest(source, available_spaces())
            raise SpaceError(f"{source}: no such search space{hint}; choose from {_names()}, or give a path")
        path = found
    return str(source), _parse(str(source), path)


def available_spaces() -> tuple[str, ...]:
    """Return the names of the packaged spaces, sorted."""
    return packaged_names(FOLDER)


def _names() -> str:
    return ", ".join(available_spaces()) or "none (no spaces are installed)"


def _parse(name: str, path: Traversable) -> object:
    try:
        return yaml_value(_text(path), _Loader)
    except OSError as error:
        raise SpaceError(f"{name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SpaceError(f"{name}: is not UTF-8 text; a search space is a YAML file") from None
    except MisfitError as error:
        raise SpaceError(f"{name}: is not a search space: {error}") from None
    except yaml.YAMLError as error:
        raise SpaceError(f"{name}: is not YAML: {_one_line(error)}") from None


def _text(path: Traversable) -> str:
    return read_regular(path).decode() if isinstance(path, Path) else path.read_text(encoding="utf-8")


def _one_line(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem} (line {mark.line + 1}, column {mark.column + 1})"
    return " ".join(str(error).split())


class _Loader(yaml.SafeLoader):
    """YAML that refuses what SafeLoader takes silently: a key given twice, where the last one wins."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        """Return a mapping as it is written, whose keys must differ.

        Checked here, since once it is constructed, `<<` has been expanded, and a key that overrides a merged one may
        occur twice.
        """
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "a name is not text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return node


# PyYAML follows YAML 1.1, where 5e-4 is text; everybody who writes it means a number.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)
