"""`distrecvae steer`: sends a request to a running search."""

from __future__ import annotations

from pathlib import Path

import click

from distrecvae.cli.parts.output import say
from distrecvae.cli.parts.places import PLACE


@click.command(
    "steer",
    context_settings={
        "help_option_names": ["-h", "--help"], "max_content_width": 100, "ignore_unknown_options": True,
    },
)  # fmt: skip
@click.argument("results", type=PLACE)
@click.argument("action")
@click.argument("words", nargs=-1)
def command(results: Path | str, action: str, words: tuple[str, ...]) -> None:
    """Send a request to the search that runs in RESULTS, a folder or a URI, and print its answer.

    \b
    What can be asked:
      stop 17 18                  end these trials; they keep their scores
      add learning_rate=0.001 ... try this configuration next; settings not given
                                  are where the space starts
      add FILE                    the same, of a configuration's file
      narrow gamma=0.003:0.006    draw from a smaller range from now on
      widen gamma=0.0001:0.1      from a larger one
      fix batch_size=64           from one value
      trials 200                  so many trials in all
      concurrent 4                so many at a time
      pause, go                   give all workers back; take them again
      end                         stop all trials, publish the best model

    Requests are carried out in order and written to the ledger, so they are a part of the search:
    --resume repeats them. What cannot be done is answered with the reason.

    \b
    Example:
      distrecvae steer runs/recvae-mine narrow gamma=0.003:0.006
    """
    from distrecvae.api.living import request_from
    from distrecvae.search.living.steer import steer

    say(steer(results, request_from(results, action, words)))
