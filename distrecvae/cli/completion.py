"""`distrecvae completion`: the script by which a shell completes our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
PROGRAM, VARIABLE = "distrecvae", "_DISTRECVAE_COMPLETE"
"""What is completed, and by which environment variable click is asked: it makes the one's name of the other's."""


@click.command(
    "completion", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, options, names and paths in SHELL.

    Run it once, in the environment that has distrecvae; your new shells complete from then on.

    \b
    bash (4.4 or later):
      distrecvae completion bash > ~/.distrecvae.bash
      echo '. ~/.distrecvae.bash' >> ~/.bashrc
    zsh (below compinit):
      distrecvae completion zsh > ~/.distrecvae.zsh
      echo '. ~/.distrecvae.zsh' >> ~/.zshrc
    fish:
      mkdir -p ~/.config/fish/completions
      distrecvae completion fish > ~/.config/fish/completions/distrecvae.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  (click's own)
    click.echo(kind(ctx.find_root().command, {}, PROGRAM, VARIABLE).source(), nl=False)
