"""`distrecvae cluster init`: a cluster's file, from the package."""

from __future__ import annotations

from pathlib import Path

import click

from distrecvae.cli.parts.output import say
from distrecvae.search.doctor.cluster.making import CLUSTERS, make_cluster_file

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group("cluster", context_settings=_CONTEXT)
def command() -> None:
    """Begin a cluster: write its file, say what to change in it and what to type next.

    \b
    Example:
      distrecvae cluster init aws
    """


@command.command("init", context_settings=_CONTEXT)
@click.argument("kind", type=click.Choice(list(CLUSTERS)))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Where to write it.  [default: its name in the package, here]")  # fmt: skip
def init(kind: str, out: Path | None) -> None:
    """Write a cluster's file: of `ray up` on AWS, Google Cloud or machines of your own, or of KubeRay.

    It is the file of that kind in the repository's cluster/, with what belongs to it (AWS: two IAM
    policies; Kubernetes: the image's Dockerfile) beside it. Nodes are given the package as it is
    installed here. Nothing is written over, and no account is asked.

    \b
    Examples:
      distrecvae cluster init aws
      distrecvae cluster init on-prem --out machines/lab.yaml
    """
    made = make_cluster_file(kind, out)
    say(f"wrote {', '.join(map(str, made.files))}")
    say(f"\nto change in {made.files[0]} (and see its first lines):")
    for number, line in made.changes:
        say(f"  {number:>4}  {line}")
    say("\nthen:")
    for typed in made.commands:
        say(f"  {typed}")
