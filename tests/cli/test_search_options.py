"""Options are SearchConfig's settings, word for word; results go where nothing of another search lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from distrecvae.cli import main
from distrecvae.cli.search_options import results_folder, settings_options
from distrecvae.errors import ConfigError, ResultsError
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
        has_default = each.default not in (None, False)
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
    [("model", "ea", "ease"), ("space", "recvae-d", "recvae-demo"), ("metric", "ndcg", "ndcg_100")],
)
def test_names_are_completed(name: str, typed: str, offered: str) -> None:
    option = options_of()[name]
    context = click.Context(click.Command("command", params=[option]))
    assert [item.value for item in option.shell_complete(context, typed)] == [offered]


Place = Callable[..., Path]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return what says where results go, called in an empty working directory, by default for a new run."""
    monkeypatch.chdir(tmp_path)

    def ask(out: Path | None = None, name: str | None = None, **named: Any) -> Path:
        return results_folder(out, name, "ease-mine", **{"resume": False, **named})

    return ask


def used(*names: str) -> None:
    """Let something lie in these folders of runs/."""
    for name in names:
        Path("runs", name).mkdir(parents=True)
        Path("runs", name, "search.json").touch()


def test_a_folder_or_a_name_that_was_given_is_taken_whatever_lies_there(place: Place) -> None:
    # What lies there is refused, or resumed, by whoever writes there.
    used("mine", "ease-mine")
    for resume in (False, True):
        assert place(Path("some/where"), resume=resume) == Path("some/where")
        assert place(name="mine", resume=resume) == Path("runs/mine")
        assert place(name="new", resume=resume) == Path("runs/new")


def test_the_first_run_has_no_number_and_the_next_ones_count(place: Place) -> None:
    assert place() == Path("runs/ease-mine")
    used("ease-mine")
    assert place() == Path("runs/ease-mine-2")
    used("ease-mine-2")
    assert place() == Path("runs/ease-mine-3")


def test_a_number_is_above_all_others_though_some_are_gone(place: Place) -> None:
    # Otherwise --resume would go on with an older one than was begun last.
    used("ease-mine-9", "ease-mine-12")
    assert place() == Path("runs/ease-mine-13")


@pytest.mark.parametrize("order", [range(5, 15), range(14, 4, -1)], ids=["rising", "falling"])
def test_the_latest_has_the_highest_number_in_whichever_order_they_are_listed(
    order: range, place: Place
) -> None:
    # A file system lists by creation, by name or by hash; and 10 is above 9 as a number only.
    for place_of, number in enumerate(order, 1):
        used(f"ease-mine-{number}")
        assert place(resume=True) == Path(f"runs/ease-mine-{max(order[:place_of])}")


def test_a_resumed_run_is_the_latest(place: Place) -> None:
    used("ease-mine")
    assert place(resume=True) == Path("runs/ease-mine")
    used("ease-mine-2")
    assert place(resume=True) == Path("runs/ease-mine-2")


def test_what_only_begins_with_the_name_is_another_search(place: Place) -> None:
    used("ease-mine-big", "ease-mine2", "ease-mine-3-old", "my-ease-mine")
    assert place() == Path("runs/ease-mine")


def test_a_name_is_no_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    used("ease-c++")
    assert results_folder(None, None, "ease-c++", resume=False) == Path("runs/ease-c++-2")
    assert results_folder(None, None, "ease-c++", resume=True) == Path("runs/ease-c++")


def test_a_name_with_a_bracket_is_no_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # --data "data/ml[1]" could be searched once and never again, nor resumed.
    monkeypatch.chdir(tmp_path)
    used("ease-ml[1]")
    assert results_folder(None, None, "ease-ml[1]", resume=False) == Path("runs/ease-ml[1]-2")
    assert results_folder(None, None, "ease-ml[1]", resume=True) == Path("runs/ease-ml[1]")


def test_an_empty_folder_and_a_file_are_no_run(place: Place) -> None:
    Path("runs/ease-mine").mkdir(parents=True)
    Path("runs/ease-mine-2").touch()
    assert place() == Path("runs/ease-mine")
    with pytest.raises(ResultsError):
        place(resume=True)


def test_nothing_to_resume_is_said_with_where_it_was_looked_for(place: Place) -> None:
    with pytest.raises(ResultsError) as caught:
        place(resume=True)
    assert str(caught.value) == (
        "there is no runs/ease-mine to resume; leave out --resume, or say where with --out"
    )


def test_a_run_that_need_not_exist_is_begun_where_it_does_not(place: Place) -> None:
    # --resume-or-start.
    assert place(resume=True, must_exist=False) == Path("runs/ease-mine")
    used("ease-mine", "ease-mine-2")
    assert place(resume=True, must_exist=False) == Path("runs/ease-mine-2")


def test_two_places_are_one_too_many(place: Place) -> None:
    with pytest.raises(ConfigError) as caught:
        place(Path("a"), "b")
    assert str(caught.value) == (
        "--out a and --name b: only one of them can say where results go; leave one out"
    )


@pytest.mark.parametrize("out", ["s3://bucket/results", "gs://bucket/x", "file:///tmp/x", "abfs+x.1-y://z/x"])
def test_a_uri_is_refused(out: str, place: Place) -> None:
    # As a path it has lost a slash already: Path("s3://bucket") is s3:/bucket.
    with pytest.raises(
        ConfigError, match=r"--out .*: results are added to as the search runs, which object storage"
    ):
        place(Path(out))


@pytest.mark.parametrize("out", ["a:b", "C:mine/x", "here/s3:/x", "/here/s3:/x", "3s:/x"])
def test_a_path_with_a_colon_is_a_path(out: str, place: Place) -> None:
    assert place(Path(out)) == Path(out)


def test_results_at_a_uri_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["search", "--data", "data", "--out", "s3://bucket/results"])
    assert stopped.value.code == 2
    assert (
        "object storage cannot do; give a folder on storage that all nodes mount" in capsys.readouterr().err
    )
