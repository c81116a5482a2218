"""Requests are data: what is typed becomes one, one becomes JSON and comes back, and what makes no sense is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distrecvae.errors import ConfigError
from distrecvae.search.core.requests import ACTIONS, MOST_NAMED, USAGE, Request, request_of
from distrecvae.typed import MisfitError, read_typed

TYPED = {
    "stop 17 18": Request(action="stop", trials=[17, 18]),
    "add learning-rate=1e-3 mixture_weights=[0.2,0.7,0.1] kind=b flag=true beta=none": Request(
        action="add",
        settings={
            "learning_rate": 0.001, "mixture_weights": [0.2, 0.7, 0.1], "kind": "b", "flag": True, "beta": None
        },
    ),
    "narrow gamma=0.003:0.006 dropout=:0.5": Request(
        action="narrow", ranges={"gamma": [0.003, 0.006], "dropout": [None, 0.5]}
    ),
    "widen batch_size=50|100|200": Request(action="widen", ranges={"batch_size": [50, 100, 200]}),
    "fix batch_size=64": Request(action="fix", settings={"batch_size": 64}),
    "trials 200": Request(action="trials", number=200),
    "concurrent 4": Request(action="concurrent", number=4),
    "pause": Request(action="pause"),
    "go": Request(action="go"),
    "end": Request(action="end"),
}  # fmt: skip


@pytest.mark.parametrize("typed", TYPED)
def test_what_is_typed_is_the_request_and_comes_back_from_its_file(typed: str, tmp_path: Path) -> None:
    action, *words = typed.split()
    request = request_of(action, words)
    assert request == TYPED[typed]
    (tmp_path / "r.json").write_text(json.dumps(request.to_dict()), encoding="utf-8")
    assert read_typed(tmp_path / "r.json", Request) == request
    assert Request.from_dict(request.to_dict()) == request
    assert request_of(*_split(request.text())) == request, "and its text can be typed again"


def _split(text: str) -> tuple[str, list[str]]:
    action, *words = text.split()
    return action, words


def test_a_request_names_a_thousand_and_no_more() -> None:
    """Planted one off, the bound held none of the tests."""
    assert len(Request(action="stop", trials=list(range(MOST_NAMED))).trials) == 1000
    with pytest.raises(ConfigError, match="stop names 1001 trials; at most 1000 at a time"):
        Request(action="stop", trials=list(range(MOST_NAMED + 1)))


def test_every_action_is_explained() -> None:
    assert set(USAGE) == set(ACTIONS)
    assert {typed.split()[0] for typed in TYPED} == set(ACTIONS) - {"continue"}


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("stpo 3", "cannot 'stpo' a search; did you mean 'stop'"),
        ("continue 3", "cannot 'continue'"),
        ("stop", "stop needs trials; write stop 17 18"),
        ("stop three", "'three' is not a number"),
        ("stop -1", "from 0 on"),
        ("add", "add needs settings"),
        ("add x", "'x' is not NAME=VALUE"),
        ("add x=", "'x=' is not NAME=VALUE"),
        ("add x={a: 1}", "is not NAME=VALUE"),
        ("fix x={a:1}", "is a dict"),
        ("narrow x=[1,2]", "is a list"),
        ("trials", "takes one number"),
        ("trials 1 2", "takes one number"),
        ("trials 0", "at least 1"),
        ("pause now", "takes nothing more"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(typed: str, message: str) -> None:
    action, *words = typed.split()
    with pytest.raises(ConfigError) as refused:
        request_of(action, words)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "form",
    [
        {"action": "exec", "settings": {"x": "import os"}},
        {"action": "stop", "trials": ["1"]},
        {"action": "stop", "trials": [1], "settings": {"a": 1}},
        {"action": "stop", "trials": list(range(MOST_NAMED + 1))},
        {"action": "trials", "number": 1.5},
        {"action": "trials", "number": True},
        {"action": "narrow", "ranges": {"a": {"low": 1}}},
        {"action": "pause", "note": "hello"},
        {"trials": [1]},
        [],
    ],
)
def test_a_file_that_holds_anything_else_is_refused(form: Any, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(form), encoding="utf-8")
    with pytest.raises(MisfitError):
        read_typed(tmp_path / "r.json", Request)
