"""What a shell completes by name: every name there is, none twice, and a path where no name fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import CompletionItem

from distrecvae.cli.parts import names
from distrecvae.cli.parts.names import (
    complete_config,
    complete_entrants,
    complete_metric,
    complete_model,
    complete_space,
    model_names,
)
from distrecvae.metrics import KINDS, METRICS
from distrecvae.packaged import packaged_names
from distrecvae.runs.configuration import available_configs
from distrecvae.search.space.space import available_spaces
from distrecvae.training import registry

Complete = Callable[
    [click.Context, click.Parameter, str], "list[CompletionItem[Any]]"
]  # no generic before click 8.3


def completed(complete: Complete, typed: str) -> list[str]:
    """Return the words that are offered for what was typed; a path that is the shell's to complete as `file:...`."""
    option = click.Option(["--option"])
    context = click.Context(click.Command("command", params=[option]))
    items = complete(context, option, typed)
    return [item.value if item.type == "plain" else f"{item.type}:{item.value}" for item in items]


def test_names_are_the_registrys() -> None:
    assert set(model_names()) == set(registry.models())
    assert "recvae-demo" in packaged_names("search_spaces")


def test_a_space_is_a_models_own_only_if_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Spaces beside a model's own bear other names, or are of another model; a remark is not a setting.
    texts = {"own": "model: own\n", "small": "model: own\n", "said": "# model: said\nmodel: own\n"}
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    there = {name: tmp_path / f"{name}.yaml" for name in texts}
    monkeypatch.setattr(names, "packaged_names", lambda _: (*there, "gone"))
    monkeypatch.setattr(names, "packaged_file", lambda _, name: there.get(name))
    assert model_names() == ("own",)


@pytest.mark.parametrize(
    ("complete", "known"),
    [
        (complete_model, registry.models()),
        (complete_metric, (*METRICS, *(f"{kind}@{k}" for kind in KINDS for k in (10, 20, 50, 100)))),
        (complete_space, available_spaces()),
        (complete_config, available_configs()),
    ],
    ids=["models", "metrics", "spaces", "configurations"],
)
def test_nothing_typed_offers_all_and_a_beginning_those_that_begin_so(
    complete: Complete, known: tuple[str, ...]
) -> None:
    assert sorted(completed(complete, "")) == sorted(known)
    for name in known:
        # The first two letters are other names' too.
        for start in (name[:2], name):
            assert completed(complete, start) == [
                each for each in completed(complete, "") if each.startswith(start)
            ]
        assert name in completed(complete, name[:2])


def test_a_name_is_not_found_by_its_middle() -> None:
    assert completed(complete_model, "vae") == []
    assert completed(complete_metric, "100") == []


@pytest.mark.parametrize("complete", [complete_space, complete_config], ids=["space", "configuration"])
@pytest.mark.parametrize("typed", ["./mi", "/data/space", "mine.ya"])
def test_what_begins_no_name_is_a_path_that_the_shell_completes(complete: Complete, typed: str) -> None:
    assert completed(complete, typed) == [f"file:{typed}"]


@pytest.mark.parametrize("complete", [complete_model, complete_metric, complete_entrants])
def test_what_cannot_be_a_file_is_not_completed_as_one(complete: Complete) -> None:
    assert completed(complete, "./mi") == []


def test_of_a_list_the_last_name_is_completed_behind_the_others() -> None:
    assert completed(complete_entrants, "recvae,wm") == ["recvae,wmf"]
    assert completed(complete_entrants, "./mine.yaml,recvae,wm") == ["./mine.yaml,recvae,wmf"]


def test_a_list_takes_models_spaces_and_configurations_each_once() -> None:
    # A model's own space bears its name: it would be offered twice.
    offered = completed(complete_entrants, "")
    assert sorted(offered) == sorted({*registry.models(), *available_spaces(), *available_configs(), "all"})
    assert completed(complete_entrants, "recvae,")[0].startswith("recvae,")
    assert len(completed(complete_entrants, "recvae,")) == len(offered) - 1


def test_what_is_listed_is_not_offered_again() -> None:
    assert completed(complete_entrants, "wmf,wm") == []
    assert completed(complete_entrants, "wmf,ease,wm") == []
    # The last word may be whole already: a shell then ends it with a space.
    assert completed(complete_entrants, "ease,wmf") == ["ease,wmf"]
