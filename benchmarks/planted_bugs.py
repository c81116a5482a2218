"""Plant bugs in the search's core, one at a time, and see whether the simulated nights find them.

    python benchmarks/planted_bugs.py --bugs 100 --nights 300 --own-tests --out benchmarks/results/DATE-planted-bugs

A bug is one small change of the code of a module that decides: a comparison turned around or off by one, a condition
reversed, a number one greater, a call left out. Bugs are drawn at random, each is planted in a process of its own, and
the same nights are simulated as in `benchmarks/nights.py` until one fails. With `--own-tests` the module's own test
file is run with each bug that no night found, in a copy of the tree. What is not found then either changes nothing that
is promised, or shows a promise that is not checked: the list is to be read by people. A run that was cut off goes on.
"""

from __future__ import annotations

import argparse
import ast
import csv
import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from mutants import CORE, ROOT, Bug, bugs_in, changed

sys.path.insert(0, str(ROOT))
MODULES = (
    "conductor", "ledger", "chain", "rules/curves", "rules/halving", "rules/median", "rules/names", "steering",
    "requests", "proposals", "records", "tasks", "room", "silence", "study", "unasked", "ahead/widening", "samplers",
    "config", "guided/cube", "guided/guide", "guided/process", "guided/reviving", "guided/sampler",
)  # fmt: skip
LEFT_OUT = {
    "states": "nights have states of their own",
    "sobol": "no night draws by it",
    "guided/belief": "no night's space says what is likely",
    "ahead/enough": "no night has a price for an hour",
    "ahead/forecast": "decides nothing: it is shown",
    "limits": "decides nothing: it is shown",
    "optuna_internals": "decides nothing: it is shown, but for the id that a storage gives to a trial",
}
"""The core's other modules, and why no bug is planted in them."""
HANGS_S = 120
"""Seconds of a processor. A night takes milliseconds: a bug after which they do not end is found."""
DEADLINE_S = 300.0
"""Seconds by the clock that a test file may take."""


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
        signal.setitimer(signal.ITIMER_PROF, HANGS_S)
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
    from tests.simulation import checks
    from tests.simulation.plan import draw
    from tests.simulation.shrinking import failure

    warnings.simplefilter("ignore")
    plant(bug)
    checks._undisturbed.cache_clear()  # what came out without the bug is not what its nights are held to
    for seed in range(nights):
        if why := failure(draw(seed)):
            return f"night {seed}: {why}"
    return ""


def copy_of_tree(folder: Path) -> Path:
    """Copy what tests need into a folder; return where it is. Bugs are written there, and never here."""
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    return tree


def own_test(tree: Path, module: str, bug: Bug | None, deadline_s: float = DEADLINE_S) -> str:
    """Return which of a module's own tests fails with a bug, or without one for None; empty where all pass.

    Args:
        tree: a copy of ours; the module in it is as it was when this returns.
        module: its name.
        bug: one of the module's.
        deadline_s: seconds after which the tests are ended.
    """
    code = Path("distrecvae") / CORE / f"{module}.py"
    tests = "tests" / (CORE / module).with_name(f"test_{Path(module).name}.py")
    command = [
        sys.executable, "-m", "pytest", "-n", "0", "-x", "-q", "-m", "not ray", "-p", "no:cacheprovider", str(tests),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    try:
        if bug is not None:
            (tree / code).write_text(ast.unparse(changed(bug)), encoding="utf-8")
            environment["PYTHONDONTWRITEBYTECODE"] = "1"  # what is compiled of it would outlive it
        process = subprocess.Popen(
            command, cwd=tree, env=environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            said, _ = process.communicate(timeout=deadline_s)
        except subprocess.TimeoutExpired:
            return "they do not end"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
    finally:
        shutil.copy2(ROOT / code, tree / code)
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", said, re.MULTILINE)
    return "" if process.returncode == 0 else failed[1] if failed else f"pytest exits {process.returncode}"


def own_tests(bugs: Sequence[Bug], path: Path | None) -> list[str]:
    """Return for each bug which of its module's own tests fails; empty for none.

    Raises:
        RuntimeError: one fails without a bug.
    """
    sound: set[str] = set()

    def find(bug: Bug) -> str:
        if bug.module not in sound and (failed := own_test(tree, bug.module, None)):
            raise RuntimeError(f"without a bug: {failed}")
        sound.add(bug.module)
        return own_test(tree, bug.module, bug)

    signal.signal(
        signal.SIGTERM, lambda number, _: sys.exit(128 + number)
    )  # the tests end, and the copy goes
    with TemporaryDirectory(prefix="planted-bugs-") as folder:
        tree = copy_of_tree(Path(folder))
        return filled_in(bugs, "the module's own test that fails", find, path)


def filled_in(bugs: Sequence[Bug], title: str, find: Callable[[Bug], str], path: Path | None) -> list[str]:
    """Return what finds each bug; where the table at `path` has the first ones already, the rest are looked for.

    Raises:
        ValueError: the table has other bugs: they were drawn otherwise, or of other code.
    """
    rows: list[list[str]] = []
    if path is not None and path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))[1:]
    named = [[bug.module, str(bug.line), bug.kind, bug.what] for bug in bugs]
    if [row[:-1] for row in rows] != named[: len(rows)]:
        raise ValueError(f"{path} is of other bugs than those to plant")
    for bug, name in zip(bugs[len(rows) :], named[len(rows) :], strict=True):
        rows.append([*name, find(bug)])
        if not rows[-1][-1]:
            print(f"not found: {bug.module}.py:{bug.line}: {bug.kind}: {bug.what}", flush=True)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([["module", "line", "bug", "code", title], *rows])
    return [row[-1] for row in rows]


def _require_sound(nights: int) -> None:
    from tests.simulation.checks import check
    from tests.simulation.plan import draw

    warnings.simplefilter("ignore")
    for seed in range(nights):
        check(draw(seed))


def main() -> int:
    """Plant bugs, write which were found and which were not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bugs", type=int, default=100)
    parser.add_argument("--nights", type=int, default=150, help="for each bug, at most")
    parser.add_argument("--seed", type=int, default=0, help="which bugs are drawn")
    parser.add_argument("--modules", nargs="+", default=MODULES, choices=MODULES)
    parser.add_argument("--own-tests", action="store_true", help="of what no night finds, see what they do")
    parser.add_argument("--out", type=Path, help="folder of the result")
    asked = parser.parse_args()
    _require_sound(asked.nights)
    possible = [bug for name in asked.modules for bug in bugs_in(name)]
    drawn = Random(asked.seed).sample(possible, min(asked.bugs, len(possible)))  # noqa: S311
    drawn.sort(key=lambda bug: (bug.module, bug.line))
    out: Path | None = asked.out
    found = filled_in(drawn, "found by", lambda bug: found_by(bug, asked.nights), out and out / "bugs.csv")
    print(f"{sum(map(bool, found))} of {len(drawn)} found by nights, drawn from {len(possible)}")
    if asked.own_tests:
        missed = [bug for bug, night in zip(drawn, found, strict=True) if not night]
        failed = own_tests(missed, out and out / "own_tests.csv")
        print(f"{sum(map(bool, failed))} of the other {len(missed)} found by their modules' own tests")
    return 0


if __name__ == "__main__":
    sys.exit(main())
