"""Completion as a shell does it: a real bash, which asks a program that can import neither Ray nor PyTorch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from distrecvae.cli import COMMANDS, main
from distrecvae.cli.completion import PROGRAM, SHELLS, VARIABLE
from distrecvae.training import registry

# what has been typed; what the last word may become, all of it
COMPLETED: dict[str, set[str]] = {
    "''": set(COMMANDS),
    "re": {"report", "reproduce", "recommend"},
    "search --samp": {"--sampler"},
    "search --sampler t": {"tpe"},
    "search --model ea": {"ease"},
    "search --model ''": set(registry.models()),
    "search --space recvae-d": {"recvae-demo"},
    "search --metric ndcg_1": {"ndcg_100"},
    "compare --models recvae,wm": {"recvae,wmf"},
    "compare --models wmf,wm": set(),
    "train --config recvae-p": {"recvae-published", "recvae-previous-prior"},
    "completion z": {"zsh"},
}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Return a folder with a `distrecvae` of this package, where heavy imports fail."""
    code = (
        "import sys\nfor name in ('ray', 'torch', 'optuna', 'pandas'): sys.modules[name] = None\n"
        "from distrecvae.cli import main\nmain()\n"
    )
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/code.py").write_text(code, encoding="utf-8")
    script = tmp_path / "bin/distrecvae"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path}/bin/code.py" "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return script.parent


def in_shell(shell: str, program: Path, code: str) -> list[str]:
    """Run code in a shell that has sourced its completion script; return the lines it printed."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    given = {"bash": "--norc", "zsh": "-f", "fish": "--no-config"}[shell]
    set_path = f'set -x PATH "{program}" $PATH' if shell == "fish" else f'PATH="{program}:$PATH"'
    start = "autoload -U compinit; compinit -u -D; " if shell == "zsh" else ""
    source = f"{start}{set_path}; distrecvae completion {shell} > script.{shell} && . ./script.{shell}\n"
    done = subprocess.run(
        [shell, given, "-c", source + code], cwd=program.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout.splitlines()


def test_bash_completes_commands_options_and_names(program: Path) -> None:
    asked = [
        f"COMP_WORDS=(distrecvae {typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=();"
        ' _distrecvae_completion distrecvae; echo "${COMPREPLY[*]}"'
        for typed in COMPLETED
    ]
    said, *answers = in_shell("bash", program, "\n".join(["complete -p distrecvae", *asked]))
    assert said.endswith("-F _distrecvae_completion distrecvae")
    assert dict(zip(COMPLETED, (set(line.split()) for line in answers), strict=True)) == COMPLETED


def test_paths_are_the_shells_to_complete(program: Path) -> None:
    asked = [
        f'COMP_WORDS="distrecvae {typed}" COMP_CWORD={len(typed.split())} _DISTRECVAE_COMPLETE=bash_complete distrecvae'
        for typed in ("search --data da", "search --space ./mi", "recommend --histories ra", "report ru")
    ]
    answers = in_shell("bash", program, "\n".join(asked))
    assert [line for line in answers if line] == ["file,da", "file,./mi", "file,ra", "file,ru"]


def test_zsh_knows_what_completes(program: Path) -> None:
    assert in_shell("zsh", program, "echo $_comps[distrecvae]") == ["_distrecvae_completion"]


def test_fish_completes_a_command(program: Path) -> None:
    lines = in_shell("fish", program, "complete -C 'distrecvae sea'")
    assert [line.split("\t")[0] for line in lines] == ["search"]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shells_script_asks_this_program(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    # Click reads the variable that it makes of the program's name: under another one it would run the command.
    if shell == "bash" and shutil.which(shell) is None:
        pytest.skip("click asks bash for its version")
    with pytest.raises(SystemExit) as stopped:
        main(["completion", shell])
    assert stopped.value.code == 0
    script = capsys.readouterr().out
    assert PROGRAM == "distrecvae"
    assert f"_{PROGRAM}_complete".upper() == VARIABLE
    assert f"{VARIABLE}={shell}_complete" in script
    assert PROGRAM in script.replace(VARIABLE, "")


def test_a_shell_that_is_not_supported_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["completion", "tcsh"])
    assert stopped.value.code == 2
    line = capsys.readouterr().err.rstrip().splitlines()[-1]
    assert line.startswith("Error: ")
    for word in ("tcsh", *SHELLS):
        assert word in line
