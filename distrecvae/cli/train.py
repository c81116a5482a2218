"""Owns `distrecvae train`: one configuration from data to a scored model, and what is shown meanwhile."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distrecvae.cli.output import print_scores
from distrecvae.errors import ConfigError, ResultsError
from distrecvae.metrics import TITLES
from distrecvae.models.choices import AUTO, PRECISION_CHOICES, PRECISION_HELP

if TYPE_CHECKING:
    from distrecvae.data.dataset import Split
    from distrecvae.training.run import RunSettings, TrainingRun

# RunSettings has the defaults; it is not imported here so that --help starts without PyTorch.
INTERRUPTED = 130
SHARE_EVERY_S = 10.0
"""Seconds between two lines on the share of a long step that is done, where there is no terminal."""


@click.command("train", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--data", type=click.Path(), metavar="DIR", help="Dataset folder of `prepare`, or its URI.")
@click.option("--model", metavar="NAME", help="A model of docs/models.md.  [default: recvae]")
@click.option(
    "--config",
    "config_source",
    metavar="NAME|FILE",
    help="A packaged configuration (docs/models.md lists them), or settings in YAML or JSON; also the config.json of "
    "a finished model.",
)
@click.option(
    "--set",
    "words",
    multiple=True,
    metavar="NAME=VALUE",
    help="One setting, over --config's; repeat it. `none` is null.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Results folder.")
@click.option(
    "--max-passes", type=click.IntRange(1), metavar="N", help="Data passes at most.  [default: 200]"
)
@click.option(
    "--patience",
    type=click.IntRange(0),
    metavar="N",
    help="Stop after N passes without a better validation NDCG@100; 0: never.  [default: 40]",
)
@click.option("--seed", type=int, metavar="N", help="Root of all randomness.  [default: 0]")
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1.  [default: cuda if there is a GPU]")
@click.option(
    "--precision",
    type=click.Choice(PRECISION_CHOICES),
    help=f"{PRECISION_HELP[0].upper()}{PRECISION_HELP[1:]}.  [default: {AUTO}]",
)
@click.option("--threads", type=click.IntRange(1), metavar="N", help="CPU threads.  [default: all cores]")
@click.option(
    "--checkpoint-every",
    "checkpoint_every_s",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between checkpoints, at least; a slow disk gets fewer of them.",
)
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
def command(
    data: str | None,
    model: str | None,
    config_source: str | None,
    words: tuple[str, ...],
    out: Path,
    max_passes: int | None,
    patience: int | None,
    seed: int | None,
    device: str | None,
    precision: str | None,
    threads: int | None,
    checkpoint_every_s: float,
    resume: bool,
) -> int:
    """Train one configuration, keep its best model, score it on the test users.

    A pass is one trip over the training users; a RecVAE cycle of 3 encoder passes and 1 decoder
    pass costs 4. Stop it with Ctrl-C, or any other way, and go on with --resume.

    \b
    Examples:
      distrecvae train --data data/mine --out runs/published
      distrecvae train --data data/mine --out runs/small --set latent_dim=64 --set gamma=0.01
      distrecvae train --data data/mine --out runs/joint --config recvae-joint
      distrecvae train --data data/mine --out runs/again --config runs/search/best/config.json
      distrecvae train --out runs/published --resume
    """
    from distrecvae.files import exclusive
    from distrecvae.training import run as runs
    from distrecvae.training.device import usable_device, use_threads

    given = {"max_passes": max_passes, "patience": patience, "seed": seed, "data": data}
    given = {name: value for name, value in given.items() if value is not None}
    configured = bool(model or config_source or words)
    use_threads(threads)
    device = usable_device(device)
    if not resume:
        split, settings = _new_settings(given, model, config_source, words, precision, device)
        _refuse_used(out)
    else:
        split, settings = _old_settings(
            out, given, (model, config_source, words) if configured else None, precision
        )
    with exclusive(out):
        if not resume:
            _refuse_used(out)
        run = runs.TrainingRun(out, settings, split, device=device, checkpoint_every_s=checkpoint_every_s)
        runs.write_settings(out, settings)
        click.echo(
            f"{settings.model} on {split.train.n_users:,} training users x {split.n_items:,} items"
            f" ({split.train.n_interactions:,} interactions), at most {settings.max_passes} passes,"
            f" {settings.precision}"
        )
        if run.passes:
            click.echo(f"going on after {run.passes} passes")
        stopped = _train(run, settings)
        if stopped:
            run.save()
            click.echo(f"stopped after {run.passes} passes; go on with:\n  {_resume_line(out)}")
            return INTERRUPTED
        scores = run.finish()
        best = run.best
        assert best is not None  # noqa: S101  (a finished run has a cycle)
        click.echo(f"\n{run.ended}; best after {best['passes']} passes (cycle {best['cycle']})")
        print_scores(scores)
        click.echo(
            f"\nmodel    {out / runs.BEST_FOLDER}\nhistory  {out / runs.HISTORY_FILE}\n\nnext:\n"
            f"  distrecvae evaluate --model {out / runs.BEST_FOLDER} --data {settings.data}\n"
            f"  distrecvae search --data {settings.data} --model {settings.model}"
        )
    return 0


def _new_settings(
    given: dict[str, Any],
    model: str | None,
    config_source: str | None,
    words: tuple[str, ...],
    precision: str | None,
    device: str,
) -> tuple[Split, RunSettings]:
    """Return the data and the settings of a new run."""
    from distrecvae.data.io import load_dataset
    from distrecvae.training.device import device_facts
    from distrecvae.training.registry import precision_for
    from distrecvae.training.run import RunSettings
    from distrecvae.training.settings import read_config

    if "data" not in given:
        raise ConfigError("--data is missing; give a dataset folder (`distrecvae prepare` makes one)")
    chosen, config = read_config(model, config_source, words)
    split = load_dataset(given["data"])
    settings = RunSettings(
        model=chosen,
        config=config,
        fingerprint=split.fingerprint,
        precision=precision_for(chosen, precision or AUTO, device_facts(device).precision),
        **_with_patience(given),
    )
    return split, settings


def _old_settings(
    out: Path,
    given: dict[str, Any],
    configuration: tuple[str | None, str | None, tuple[str, ...]] | None,
    precision: str | None,
) -> tuple[Split, RunSettings]:
    """Return the data and the settings of the run in `out`, with what was given anew."""
    from distrecvae.data.io import load_dataset
    from distrecvae.training.run import read_settings
    from distrecvae.training.settings import read_config

    settings = read_settings(out)
    if configuration is not None and read_config(*configuration) != (settings.model, settings.config):
        raise ConfigError(f"{out} was begun with another configuration; leave it out or start anew")
    if given.get("seed", settings.seed) != settings.seed:
        raise ConfigError(f"{out} was begun with seed {settings.seed}; leave --seed out, or start anew")
    names = {field.name for field in fields(settings)} & given.keys()
    if precision not in (None, AUTO, settings.precision):
        raise ConfigError(f"{out} was begun in {settings.precision}; leave --precision out, or start anew")
    settings = replace(settings, **_with_patience({name: given[name] for name in names}))
    return load_dataset(settings.data), settings


def _with_patience(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with a patience of 0 as None, never."""
    return {**given, "patience": given["patience"] or None} if "patience" in given else given


