"""What a file says fits its type or is refused by name: no field is taken for what it is not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from distrecvae.typed import MisfitError, read_as, read_typed, typed_json


@dataclass(frozen=True)
class Inner:
    n: int
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.n == 13:
            raise ValueError("n=13 must be another number")


@dataclass(frozen=True, kw_only=True)
class Outer:
    status: Literal["running", "finished"]
    name: str
    flag: bool
    inner: Inner
    rungs: tuple[int, ...]
    versions: dict[str, str]
    limit: float | None = None
    anything: dict[str, Any] = field(default_factory=dict)


GOOD: dict[str, Any] = {
    "status": "running", "name": "a", "flag": True, "inner": {"n": 3}, "rungs": [4, 12], "versions": {"ray": "2.60"},
}  # fmt: skip


def read(folder: Path, text: str) -> Outer:
    path = folder / "it.json"
    path.write_text(text, encoding="utf-8")
    return read_typed(path, Outer)


def test_what_fits_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, json.dumps(GOOD)) == Outer(
        status="running", name="a", flag=True, inner=Inner(3), rungs=(4, 12), versions={"ray": "2.60"}
    )
    assert read(tmp_path, json.dumps({**GOOD, "limit": 3})).limit == 3.0, "a whole number is a number"
    assert read(tmp_path, json.dumps({**GOOD, "anything": {"x": [1, None]}})).anything == {"x": [1, None]}


@pytest.mark.parametrize(
    ("changed", "field", "value"),
    [
        ({"status": "banana"}, "status", "'banana'"),
        ({"name": 3}, "name", "3"),
        ({"flag": 1}, "flag", "1"),
        ({"flag": "true"}, "flag", "'true'"),
        ({"inner": {"n": True}}, "inner.n", "True"),
        ({"inner": {"n": 1.5}}, "inner.n", "1.5"),
        ({"inner": {"n": "1"}}, "inner.n", "'1'"),
        ({"inner": {"n": 1, "share": "abc"}}, "inner.share", "'abc'"),
        ({"inner": []}, "inner", "[]"),
        ({"rungs": [1, "2"]}, "rungs.1", "'2'"),
        ({"versions": {"ray": 2}}, "versions.ray", "2"),
        ({"limit": "none"}, "limit", "'none'"),
        ({"name": ["x" * 999]}, "name", "['xxx"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, changed: dict[str, Any], field: str, value: str) -> None:
    with pytest.raises(MisfitError) as refused:
        read(tmp_path, json.dumps({**GOOD, **changed}))
    assert str(refused.value).startswith(f"{field} is {value}")
    assert "should be" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("name", list(GOOD))
def test_a_field_without_a_default_must_be_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(MisfitError, match=f"^{name}: field required$"):
        read(tmp_path, json.dumps({key: value for key, value in GOOD.items() if key != name}))


def test_a_field_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    # A later version's, or a slip of whoever edited the file.
    with pytest.raises(MisfitError, match=r"^inner\.m: unexpected"):
        read(tmp_path, json.dumps({**GOOD, "inner": {"n": 1, "m": 2}}))


def test_a_rule_of_the_dataclass_holds(tmp_path: Path) -> None:
    with pytest.raises(MisfitError, match=r"^inner: n=13 must be another number$"):
        read(tmp_path, json.dumps({**GOOD, "inner": {"n": 13}}))


@pytest.mark.parametrize("text", ["", "{", "nul", "[" * 100_000, '{"name": "\xff', "[]", "3"])
def test_what_is_no_json_object_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(MisfitError) as refused:
        read(tmp_path, text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) <= 200


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "it.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(MisfitError):
        read_typed(tmp_path / "it.json", Outer)


def test_a_file_that_is_not_there_is_for_the_caller_to_say(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_typed(tmp_path / "absent.json", Outer)


@dataclass(frozen=True, kw_only=True)
class Renamed:
    now: Annotated[int | None, read_as("now", "before")] = None


@pytest.mark.parametrize(("text", "found"), [('{"now": 3}', 3), ('{"before": 3}', 3), ("{}", None)])
def test_a_field_is_read_under_the_names_that_it_had(text: str, found: int | None, tmp_path: Path) -> None:
    path = tmp_path / "it.json"
    path.write_text(text, encoding="utf-8")
    assert read_typed(path, Renamed).now == found


def test_a_text_is_held_to_the_same_rules_as_a_file() -> None:
    assert typed_json(b'{"n": 3}', Inner) == Inner(3)
    with pytest.raises(MisfitError, match="n is '3'"):
        typed_json(b'{"n": "3"}', Inner)
