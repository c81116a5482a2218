"""Plant bugs in the search's core, one at a time, and see whether the simulated nights find them.

    python benchmarks/planted_bugs.py --bugs 100 --nights 150 --out benchmarks/results/DATE-planted-bugs

A bug is one small change of the code of the conductor, the ledger, its chain, the rules, the steering, requests,
proposals, records or what a search asks of itself: a comparison turned around or off by one, a condition reversed, a
number one greater, a call left out. Bugs are drawn at random, each is planted in a process of its own, and the same
nights are simulated as in `benchmarks/nights.py` until one fails. What is not found either changes nothing that is
promised, or shows a promise that is not checked: the list is to be read by people. A run that was cut off goes on.
"""

from __future__ import annotations

import argparse
import ast
import copy
import csv
import importlib
import os
import signal
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
MODULES = (
    "conductor", "ledger", "chain", "rules/curves", "rules/halving", "rules/median", "steering", "requests",
    "proposals", "records", "tasks", "room", "silence", "study", "unasked", "ahead/widening",
)  # fmt: skip
"""Not `states`: the nights have states of their own."""
HANGS_S = 120
"""A night takes milliseconds: a bug after which they do not end is found."""

TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
OTHER: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.FloorDiv: ast.Mult,
}


class Bug(NamedTuple):
    """A change of a module's code.

    Attributes:
        module: its name.
        line: where.
        what: the line's text before.
        kind: what is changed.
        position: of the syntax tree's node that is changed.
    """

    module: str
    line: int
    what: str
    kind: str
    position: int


def tree_of(module: str) -> tuple[ast.Module, list[str]]:
    """Return a module's syntax tree, and its lines."""
    text = (ROOT / "distrecvae" / "search" / "core" / f"{module}.py").read_text(encoding="utf-8")
    return ast.parse(text), text.splitlines()


def bugs_in(module: str) -> Iterator[Bug]:
    """Yield every bug that can be planted in a module's functions."""
    tree, lines = tree_of(module)
    functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]
    inside = {n for each in functions for n in range(each.body[0].lineno, (each.end_lineno or 0) + 1)}
    for position, node in enumerate(ast.walk(tree)):
        line = getattr(node, "lineno", 0)
        for kind, change in CHANGES.items():
            if line in inside and change(copy.deepcopy(node)):
                yield Bug(module, line, lines[line - 1].strip(), kind, position)


def changed(bug: Bug) -> ast.Module:
    """Return the module's syntax tree with the bug in it."""
    tree, _ = tree_of(bug.module)
    CHANGES[bug.kind](next(node for at, node in enumerate(ast.walk(tree)) if at == bug.position))
    return ast.fix_missing_locations(tree)


def _turn(node: ast.AST) -> bool:
    if not isinstance(node, ast.Compare) or type(node.ops[0]) not in TURNED:
        return False
    node.ops[0] = TURNED[type(node.ops[0])]()
    return True


def _junction(node: ast.AST) -> bool:
    if not isinstance(node, ast.BoolOp):
        return False
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    return True


def _reverse(node: ast.AST) -> bool:
    if not isinstance(node, ast.If | ast.IfExp | ast.While):
        return False
    node.test = ast.UnaryOp(ast.Not(), node.test)
    return True


def _greater(node: ast.AST) -> bool:
    if not isinstance(node, ast.Constant):
        return False
    if isinstance(node.value, bool):
        node.value = not node.value
    elif isinstance(node.value, int):
        node.value += 1
    else:
        return False
    return True


def _other(node: ast.AST) -> bool:
    if not isinstance(node, ast.BinOp) or type(node.op) not in OTHER or isinstance(node.left, ast.JoinedStr):
        return False
    node.op = OTHER[type(node.op)]()
    return True


def _leave_out(node: ast.AST) -> bool:
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return False
    node.value = ast.Constant(None)
    return True


