"""The `distrecvae` command: a group that imports a command only when it is used, and how errors are shown."""

from __future__ import annotations

import errno
import gc
import importlib
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from distrecvae import __version__
from distrecvae.errors import LOST, UNEXPECTED, DistrecvaeError, ResourceError
from distrecvae.job import REFUSED
from distrecvae.signals import INTERRUPTED, handled
from distrecvae.words import first_line, printable

# Import order is listing order. A command's module holds a click command called `command`.
COMMANDS = {
    "prepare": "read a user-item file, split it by users, write a dataset folder",
    "search": "tune a model on a dataset, on this machine or a Ray cluster",
    "compare": "tune several models under one budget and say which is best",
    "tables": "make a comparison's tables again, LaTeX included, or several's as one",
    "published": "run a paper's models as published, print our scores beside theirs",
    "report": "write a search's report, one page with its figures",
    "list": "list the searches below a folder",
    "top": "show the state of a search that runs elsewhere",
    "steer": "ask a running search to stop, add, narrow, pause ...",
    "continue": "continue a trial that has ended, from its checkpoint",
    "why": "say why a trial was proposed, and how it lost or won",
    "reproduce": "train a trial again and compare it report by report",
    "clean": "say what can be removed from a search's folder, and remove it",
    "blend": "blend several finished models into one, better than each",
    "train": "train one configuration and score it on the test users",
    "evaluate": "score a saved model on held-out users",
    "recommend": "write each user's best items, from a file of histories",
    "export": "write a saved model as ONNX or as a PyTorch program",
    "doctor": "say what this machine offers a search, and what to mend",
    "cluster": "write a cluster's file, for `ray up` or Kubernetes",
    "completion": "print the script that completes these commands in a shell",
}

_PLACES = {"tables": "paper.tables", "published": "paper.published", "continue": "continue_"}
"""Where commands lie that are in a folder of their own, or whose name no module can have."""


class LazyGroup(click.Group):
    """A group whose commands are imported on use, so that `--help` and `prepare` start without PyTorch and Ray."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the command names in the order of a first day's work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command, or None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"distrecvae.cli.{_PLACES.get(cmd_name, cmd_name)}").command
        assert isinstance(command, click.Command)  # noqa: S101  (ours to get right)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
        """Complete a command without importing it, or an option of the group."""
        names = [
            CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="distrecvae")
def cli() -> None:
    """Find the best RecVAE for a table of user-item interactions.

    \b
    A first day:
      distrecvae search                                  try it on synthetic data
      distrecvae prepare ratings.csv --out data/mine     make a dataset
      distrecvae search --data data/mine                 tune on it
    """


def main(
    arguments: list[str] | None = None, *, prog_name: str = "distrecvae", command: str | None = None
) -> None:
    """Run the command line and exit: 0 done, 2 bad input, 70 a bug, 75 a Ray that did not start, 130 interrupted.

    A bug is a traceback on stderr, the others are a line.

    Args:
        arguments: what was typed; `sys.argv[1:]` if None.
        prog_name: the name that usage lines show.
        command: run this command instead of the group (`python -m distrecvae.search`).
    """
    # Imports make a million objects that stay: looking through them again and again took a tenth of a search's start.
    gc.set_threshold(50_000, 20, 20)
    entry: click.Command = cli
    if command is not None:
        entry = importlib.import_module(f"distrecvae.cli.{command}").command
    try:
        with _terminated_as_interrupted():
            result = entry.main(args=arguments, prog_name=prog_name, standalone_mode=False)
    except DistrecvaeError as error:
        _fail(str(error), LOST if isinstance(error, ResourceError) and error.passing else REFUSED)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in _STORAGE_TROUBLE:
            _unexpected()
        _fail(f"{error.filename or 'output'}: {_STORAGE_TROUBLE[error.errno]}")
    except Exception as error:
        if not _out_of_memory(error):
            _unexpected()
        _fail(
            f"out of memory ({first_line(error)}); lower batch_size or the model's sizes, or take a larger machine"
        )
    sys.exit(result if isinstance(result, int) else 0)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does, temporary files removed; some commands do better."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    unheard = (n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) == signal.SIG_DFL)
    with handled(interrupt, unheard):
        yield


_STORAGE_TROUBLE = {
    errno.ENOSPC: "the disk is full; free some space, or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; free some space, or write elsewhere",
    errno.EROFS: "the file system is read-only; write elsewhere",
    errno.EACCES: "permission denied; write elsewhere, or ask the owner",
    errno.EIO: "the storage fails (input/output error); repair it, or write elsewhere",
    errno.ESTALE: "the network storage is gone (stale file handle); mount it again, or write elsewhere",
    errno.ENOTDIR: "a part of this path is a file, not a folder; choose another",
    errno.EISDIR: "this is a folder, not a file; choose another",
    errno.ENAMETOOLONG: "the path is too long; choose a shorter one",
    errno.ENOENT: "it is missing; check that the storage is still there",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n)",
}


def _unexpected() -> NoReturn:
    """Print the current error's traceback, and exit with a status after which `distrecvae.job` restarts the search."""
    traceback.print_exc()
    sys.exit(UNEXPECTED)


def _out_of_memory(error: Exception) -> bool:
    """Tell whether an error means out of memory: Python's, PyTorch's of a GPU (not imported for it) or of a CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error)
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in said or "size calculation over" in said
    )


def _fail(message: str, status: int = REFUSED) -> None:
    click.echo(f"error: {printable(' '.join(message.split()))}", err=True)
    sys.exit(status)
