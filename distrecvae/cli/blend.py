"""`distrecvae blend`: several finished runs, and the one model that is better than each."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from distrecvae.cli.parts.names import complete_metric
from distrecvae.cli.parts.output import say
from distrecvae.metrics import METRICS

# `distrecvae.blending` and the results folders have these; they are not imported here so that --help starts fast.
_RULES = ("auto", "standardized", "log-softmax", "ranks")
_MAX_MEMBERS, _BEST_TRIALS = 5, 5


@click.command("blend", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "--data", required=True, metavar="DIR", help="Dataset folder, or its URI, that they were trained on."
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR",
              help="Results folder.  [default: RUN/blend of one search, runs/blend-DATA]")  # fmt: skip
@click.option("--metric", default=METRICS[0], show_default=True, shell_complete=complete_metric,
              help="Maximised on validation users: ndcg@10, recall@20, mrr, ...")  # fmt: skip
@click.option("--rule", type=click.Choice(_RULES), default=_RULES[0], show_default=True,
              help="How scores are made comparable, a user at a time; auto chooses.")  # fmt: skip
@click.option("--max-members", type=click.IntRange(1), default=_MAX_MEMBERS, show_default=True, metavar="N",
              help="Members at most.")  # fmt: skip
@click.option("--best-trials", type=click.IntRange(1), default=_BEST_TRIALS, show_default=True, metavar="N",
              help="Trials of each search that are candidates: its best, whose models are kept.")  # fmt: skip
@click.option("--max-bytes", type=click.IntRange(1), metavar="N",
              help="Most bytes that all weights may take; item-item weights are thinned to fit.")  # fmt: skip
@click.option("--max-latency", type=click.FloatRange(0, min_open=True), metavar="MS",
              help="Milliseconds that scoring one user may take, measured here.")  # fmt: skip
@click.option("--refit", is_flag=True,
              help="Once chosen, train the members again on training and validation users together.")  # fmt: skip
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1.  [default: cuda if there is a GPU]")
@click.option("--threads", type=click.IntRange(1), metavar="N", help="CPU threads.  [default: all cores]")
def command(
    runs: tuple[Path, ...], data: str, out: Path | None, metric: str, rule: str, max_members: int, best_trials: int,
    max_bytes: int | None, max_latency: float | None, refit: bool, device: str | None, threads: int | None,
) -> None:  # fmt: skip
    """Make one model of several finished ones, usually better than each.

    RUN is a results folder: of a search (its best trials are candidates), of one trial
    (RUN/trials/00007), of a training (every seed), of a comparison (each of its searches). All must
    be of the same data set. Each model's scores are made comparable, a user at a time, and averaged
    with weights. Members and weights are chosen on validation users, from the best model on by adding
    what helps most; the choice is made again without each fifth of them, so that the validation score
    is honest. Test users are scored once, for the blend and for each member, and each gain has its
    standard error. With --refit the members are trained again before that, on the validation users,
    too: more data, nothing chosen by it.

    The blend is a model: `evaluate`, `recommend` and `export` take its folder.

    \b
    Examples:
      distrecvae blend runs/recvae-mine --data data/mine
      distrecvae blend runs/recvae-mine runs/ease-mine --data data/mine \\
          --out runs/mine-blend
      distrecvae blend runs/compare-mine --data data/mine --max-latency 2 \\
          --max-bytes 30000000
      distrecvae blend runs/compare-mine --data data/mine --refit --out runs/ship
    """
    from distrecvae.api.blending import blend_in
    from distrecvae.blending.choice import Wish
    from distrecvae.blending.costs import Limits
    from distrecvae.data.prepared import read_data

    wish = Wish(metric=metric, rule=rule, max_members=max_members, limits=Limits(max_bytes, max_latency))
    with _progress() as stage:
        made = blend_in(
            runs, read_data(data), out=out, wish=wish, best_trials=best_trials, device=device, threads=threads,
            stage=stage, refit=refit,
        )  # fmt: skip
    say(made.summary)
    best = shlex.quote(str(made.folder / "best"))
    say(
        f"\nmodel    {made.folder / 'best'}\nresults  {made.folder}\n\nnext:\n"
        f"  distrecvae evaluate --model {best} --data {shlex.quote(data)}\n"
        f"  distrecvae recommend --model {best} --histories histories.csv --out recommendations.parquet"
    )


@contextmanager
def _progress() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Yield a function that hears what has begun and how far it is: bars on stderr where someone watches."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:

        def stage(what: str) -> Callable[[int, int], None]:
            task = bars.add_task(what, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        yield stage
