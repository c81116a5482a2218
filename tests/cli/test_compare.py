"""`distrecvae compare` hands the comparison exactly what was typed, and its exit status says how that ended."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from distrecvae.api.asking import UNCOUNTED
from distrecvae.cli import main
from distrecvae.errors import LOST
from distrecvae.search.comparison import comparison, planned
from distrecvae.search.comparison.comparison import Comparison
from distrecvae.search.comparison.entrants import Entrant
from distrecvae.search.core.config import SearchConfig


@dataclass
class Heard:
    """What the comparison was asked for, and how it ends."""

    ends: Comparison = field(default_factory=lambda: Comparison("the table", complete=True, without_score=()))
    listed: list[Entrant] = field(default_factory=list)
    folder: Path | None = None
    named: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [entrant.name for entrant in self.listed]

    @property
    def config(self) -> SearchConfig:
        """The settings of the first search."""
        return self.listed[0].config


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Heard:
    """Return what a comparison that runs nothing hears; the working directory is an empty one."""
    heard = Heard()

    def hear(listed: Sequence[Entrant], folder: Path, **named: Any) -> Comparison:
        heard.listed, heard.folder, heard.named = list(listed), folder, named
        return heard.ends

    monkeypatch.setattr(comparison, "compare", hear)
    monkeypatch.chdir(tmp_path)
    return heard


def run(*options: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["compare", *options])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def test_models_are_taken_in_their_order_whatever_stands_between_them(heard: Heard) -> None:
    assert run("--models", " wmf ,,ease,", "--data", "data/mine") == 0
    assert heard.names == ["wmf", "ease"]
    assert [entrant.config.model for entrant in heard.listed] == ["wmf", "ease"]


def test_without_models_all_are_compared(heard: Heard) -> None:
    assert run("--data", "data/mine") == 0
    assert {"recvae", "ease", "multvae"} <= set(heard.names)


def test_settings_are_those_of_the_file_with_what_was_typed_over_them(heard: Heard) -> None:
    Path("settings.yaml").write_text("trials: 7\nmax-passes: 30\ndata: data/mine\n", encoding="utf-8")
    assert run("--models", "ease", "--config", "settings.yaml", "--trials", "3") == 0
    assert (heard.config.trials, heard.config.max_passes, heard.config.data) == (3, 30, "data/mine")
    assert heard.config.seed == SearchConfig().seed


def test_an_unknown_setting_is_said_with_the_file_that_it_is_in(
    heard: Heard, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("settings.yaml").write_text("trails: 7\n", encoding="utf-8")
    assert run("--models", "ease", "--config", "settings.yaml") == 2
    assert "error: settings.yaml: unknown setting 'trails'" in capsys.readouterr().err
    assert run("--models", "ease", "--trials", "0") == 2
    assert not heard.listed


@pytest.mark.parametrize(
    ("file", "typed", "trials"),
    [
        ("", [], SearchConfig().trials),
        ("", ["--time-budget", "60"], UNCOUNTED),
        ("time-budget-s: 60\n", [], UNCOUNTED),
        ("", ["--time-budget", "60", "--trials", "9"], 9),
        ("trials: 8\n", ["--time-budget", "60"], 8),
    ],
    ids=["neither", "time", "time in the file", "both", "trials in the file"],
)
def test_where_only_the_time_is_bounded_trials_are_not_counted(
    file: str, typed: list[str], trials: int, heard: Heard
) -> None:
    Path("settings.yaml").write_text(f"data: data/mine\n{file}", encoding="utf-8")
    assert run("--models", "wmf", "--config", "settings.yaml", *typed) == 0
    assert heard.config.trials == trials


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        ([], "runs/compare-synthetic"),
        (["--data", "data/ml-1m"], "runs/compare-ml-1m"),
        (["--data", "data/ml-1m/"], "runs/compare-ml-1m"),
        (["--name", "mine"], "runs/mine"),
        (["--out", "elsewhere"], "elsewhere"),
    ],
)
def test_results_are_named_by_their_data_unless_told_otherwise(
    options: list[str], folder: str, heard: Heard
) -> None:
    assert run("--models", "ease", *options) == 0
    assert heard.folder == Path(folder)
    assert heard.named["resume"] is False


def test_data_that_is_the_working_directory_has_its_name(
    heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ml-1m").mkdir()
    monkeypatch.chdir(tmp_path / "ml-1m")
    assert run("--models", "ease", "--data", ".") == 0
    assert heard.folder == Path("runs/compare-ml-1m")


def test_a_second_comparison_on_the_same_data_gets_a_folder_of_its_own_and_a_resumed_one_not(
    heard: Heard,
) -> None:
    Path("runs/compare-mine").mkdir(parents=True)
    Path("runs/compare-mine/compare.json").touch()
    assert run("--models", "ease", "--data", "data/mine") == 0
    assert heard.folder == Path("runs/compare-mine-2")
    assert run("--models", "ease", "--data", "data/mine", "--resume") == 0
    assert heard.folder == Path("runs/compare-mine")
    assert heard.named["resume"] is True


def test_the_command_that_goes_on_is_what_was_typed_and_where(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/distrecvae", "compare", "--models", "ease"])
    assert run("--models", "ease") == 0
    go_on = "distrecvae compare --models ease --resume --out runs/compare-synthetic"
    assert heard.named["command"] == go_on


def test_ray_is_silent_unless_asked(heard: Heard) -> None:
    assert run("--models", "ease") == 0
    assert heard.named["verbose"] is False
    assert run("--models", "ease", "-v") == 0
    assert heard.named["verbose"] is True


def test_a_blend_is_made_unless_it_is_not_wanted(heard: Heard) -> None:
    assert run("--models", "ease") == 0
    assert heard.named["blend"] is True
    assert run("--models", "ease", "--no-blend") == 0
    assert heard.named["blend"] is False


def test_seeds_and_systems_of_others_are_handed_on_as_typed(heard: Heard) -> None:
    assert run("--models", "ease") == 0
    assert (heard.named["seeds"], heard.named["scores"]) == (None, ())
    assert run("--models", "ease", "--seeds", "3", "--scores", "a=b.csv", "--scores", "a=c.csv") == 0
    assert (heard.named["seeds"], heard.named["scores"]) == (3, ("a=b.csv", "a=c.csv"))
    assert run("--models", "ease", "--seeds", "0") == 2


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        (Comparison("the table", complete=True, without_score=()), 0),
        (Comparison("the table", complete=True, without_score=("ease",)), 1),
        (Comparison("continue with", complete=False, without_score=()), 130),
        (Comparison("continue with", complete=False, without_score=(), lost=True), LOST),
    ],
    ids=["all scored", "one without a score", "interrupted", "Ray went away"],
)
def test_the_text_is_printed_and_the_status_says_how_it_ended(
    ends: Comparison, status: int, heard: Heard, capsys: pytest.CaptureFixture[str]
) -> None:
    heard.ends = ends
    assert run("--models", "ease") == status
    assert capsys.readouterr().out == f"\n{ends.text}\n"


def test_a_dry_run_prints_the_plans_and_compares_nothing(
    heard: Heard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[dict[str, Any]] = []

    def plans(listed: Sequence[Entrant], **named: Any) -> str:
        asked.append({"names": [entrant.name for entrant in listed], **named})
        return "the plans"

    monkeypatch.setattr(planned, "plans_text", plans)
    assert run("--models", "ease,wmf", "--out", "out", "--dry-run", "--seeds", "3", "--scores", "a=b") == 0
    assert capsys.readouterr().out == "the plans\n"
    named = {"verbose": False, "resume": False, "seeds": 3, "scores": ("a=b",)}
    assert asked == [{"names": ["ease", "wmf"], "folder": Path("out"), **named}]
    assert not heard.listed
    assert not Path("out").exists()


@pytest.mark.parametrize("option", ["--model", "--space", "--warm-start", "--warm-start-trials"])
def test_what_is_one_models_is_no_option(
    option: str, heard: Heard, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(option, "5") == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("Error: ")
    assert option in line
    assert not heard.listed