CHANGES: dict[str, Callable[[ast.AST], bool]] = {
    "a comparison is turned": _turn,
    "and for or": _junction,
    "a condition is reversed": _reverse,
    "a number is one greater, or a truth reversed": _greater,
    "another operator": _other,
    "a call is left out": _leave_out,
}


def plant(bug: Bug) -> None:
    """Change the module's functions in place: whatever has imported them has the bug."""
    module = importlib.import_module(f"distrecvae.search.core.{bug.module.replace('/', '.')}")
    other = types.ModuleType(module.__name__)
    other.__dict__.update({"__file__": module.__file__, "__package__": module.__package__})
    sys.modules[module.__name__] = other  # dataclasses look their module up
    exec(compile(changed(bug), str(module.__file__), "exec"), other.__dict__)  # noqa: S102
    sys.modules[module.__name__] = module
    _take_over(vars(module), vars(other), module.__name__)


def _take_over(into: Any, source: Any, module: str) -> None:
    for name, there in dict(into).items():
        other = dict(source).get(name)
        if hasattr(there, "cache_clear"):
            there.cache_clear()  # of what the nights before the bug found
        there, other = (_function(each) for each in (there, other))
        if isinstance(there, types.FunctionType) and isinstance(other, types.FunctionType):
            if there.__module__ == module and there.__code__.co_freevars == other.__code__.co_freevars:
                there.__code__ = other.__code__
        elif isinstance(there, type) and isinstance(other, type) and there.__module__ == module:
            _take_over(vars(there), vars(other), module)


def _function(there: Any) -> Any:
    """Return the function that a property, a class's method or a cache holds; anything else as it is."""
    for name in ("fget", "__func__", "__wrapped__"):
        there = getattr(there, name, there)
    return there


def found_by(bug: Bug, nights: int) -> str:
    """Return how a bug is found, in a line; empty where it is not. It is planted in a process of its own."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(HANGS_S)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            text = _simulate(bug, nights)
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(write, text[:300].encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, encoding="utf-8", errors="replace") as said:
        text = said.read()
    _, status = os.waitpid(child, 0)
    return text or ("it does not end" if status else "")


def _simulate(bug: Bug, nights: int) -> str:
    from tests.simulation.plan import draw
    from tests.simulation.shrinking import failure

    warnings.simplefilter("ignore")
    plant(bug)
    for seed in range(nights):
        if why := failure(draw(seed)):
            return f"night {seed}: {why}"
    return ""


def main() -> int:
    """Plant bugs, write which were found and which were not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bugs", type=int, default=100)
    parser.add_argument("--nights", type=int, default=150, help="for each bug, at most")
    parser.add_argument("--seed", type=int, default=0, help="which bugs are drawn")
    parser.add_argument("--modules", nargs="+", default=MODULES, choices=MODULES)
    parser.add_argument("--out", type=Path, help="folder of the result")
    asked = parser.parse_args()
    from tests.simulation.checks import check
    from tests.simulation.plan import draw

    warnings.simplefilter("ignore")
    for seed in range(asked.nights):
        check(draw(seed))  # without a bug none fails
    possible = [bug for name in asked.modules for bug in bugs_in(name)]
    drawn = Random(asked.seed).sample(possible, min(asked.bugs, len(possible)))  # noqa: S311
    rows: list[list[str]] = []
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        if (there := asked.out / "bugs.csv").exists():
            with there.open(newline="", encoding="utf-8") as file:
                rows = list(csv.reader(file))[1:]
    drawn.sort(key=lambda bug: (bug.module, bug.line))
    for bug in drawn[len(rows) :]:
        found = found_by(bug, asked.nights)
        rows.append([bug.module, str(bug.line), bug.kind, bug.what, found])
        if not found:
            print(f"not found: {bug.module}.py:{bug.line}: {bug.kind}: {bug.what}", flush=True)
        if asked.out is not None:
            with (asked.out / "bugs.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([["module", "line", "bug", "code", "found by"], *rows])
    n_found = sum(bool(row[-1]) for row in rows)
    print(f"{n_found} of {len(rows)} found, drawn from {len(possible)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
