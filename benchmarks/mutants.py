"""Small changes of a module's code, each a bug that is easily made: what `planted_bugs.py` plants."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
CORE = Path("search") / "core"
"""The core's place in the package, and its tests' place among the tests."""

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
    text = (ROOT / "distrecvae" / CORE / f"{module}.py").read_text(encoding="utf-8")
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
