"""`distrecvae top`: the live table of a search that runs elsewhere."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from distrecvae.cli.parts.places import PLACE
from distrecvae.errors import ResultsError

ENDING = (b"q", b"Q", b"\x04")


@click.command("top", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("results", type=PLACE)
@click.option("--once", is_flag=True, help="Print it once and stop, as it does where there is no terminal.")
@click.option(
    "--every", type=click.FloatRange(0.1), default=2.0, show_default=True, help="Seconds between two looks."
)
def command(results: Path | str, once: bool, every: float) -> None:
    """Show how the search in RESULTS stands: which trials run, which lead, which ended last.

    It is read from the folder, or the URI where the search is mirrored, and nothing is written, so the
    search may run on another machine, or in another terminal. The table is redrawn every two
    seconds (give a longer --every at a URI); q or Ctrl-C ends it, and so does the end of the search.

    \b
    Examples:
      distrecvae top runs/recvae-mine
      distrecvae top runs/recvae-mine --once
    """
    from rich.console import Console
    from rich.live import Live

    from distrecvae.search.living.top import standing

    console = Console()
    shown = standing(results)
    if once or not console.is_terminal:
        click.echo(shown.text(console.width if console.is_terminal else 100))
        return
    with _keys() as pressed, Live(shown.screen(), console=console, auto_refresh=False, screen=True) as live:
        while shown.runs and not pressed(every):
            try:
                shown = standing(results)
            except ResultsError:
                if isinstance(results, str) or not results.exists():
                    raise
                continue  # a file is being replaced; what is damaged for good, the next command says
            live.update(shown.screen(), refresh=True)
    console.print(shown.screen())


@contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """Yield a function that waits so many seconds and tells whether a key that ends was pressed meanwhile."""
    if not sys.stdin.isatty():

        def wait(seconds: float) -> bool:
            time.sleep(seconds)
            return False

        yield wait
        return
    import termios
    import tty

    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)

    def pressed(seconds: float) -> bool:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([handle], [], [], left)[0] and os.read(handle, 1) in (*ENDING, b""):
                return True
        return False

    try:
        tty.setcbreak(handle)  # keys come one by one, and Ctrl-C still interrupts
        yield pressed
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)
