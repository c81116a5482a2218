"""Ray's own schema of a launcher's file, as the installed Ray has it; Ray itself is not imported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, ValidationError

from distrecvae.errors import ResourceError, nearest
from distrecvae.search.doctor.cluster.tree import dig, wrong
from distrecvae.search.doctor.finding import Finding

PLACE = "autoscaler/ray-schema.json"


def against_the_schema(content: dict[str, Any]) -> Iterator[Finding]:
    """Yield what Ray would refuse at `ray up`."""
    for error in sorted(
        Draft7Validator(rays_schema()).iter_errors(content), key=lambda e: list(map(str, e.path))
    ):
        yield from _findings(error)


@cache
def rays_schema() -> dict[str, Any]:
    """Return the schema of the installed Ray.

    Raises:
        ResourceError: Ray is not installed, or has none.
    """
    found = find_spec("ray")
    folders = [] if found is None else list(found.submodule_search_locations or [])
    for folder in folders:
        if (path := Path(folder) / PLACE).is_file():
            return dict(json.loads(path.read_text(encoding="utf-8")))
    raise ResourceError(
        "Ray's schema of cluster files is not here; pip install -c constraints.txt '.[cluster]'"
    )


def _findings(error: ValidationError) -> Iterator[Finding]:
    where = ".".join(map(str, error.path))
    known = dig(error.schema, "properties") or {}
    if error.validator == "additionalProperties":
        for key in error.instance:
            if key not in known:
                rule = f"Ray knows no such key{nearest(str(key), known)}"
                yield wrong(
                    "schema",
                    f"{where}.{key}".lstrip("."),
                    error.instance[key],
                    rule,
                    "mend its name, or remove it",
                )
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                place = f"{where}.{key}".lstrip(".")
                yield wrong(
                    "schema",
                    place,
                    None,
                    "Ray asks for it",
                    "write it; docs/cluster.md names files that have it",
                )
    else:
        wanted = {"type": "of the type", "minimum": "at least", "enum": "one of"}.get(
            str(error.validator), error.validator
        )
        rule = f"Ray wants it {wanted} {error.validator_value!r:.60}"
        yield wrong("schema", where or "the file", error.instance, rule, "write such a value")
