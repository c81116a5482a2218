"""The states of a search's trials: what each can be resumed from, in a file of its own under the results folder.

This is the one record of how far a trial's training is kept, beside the ledger, which has what it reported. Whoever
lets a trial continue (after a death, a move, a pause, a `--resume`) lends it `latest`; whoever ends it for good calls
`forget`. A trial's state is durable before the ledger has the report that came with it, so the ledger never knows of
a last model that is not kept; a state that is missing or damaged costs time and nothing else, for a trial is a function
of its task.

Only the driver's machine has these files: workers send what they have, and are lent what they need (`search/on_ray`).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distrecvae.errors import CheckpointError
from distrecvae.files import remove_leftovers, replacing
from distrecvae.layout import STATE_FILE, trial_folder


@dataclass(frozen=True)
class KeptState:
    """A trial's state, as it is kept.

    Attributes:
        path: the file.
        cycle: cycles that the trial had completed; its reports up to there are in the state.
        passes: data passes that it had completed.
        n_bytes: size of the file.
    """

    path: Path
    cycle: int
    passes: int
    n_bytes: int


class TrialStates:
    """The states of one search's trials, by number.

    Args:
        folder: the results folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, trial: int) -> Path:
        """Return where a trial's state lies, or would."""
        return trial_folder(self._folder, trial) / STATE_FILE

    def put(self, trial: int, pieces: Iterable[Any]) -> None:
        """Keep a state in the place of the trial's one before: durable when this returns.

        Args:
            trial: its number.
            pieces: the content, as `state_pieces` gives it.

        Raises:
            OSError: the storage refuses it; the one before is still there.
        """
        with replacing(self.path(trial)) as temporary, temporary.open("wb") as file:
            file.writelines(pieces)

    def latest(self, trial: int) -> KeptState | None:
        """Return the state that a trial can continue from; None where there is none, or it is damaged."""
        from distrecvae.saved.tensors import (
            read_metadata,
        )  # torch, which the process that keeps states does without

        path = self.path(trial)
        try:
            last = read_metadata(path)["history"][-1]
            return KeptState(path, int(last["cycle"]), int(last["passes"]), path.stat().st_size)
        except (CheckpointError, OSError, LookupError, TypeError, ValueError):
            return None

    def forget(self, trial: int) -> None:
        """Remove a trial's state: nobody will resume it."""
        self.path(trial).unlink(missing_ok=True)

    def clean(self, trial: int) -> None:
        """Remove what writers that were killed left beside a trial's state; nobody may be writing it."""
        remove_leftovers(self.path(trial).parent)


class Incoming:
    """A state file that comes in pieces: written beside its place, renamed when it is whole, else removed.

    Args:
        path: where it is to lie.
        n_bytes: how long it will be.

    Attributes:
        received: bytes so far.

    Raises:
        OSError: it cannot be begun.
    """

    def __init__(self, path: Path, n_bytes: int) -> None:
        self.received = 0
        self._n_bytes = n_bytes
        with ExitStack() as begun:
            temporary = begun.enter_context(replacing(path))
            self._file = begun.enter_context(temporary.open("wb"))
            self._held = begun.pop_all()

    @property
    def whole(self) -> bool:
        """Whether all of it has come."""
        return self.received == self._n_bytes

    def take(self, pieces: Iterable[Any]) -> None:
        """Receive the next bytes.

        Raises:
            OSError: the storage refuses them; the file is removed, and the error names its place.
        """
        try:
            for piece in pieces:
                self.received += self._file.write(piece)
        except OSError as error:
            self.drop(error)
            raise

    def commit(self) -> None:
        """Put it into its place, durable.

        Raises:
            OSError: the storage refuses it; the file is removed, and the error names its place.
        """
        self._held.close()

    def drop(self, error: OSError | None = None) -> None:
        """Remove what has come, because of an error or since its sender is gone."""
        reason = error or BrokenPipeError("the sender is gone")
        with suppress(OSError):
            self._held.__exit__(type(reason), reason, None)
