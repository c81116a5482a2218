"""`distrecvae evaluate`: a saved model against a dataset's held-out users, and against an earlier model."""

from __future__ import annotations

from pathlib import Path

import click

from distrecvae.cli.parts.output import print_scores, say
from distrecvae.cli.parts.places import PLACE


@click.command("evaluate", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--model", "folder", type=PLACE, required=True, metavar="DIR",
              help="Results folder of `train` or `search`, or the best/ in it; or its URI.")  # fmt: skip
@click.option("--data", type=click.Path(), required=True, metavar="DIR", help="Dataset folder, or its URI.")
@click.option("--against", type=PLACE, metavar="DIR",
              help="An earlier model, on the same users; the last line is `ship it` or `keep`.")  # fmt: skip
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
    folder: Path | str,
    data: str,
    against: Path | str | None,
    group: str,
    metrics: str | None,
    device: str | None,
    threads: int | None,
) -> None:
    """Score a saved model on held-out users, alone or against an earlier one.

    Items that a model does not know are counted and reported: fold-in items are dropped, held-out
    items are misses, users of whom it knows nothing are left out. Against an earlier model, `ship
    it` means a better NDCG@100, or first of --metrics, by a paired test over the users (p < 0.05);
    all else is `keep`.

    \b
    Examples:
      distrecvae evaluate --model runs/published/best --data data/mine
      distrecvae evaluate --model runs/today --against runs/yesterday \\
          --data data/today
    """
    from distrecvae.api.evaluating import scores_against, scores_of
    from distrecvae.data.prepared import read_data
    from distrecvae.saved.model import load_model
    from distrecvae.training.device import usable_device, use_threads

    use_threads(threads)
    place = usable_device(device)
    loaded = load_model(folder, place)
    earlier = None if against is None else load_model(against, place)
    prepared = read_data(data)
    scored = scores_of(loaded, prepared, group, name=str(folder), metrics=metrics)
    if earlier is None:
        for note in scored.notes:
            say(note, err=True)
        print_scores({group: scored})
        return
    old = scores_of(earlier, prepared, group, name=str(against), metrics=",".join(scored.names))
    both = scores_against(scored, old)
    for note in (*both.notes, *both.against.notes):
        say(note, err=True)
    print_scores({"new": both, "old": both.against})
    say(both.verdict)
