"""Tells a URI from a path, and names what lies below one."""

from __future__ import annotations

import hashlib
import os
import re
from os import PathLike
from pathlib import Path
from urllib.parse import urlsplit

from distrecvae.errors import ConfigError

SCHEMES = ("s3", "gs", "abfs", "hdfs", "file")
"""What PyArrow reads and writes by itself, with the credentials that each has in its usual place."""

TRIED = ("s3", "file")
"""Those that the tests of this package use against a server, or a disk."""

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_uri(place: object) -> bool:
    """Tell whether `place` is a URI (``scheme://...``) rather than a path."""
    return isinstance(place, str) and _URI.match(place) is not None


def as_place(text: str | PathLike[str]) -> Path | str:
    """Return a path as one, and a URI as text: a `Path` of it has lost a slash."""
    return text if isinstance(text, str) and is_uri(text) else Path(text)


def below(uri: str, name: str) -> str:
    """Return the URI of the file or folder of that name below another; a query (``?region=...``) stays at the end."""
    place, mark, query = uri.partition("?")
    return f"{place.rstrip('/')}/{name}{mark}{query}"


def parted(uri: str) -> tuple[str, str]:
    """Return the URI of what a URI's last part lies in, and that part's name."""
    place, mark, query = uri.partition("?")
    folder, _, name = place.rstrip("/").rpartition("/")
    return f"{folder}{mark}{query}", name


def require_place(uri: str) -> None:
    """Refuse a URI that says no place for results.

    Raises:
        ConfigError: of a scheme that nobody knows, or without a folder below the bucket.
    """
    parts = urlsplit(uri)
    if parts.scheme not in SCHEMES:
        raise ConfigError(
            f"{uri} is of {parts.scheme}://, which is not one of {', '.join(f'{each}://' for each in SCHEMES)}"
        )
    if not parts.path.strip("/"):
        raise ConfigError(
            f"{uri} names no folder; give one below the bucket, such as {below(uri, 'runs/mine')}"
        )


def default_copy(uri: str) -> Path:
    """Return where the working copy of results at a URI lies: `$XDG_CACHE_HOME/distrecvae/results/NAME-DIGEST`.

    By default that is below `~/.cache`. The name is the URI's last part, and the digest, of all of it, keeps those of
    one name apart.
    """
    place = uri.partition("?")[0].rstrip("/")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", place.rpartition("/")[2]) or "results"
    digest = hashlib.blake2b(place.encode(), digest_size=4).hexdigest()
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "distrecvae" / "results" / f"{name}-{digest}"
