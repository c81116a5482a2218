"""Owns `distrecvae evaluate`: a saved model against a dataset's held-out users."""

from __future__ import annotations

from pathlib import Path

import click

from distrecvae.cli.parts.output import print_scores
from distrecvae.cli.parts.places import PLACE


@click.command("evaluate", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--model", "folder", type=PLACE, required=True, metavar="DIR",
              help="Results folder of `train` or `search`, or the best/ in it; or its URI.")  # fmt: skip
@click.option("--data", type=click.Path(), required=True, metavar="DIR",
              help="Dataset folder, or its URI, with the same items.")  # fmt: skip
@click.option("--group", type=click.Choice(["test", "valid"]), default="test", show_default=True,
              help="The held-out users to score.")  # fmt: skip
@click.option(
    "--metrics",
    metavar="A,B,...",
    help="ndcg@10,map@10,coverage@20, ...; without it, what the model was scored by.",
)
@click.option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1.  [default: cuda if there is a GPU]")
@click.option("--threads", type=click.IntRange(1), metavar="N", help="CPU threads.  [default: all cores]")
def command(
    folder: Path | str, data: str, group: str, metrics: str | None, device: str | None, threads: int | None
) -> None:
    """Score a saved model on held-out users.

    \b
    Example:
      distrecvae evaluate --model runs/published/best --data data/mine
    """
    from distrecvae.api.training import scores_of
    from distrecvae.data.io import load_dataset
    from distrecvae.saved.model import load_model
    from distrecvae.training.device import usable_device, use_threads

    use_threads(threads)
    loaded = load_model(folder, usable_device(device))
    print_scores(
        {group: scores_of(loaded, load_dataset(data), group, names=(str(folder), data), metrics=metrics)}
    )
