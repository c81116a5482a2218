"""Runs a search that is impatient, with the options of `python -m distrecvae.search`: minutes become seconds."""

from __future__ import annotations

from distrecvae.cli import main
from distrecvae.search.core import silence
from distrecvae.search.on_ray import interruption, keeping
from distrecvae.storage import mirror

if __name__ == "__main__":
    # A worker must begin within the second: on a machine under a load of 36 that took 25 s.
    silence.NAMED_S, silence.STOPPED_S = 4.0, 40.0
    interruption.STALLED_S = keeping.HANGS_AFTER_S = 6.0
    mirror.EVERY_S = 0.5
    main(command="search", prog_name="python -m distrecvae.search")
