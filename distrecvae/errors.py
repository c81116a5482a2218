"""Every exception that distrecvae raises on purpose.

A message is one line made of three parts: the value that was met, the rule that it breaks, the remedy. The command
line prints it as `error: MESSAGE` and exits with status 2; a library user catches `DistrecvaeError`. Anything else
that escapes is a bug of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

UNEXPECTED = 70
"""Exit status of a command that met an unexpected error, a bug of ours or of a library: EX_SOFTWARE."""


LOST = 75
"""Exit status of a search whose Ray went away under it, or did not start; it can be resumed as it is: EX_TEMPFAIL."""


class DistrecvaeError(Exception):
    """Base of everything raised on purpose; its message is for the person who typed the command."""


class DataError(DistrecvaeError):
    """A file, a table or a prepared dataset folder is not what it should be."""


class ConfigError(DistrecvaeError, ValueError):
    """A model's or a command's settings break a rule."""


class SpaceError(DistrecvaeError, ValueError):
    """A search space names unknown parameters, impossible ranges, or another model."""


class ResourceError(DistrecvaeError):
    """The machine or the cluster does not have what was asked for (GPUs, cores, memory, disk).

    Attributes:
        passing: it may pass by itself: a machine that is too busy to start Ray in time.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class ResultsError(DistrecvaeError):
    """An output folder is in use, belongs to something else, or is incomplete."""


class CheckpointError(DistrecvaeError):
    """A model or trainer-state file cannot be read or does not fit."""


class StorageError(DistrecvaeError):
    """An object store cannot be reached, or refuses.

    Attributes:
        passing: it may pass by itself: a network, a server that fails.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class DivergedError(DistrecvaeError):
    """Training produced a value that is not finite; the trial ends, the search continues."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'X'?"`` for the known name closest to `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
