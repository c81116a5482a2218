"""A job's entry point where nothing restarts jobs: it resumes its search after the search's process died.

python -m distrecvae.job --data ... --out ...          the options of `python -m distrecvae.search`
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

from distrecvae.signals import INTERRUPTED, handled, to_hear

PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 300.0, 300.0)
"""How long the job waits before the first restart, the second, ...; after the last one it gives up."""

DONE = frozenset({0, 1, 2, 130})
"""Statuses of a search that has ended, was refused, or was interrupted by somebody: it is not restarted. After any
other it is: a signal, an error that nobody foresaw (`errors.UNEXPECTED`), a Ray that went away (`errors.LOST`)."""

REFUSED = 2


def main(options: Sequence[str]) -> int:
    """Run a search with these options to its end; return its exit status."""
    if not any(option.split("=")[0] in ("--out", "--name", "--help", "-h") for option in options):
        _say("error: a job that is restarted must find its folder; give --out or --name")
        return REFUSED
    going_on = [] if "--resume-or-start" in options else ["--resume-or-start"]
    return keep_going([sys.executable, "-m", "distrecvae.search", *options, *going_on])


def keep_going(command: Sequence[str], pauses_s: Sequence[float] = PAUSES_S) -> int:
    """Run a command, again each time that it dies; return the last exit status.

    SIGTERM and SIGHUP are passed on. Ctrl-C is not: a terminal tells the whole process group. After any of them
    nothing is restarted.

    Args:
        command: what is run; its exit status says whether it has ended.
        pauses_s: how long to wait before each restart.
    """
    child: subprocess.Popen[bytes] | None = None
    heard: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        heard.append(number)
        if child is not None and number != signal.SIGINT:
            child.send_signal(number)

    with handled(note, to_hear()):
        for again in range(len(pauses_s) + 1):
            child = subprocess.Popen(command)  # noqa: S603  (what the person typed)
            if heard:  # while the child was made: it may have missed it
                child.terminate()
            status = child.wait()
            child = None
            ended = f"status {status}" if status >= 0 else f"signal {-status} ({signal.strsignal(-status)})"
            if status in DONE or heard:
                break
            if again == len(pauses_s):
                _say(f"the search ended by {ended} again; after {again} restarts the job gives up")
                break
            _say(
                f"the search ended by {ended}; it restarts in {pauses_s[again]:g} s ({again + 1} of {len(pauses_s)})"
            )
            until = time.monotonic() + pauses_s[again]
            while time.monotonic() < until and not heard:
                time.sleep(0.05)
            if heard:
                return INTERRUPTED
        return status if status >= 0 else 128 - status


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