def _refuse_used(out: Path) -> None:
    if out.is_dir() and any(path.name != ".lock" for path in out.iterdir()):
        raise ResultsError(
            f"{out} is not empty; --resume goes on with the run in it, or choose another folder"
        )


def _resume_line(out: Path) -> str:
    return f"distrecvae train --out {out} --resume"


def _train(run: TrainingRun, settings: RunSettings) -> bool:
    """Train to the end; return whether it was stopped before by a signal."""
    with _stop_asked() as asked, _shown(settings, run) as show:
        for report in run.cycles():
            show(report)
            if asked() and run.ended is None:
                return True
    return False


@contextmanager
def _stop_asked() -> Iterator[Callable[[], bool]]:
    """Yield a question: has SIGINT or SIGTERM come? A second one stops at once, without saving."""
    seen: list[int] = []

    def note(number: int, _frame: object) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)
        click.echo("\nstopping after this cycle; once more stops now and keeps the last checkpoint", err=True)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Seldom:
    """Passes on what it is told, but not oftener than a log should have it."""

    def __init__(self, tell: Callable[[float], None]) -> None:
        self._tell, self._told_at = tell, time.monotonic()

    def __call__(self, share: float) -> None:
        if time.monotonic() - self._told_at >= SHARE_EVERY_S:
            self._told_at = time.monotonic()
            self._tell(share)


@contextmanager
def _shown(settings: RunSettings, run: TrainingRun) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield what shows a report: a progress bar on a terminal, else a line each."""
    key, title = f"valid/{settings.metric}", TITLES[settings.metric]

    def line(report: dict[str, Any]) -> str:
        best = run.best or report
        loss = f"  loss {report['train/loss']:.2f}" if "train/loss" in report else ""
        return f"{title} {report[key]:.4f}  best {best[key]:.4f}{loss}"

    if not sys.stdout.isatty():
        run.progress = _Seldom(lambda share: click.echo(f"solved {share:.0%}"))
        yield lambda report: click.echo(
            f"passes {report['passes']:4d}  {line(report)}  {report['train_s']:.1f} s"
        )
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from distrecvae.training.registry import solved_at_once

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("passes  {task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        total = 1 if solved_at_once(settings.model) else settings.max_passes
        task = progress.add_task("", total=total, completed=run.passes)
        run.progress = lambda share: progress.update(task, completed=run.passes + share)
        yield lambda report: progress.update(task, completed=report["passes"], description=line(report))
