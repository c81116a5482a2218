"""Options are SearchConfig's settings, word for word."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

import click
import pytest
from click.testing import CliRunner

from distrecvae.cli.parts.search_options import settings_options
from distrecvae.search.core.config import SearchConfig


def options_of(**arguments: Any) -> dict[str, click.Option]:
    @click.command()
    @settings_options(**arguments)
    def command(**options: Any) -> None:
        pass

    return {str(each.name): each for each in command.params if isinstance(each, click.Option)}


def read(*typed: str, **arguments: Any) -> dict[str, Any]:
    """Return what a command with these options hears."""
    heard: dict[str, Any] = {}

    @click.command()
    @settings_options(**arguments)
    def command(**options: Any) -> None:
        heard.update(options)

    done = CliRunner().invoke(command, list(typed))
    assert done.exit_code == 0, done.output
    return heard


def test_every_setting_has_an_option_and_every_option_is_a_setting() -> None:
    assert set(options_of()) == {each.name for each in fields(SearchConfig)}


def test_an_option_says_its_settings_help_and_default() -> None:
    # None and false are no values that help: what happens without the option, its sentence says.
    for each in fields(SearchConfig):
        assert each.default is not MISSING
        shown = options_of()[each.name].help or ""
        assert shown.lower().startswith(each.metadata["help"].lower())
        assert shown[0].isupper()
        has_default = each.default is not None and each.default is not False
        assert shown.endswith(f".  [default: {each.default}]" if has_default else ".")


def test_options_are_listed_with_what_is_searched_first() -> None:
    assert list(options_of())[:3] == ["data", "model", "space"]
    assert list(options_of())[-1] == "seed"


def test_what_was_not_typed_is_none_so_that_a_file_can_say_it() -> None:
    assert set(read().values()) == {None}


def test_what_was_typed_has_its_settings_type() -> None:
    heard = read(
        "--trials", "7", "--gpus-per-trial", "0.25", "--time-budget", "60", "--elastic", "--data", "d"
    )
    given = {name: value for name, value in heard.items() if value is not None}
    assert given == {"trials": 7, "gpus_per_trial": 0.25, "time_budget_s": 60.0, "elastic": True, "data": "d"}
    assert type(given["trials"]) is int


# An option's word is its setting's name, but where a unit would be typed.
WORDS = {"time_budget_s": "--time-budget", "checkpoint_every_s": "--checkpoint-every"}


def test_an_options_word_is_its_settings_name() -> None:
    for name, option in options_of().items():
        assert option.opts == [WORDS.get(name, f"--{name.replace('_', '-')}")]


def test_a_command_may_do_without_some() -> None:
    kept = options_of(without=("model", "space"))
    assert set(options_of()) - set(kept) == {"model", "space"}
    assert next(iter(kept)) == "data"


@pytest.mark.parametrize(
    ("name", "typed", "offered"),
    [("model", "ea", "ease"), ("space", "recvae-d", "recvae-demo"), ("metric", "ndcg_", "ndcg_100")],
)
def test_names_are_completed(name: str, typed: str, offered: str) -> None:
    option = options_of()[name]
    context = click.Context(click.Command("command", params=[option]))
    assert [item.value for item in option.shell_complete(context, typed)] == [offered]
