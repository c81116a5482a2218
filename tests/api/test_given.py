"""Which arguments were given, and errors in the words of Python."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import distrecvae
from distrecvae.api.given import FLAGS, carried_out_by, in_python, spoken_in_python
from distrecvae.errors import ConfigError, DataError


def _work(given: dict[str, Any]) -> dict[str, Any]:
    if given.get("trials") == 0:
        raise ConfigError("--trials 0 with --resume; leave --max-passes out")
    return given


@carried_out_by(_work)
def asked(data: object = None, *, trials: int = 24, resume: bool = False) -> dict[str, Any]:
    """Say it."""
    raise NotImplementedError


def test_only_what_was_given_is_heard_of() -> None:
    assert asked() == {}
    assert asked(trials=24) == {"trials": 24}
    assert asked("mine", resume=False) == {"data": "mine", "resume": False}
    assert asked(None, trials=3) == {"trials": 3}, "None is not given"


def test_the_function_keeps_its_face() -> None:
    assert str(inspect.signature(asked)).startswith("(data: 'object' = None, *, trials: 'int' = 24")
    assert asked.__doc__ == "Say it."


def test_a_mistyped_argument_is_a_type_error() -> None:
    with pytest.raises(TypeError) as refused:
        asked(trails=3)  # type: ignore[call-arg]
    assert str(refused.value) == (
        "asked() got an unexpected keyword argument 'trails'; did you mean 'trials'?"
    )
    with pytest.raises(TypeError, match=r"^asked\(\) too many positional arguments$"):
        asked("mine", 3)  # type: ignore[call-arg]


def test_errors_name_arguments() -> None:
    with pytest.raises(ConfigError, match=r"^trials 0 with resume=True; leave max_passes out$"):
        asked(trials=0)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("pass --resume, or another --out", "pass resume=True, or another out"),
        ("--resume-or-start and --held-out-users 5", "resume_or_start=True and held_out_users 5"),
        ("a -- dash, a-b--c and --", "a -- dash, a-b--c and --"),
        ("leave the --...-column options out", "leave the --...-column options out"),
    ],
)
def test_options_become_arguments(typed: str, said: str) -> None:
    assert in_python(typed) == said


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError, match="--out"), spoken_in_python():
        raise KeyError("--out")


def test_every_flag_of_the_commands_is_known() -> None:
    import click

    from distrecvae.cli import cli

    for name in ("search", "compare", "train", "evaluate", "prepare"):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        flags = {
            option.opts[-1].removeprefix("--")
            for option in command.params
            if isinstance(option, click.Option) and option.is_flag
        }
        assert flags - {"dry-run", "verbose", "help"} <= FLAGS, name


def test_commands_that_a_message_names_are_functions_in_python() -> None:
    """`dr.search("data/nope")` recommended a shell command."""
    assert in_python("make one with `distrecvae prepare`; --no-header") == (
        "make one with distrecvae.prepare(...); header=False"
    )
    with pytest.raises(DataError, match=r"make one with distrecvae\.prepare\(\.\.\.\)"):
        distrecvae.train("data/nope")
