"""`distrecvae doctor`: prints findings as they come, and sets the exit status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click


@click.command("doctor", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--address", metavar="ADDRESS",
              help="Examine the Ray cluster there, too ('auto' or HOST:PORT).  [default: start Ray here]")  # fmt: skip
@click.option("--gpu", is_flag=True,
              help="Try this machine's GPU instead: train and measure on it, at most two minutes.")  # fmt: skip
@click.option("--cluster", type=click.Path(path_type=Path), metavar="FILE",
              help="Examine a cluster's file instead: of `ray up`, of KubeRay, or an IAM policy.")  # fmt: skip
def command(address: str | None, gpu: bool, cluster: Path | None) -> int:
    """Say what this machine offers a search, and what to mend before one.

    It checks versions, cores (as affinity and cgroups leave them), bfloat16 instructions, GPUs, memory,
    /dev/shm, threads, and Ray, which is started for some seconds. Each line that begins with `mend` ends
    with its remedy. The exit status is 0 where all is well and 1 where something must be mended.
    With --cluster nothing is started and no account is asked: the file is checked against Ray's own schema and
    against what goes wrong on clusters; the exit status is 2 where something does.
    With --gpu small trainings run on the GPU: does it multiply bfloat16 rightly, do trainings repeat, continue and
    replay to the bit, does nothing wait, is memory as estimated, are users ranked as on the CPU, and how fast is it?

    \b
    Examples:
      distrecvae doctor
      distrecvae doctor --address auto
      distrecvae doctor --gpu
      distrecvae doctor --cluster cluster/cluster.yaml
    """
    if gpu and address is not None:
        raise click.UsageError("--gpu looks at this machine only; leave --address out")
    if cluster is not None and (gpu or address is not None):
        raise click.UsageError("--cluster looks at a file only; leave --gpu and --address out")
    try:
        findings = _of_file(cluster) if cluster is not None else _of_gpu() if gpu else _of_machine(address)
    except ImportError as error:
        click.echo(
            f"mend  packages       cannot be imported ({' '.join(str(error).split())[:200]});"
            " pip install -c constraints.txt ."
        )
        return 1
    n_wrong = 0
    for finding in findings:
        mark, remedy = ("ok  ", "") if finding.remedy is None else ("mend", f"; {finding.remedy}")
        n_wrong += finding.remedy is not None
        click.echo(f"{mark}  {finding.subject:<14} {finding.text}{remedy}")
    click.echo(f"\n{n_wrong} to mend" if n_wrong else "\nall is well")
    return (1 if cluster is None else 2) if n_wrong else 0


def _of_machine(address: str | None) -> Iterator[Any]:
    from distrecvae.search.doctor.doctor import examine

    return examine(address)


def _of_file(path: Path) -> Iterator[Any]:
    from distrecvae.search.doctor.cluster.examination import examine_file

    return examine_file(path)


def _of_gpu() -> Iterator[Any]:
    from distrecvae.search.doctor.gpu import examine_gpu

    return examine_gpu()
