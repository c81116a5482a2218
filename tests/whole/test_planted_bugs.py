"""What benchmarks/planted_bugs.py plants is found by a module's own tests in a copy, and leaves nothing behind."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT

MODULE = "rules/median"
CODE = Path("distrecvae") / "search" / "core" / f"{MODULE}.py"


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script: it lies in no package."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("planted_bugs")


def test_every_module_of_the_core_is_planted_in_or_left_out_for_a_reason(planted: Any) -> None:
    core = ROOT / "distrecvae" / "search" / "core"
    there = {str(path.relative_to(core).with_suffix("")) for path in core.rglob("*.py")}
    named = {*planted.MODULES, *planted.LEFT_OUT}
    assert {name for name in there if not name.endswith("__init__")} == named
    assert len(named) == len(planted.MODULES) + len(planted.LEFT_OUT), "one of them is both"


def test_a_bug_is_found_in_a_copy_which_is_then_as_it_was(planted: Any, tmp_path: Path) -> None:
    bug = next(each for each in planted.bugs_in(MODULE) if "< self.max_passes" in each.what)
    before, tree = (ROOT / CODE).read_bytes(), planted.copy_of_tree(tmp_path)
    failed = planted.own_test(tree, MODULE, bug)
    assert failed.startswith("tests/search/core/rules/test_median.py::TestMedianRule::test_"), failed
    assert planted.own_test(tree, MODULE, bug, deadline_s=0.0) == "they do not end"
    assert planted.own_test(tree, MODULE, None) == "", "nothing of the bug is left, compiled neither"
    assert (tree / CODE).read_bytes() == (ROOT / CODE).read_bytes() == before


def test_a_table_that_was_begun_is_filled_in_and_one_of_other_bugs_refused(
    planted: Any, tmp_path: Path
) -> None:
    bugs, path = list(planted.bugs_in(MODULE))[:3], tmp_path / "it" / "bugs.csv"
    assert planted.filled_in(bugs[:2], "found by", lambda bug: f"line {bug.line}", path)[0]
    later = planted.filled_in(bugs, "found by", lambda _: "later", path)
    assert later == [f"line {bugs[0].line}", f"line {bugs[1].line}", "later"]
    with pytest.raises(ValueError, match=r"bugs\.csv is of other bugs than those to plant"):
        planted.filled_in(bugs[1:], "found by", lambda _: "", path)
