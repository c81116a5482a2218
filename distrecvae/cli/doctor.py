"""Owns `distrecvae doctor`: findings as they are made, and the exit status."""

from __future__ import annotations

import click


@click.command("doctor", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--address", metavar="ADDRESS",
              help="Examine the Ray cluster there, too ('auto' or HOST:PORT).  [default: start Ray here]")  # fmt: skip
def command(address: str | None) -> int:
    """Say what this machine offers a search, and what to mend before one.

    Looked at: versions, cores (as affinity and cgroups leave them), bfloat16 instructions, GPUs, memory,
    /dev/shm, threads, and Ray, which is started for some seconds. Each line that begins with `mend` ends
    with its remedy. The exit status is 0 where all is well and 1 where something must be mended.

    \b
    Examples:
      distrecvae doctor
      distrecvae doctor --address auto
    """
    try:
        from distrecvae.search.doctor.doctor import examine
    except ImportError as error:
        click.echo(
            f"mend  packages       cannot be imported ({' '.join(str(error).split())[:200]});"
            " pip install -c constraints.txt ."
        )
        return 1
    n_wrong = 0
    for finding in examine(address):
        mark, remedy = ("ok  ", "") if finding.remedy is None else ("mend", f"; {finding.remedy}")
        n_wrong += finding.remedy is not None
        click.echo(f"{mark}  {finding.subject:<14} {finding.text}{remedy}")
    click.echo(f"\n{n_wrong} to mend" if n_wrong else "\nall is well")
    return 1 if n_wrong else 0
