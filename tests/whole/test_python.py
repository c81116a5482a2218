"""`import distrecvae`: what it costs, what it has, that it lacks no option of a command, scripts that use it."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

import distrecvae
from distrecvae.cli import cli
from distrecvae.search.core.config import SearchConfig
from tests import HANGS_AFTER_S
from tests.results import n_reports
from tests.sites import Site, ray_folder
from tests.whole.test_search import wait_for

FUNCTIONS = (
    "prepare", "search", "compare", "blend", "train", "evaluate", "load", "searches", "top", "steer", "why",
    "reproduce", "clean", "train_on", "tables", "published", "report",
)  # fmt: skip
TYPES = ("BlendResult", "Comparison", "Data", "SearchResult", "TrainResult")


def python(code: str) -> str:
    """Run code in a process of its own, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_it_costs_nothing() -> None:
    heavy = ["torch", "ray", "pandas", "optuna", "numpy", "pyarrow", "click", "rich"]
    code = (
        f"import sys, distrecvae; dir(distrecvae); print([name for name in {heavy} if name in sys.modules])"
    )
    assert python(code) == "[]"


def test_preparing_data_needs_neither_torch_nor_ray_nor_optuna() -> None:
    code = (
        "import sys, distrecvae; distrecvae.prepare(synthetic=True, users=100, items=60);"
        "print([name for name in ('torch', 'ray', 'optuna') if name in sys.modules])"
    )
    assert python(code) == "[]"


def test_it_has_these_names_and_no_others() -> None:
    assert set(distrecvae.__all__) == {*FUNCTIONS, *TYPES}
    assert set(distrecvae.__all__) <= set(dir(distrecvae))
    for name in FUNCTIONS:
        assert callable(getattr(distrecvae, name)), name
    for name in TYPES:
        assert inspect.isclass(getattr(distrecvae, name)), name
    with pytest.raises(AttributeError, match="serach"):
        _ = distrecvae.serach  # type: ignore[attr-defined]


ROOMS = "import distrecvae.search.space.space, distrecvae.data.io, distrecvae.training.registry, distrecvae.cli.search"
CALLED = (
    "import inspect, distrecvae\n"
    "for name in ('prepare', 'search', 'compare', 'blend', 'train', 'evaluate', 'load'):\n"
    "    function = getattr(distrecvae, name)\n"
    "    assert callable(function), name\n"
    "    assert 'kwargs' not in str(inspect.signature(function)), name\n"
    "    required = {'evaluate': ('model', 'data'), 'blend': ('run', 'data'), 'load': ('model',)}.get(name, ())\n"
    "    try: function(*required, no_such_argument=1)\n"
    "    except TypeError as error: assert 'no_such_argument' in str(error), error\n"
    "    else: raise AssertionError(name)\n"
)
ROOM_STILL = (
    "from distrecvae.search.space.space import SearchSpace\n"
    "import distrecvae.search.core.config as config\n"
    "assert SearchSpace.load('recvae').model == 'recvae'\n"
    "assert distrecvae.search.core.config is config\n"
    "import sys\nassert distrecvae.search is sys.modules['distrecvae.search']\n"
)


@pytest.mark.parametrize(
    "code",
    [
        f"{CALLED}{ROOM_STILL}{CALLED}",
        f"{ROOMS}\n{CALLED}{ROOM_STILL}{CALLED}",
        f"import distrecvae.search\n{CALLED}{ROOM_STILL}",
        f"from distrecvae import search, compare, train\nassert callable(search)\n{ROOMS}\n{CALLED}{ROOM_STILL}",
        f"from distrecvae import *\nassert callable(search)\n{CALLED}{ROOM_STILL}",
        f"from distrecvae.search import core\nimport pickle\npickle.dumps(core.__name__)\n{CALLED}{ROOM_STILL}",
    ],
    ids=["called first", "rooms first", "package first", "names first", "all names", "a room of it"],
)
def test_a_function_can_be_called_before_and_after_the_package_of_its_name_was_imported(code: str) -> None:
    python(code)


def test_the_package_can_still_be_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "distrecvae.search", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "python -m distrecvae.search [OPTIONS]" in done.stdout


# --- every option of a command is an argument of its function, with the same default, and the reverse

COMMAND_ONLY = {
    ("search", "dry_run"): "prints a plan and stops; a call has one kind of result",
    ("search", "like_search"): "says what a plan takes its times from; a call makes none",
    ("compare", "dry_run"): "prints plans and stops; a call has one kind of result",
    ("prepare", "explain"): "prints what became of rows and stops; a call has one kind of result",
    ("top", "once"): "a call returns how things stand once; a loop is the caller's",
    ("top", "every"): "a call returns how things stand once; a loop is the caller's",
}
CALLED_OTHERWISE = {"list": "searches", "continue": "train_on"}
"""Commands whose functions have another name: `list` and `continue` are Python's own."""
PYTHON_ONLY: dict[tuple[str, str], str] = {}
OTHER_DEFAULT = {
    ("train", "out"): "the command asks for it; a notebook's cell is run again and gets the next number",
    (
        "train",
        "model",
    ): "the help names the model of no configuration; None is that, or the configuration's own",
    ("prepare", "missing"): "the help says what happens where nothing is told to be missing",
    ("evaluate", "data"): "no default on either side",
    ("evaluate", "model"): "no default on either side",
}
SETTINGS = {field.name: field.default for field in dataclasses.fields(SearchConfig)}
IN_WORDS = {  # defaults that a help text describes: None in Python
    "keep every row", "found by name", "told by that line", "its byte order mark's, or UTF-8",
    "what the memory has room for", "told by name and content", "the known one", "~/.cache/distrecvae", "all cores",
    "as many as the trial had", "where it was", "as it was", "runs/NAME", "MODEL-DATA, numbered",
    "report.html in RESULTS",
    "compare-DATA, numbered", "RUN/blend of one search, runs/blend-DATA", "cuda if there is a GPU",
    "~/.cache/distrecvae/results/NAME-...", "DIR, where there is one", "as compared", "all",
    "all of them", "those of the data set that it is", "runs/published-PAPER-DATA, numbered", "as published",
}  # fmt: skip


def options_of(command: str) -> dict[str, Any]:
    """Return a command's options and arguments by name, each with the default that its help states."""
    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    defaults: dict[str, Any] = {}
    for parameter in found.params:
        if isinstance(parameter, click.Argument):
            defaults[parameter.name or ""] = None
            continue
        assert isinstance(parameter, click.Option)
        name = max(parameter.opts, key=len).removeprefix("--").replace("-", "_")
        stated = re.search(r"\[default: ([^\]]*)\]", " ".join((parameter.help or "").split()))
        own = parameter.to_info_dict()["default"]
        if stated is not None:
            defaults[name] = value_of(stated[1].split(";")[0])
        else:
            defaults[name] = own if isinstance(own, bool | int | float | str) else None
        if parameter.is_flag and stated is None:
            defaults[name] = own is True
        if command in ("search", "compare") and parameter.name in SETTINGS:
            defaults[name] = SETTINGS[parameter.name]
    return defaults


def value_of(text: str) -> Any:
    if text in IN_WORDS:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def arguments_of(function: Callable[..., Any]) -> dict[str, Any]:
    return {
        name: None if parameter.default is parameter.empty else parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
    }


def function_of(command: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(distrecvae, CALLED_OTHERWISE.get(command, command))
    return function


@pytest.mark.parametrize(
    "command",
    [
        "search",
        "compare",
        "blend",
        "train",
        "evaluate",
        "prepare",
        "list",
        "top",
        "steer",
        "continue",
        "why",
        "reproduce",
        "clean",
        "report",
        "tables",
        "published",
    ],
)
def test_every_option_is_an_argument_with_the_same_default_and_the_reverse(command: str) -> None:
    options, arguments = options_of(command), arguments_of(function_of(command))
    assert {name for name in options if (command, name) not in COMMAND_ONLY} == {
        name for name in arguments if (command, name) not in PYTHON_ONLY
    }
    for name, default in arguments.items():
        if (command, name) not in OTHER_DEFAULT:
            assert default == options[name], name


def test_no_exception_is_stale() -> None:
    for command, name in (*COMMAND_ONLY, *OTHER_DEFAULT):
        assert name in options_of(command), (command, name)
    for command, name in COMMAND_ONLY:
        assert name not in arguments_of(function_of(command))


def test_every_argument_is_explained() -> None:
    from distrecvae.api import searching

    for name in FUNCTIONS:
        function: Any = searching.search if name == "search" else getattr(distrecvae, name)
        documented = re.findall(r"^    (\w+): ", inspect.cleandoc(function.__doc__), re.M)
        assert set(inspect.signature(function).parameters) <= set(documented), name


# --- in scripts

SCRIPT = """
import sys
import distrecvae as dr

data = dr.prepare("data")
result = dr.search(data, space="./space.yaml", trials=int(sys.argv[1]), max_passes=24, min_passes=4, seed=5,
                   concurrent=1, checkpoint_every=0.05, out="out", resume_or_start=True)
best = result.best
print("ended", result.complete, len(result.trials), repr(result))
print("again", result.summary.rpartition("resume ")[2].strip())
"""


@pytest.mark.ray
def test_a_script_without_a_main_guard_is_interrupted_and_goes_on(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("data", "space.yaml"):
        (tmp_path / name).symlink_to(site.folder / name)
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "script.py", "400"],
        cwd=tmp_path, env=site.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_for(lambda: n_reports(tmp_path / "out") >= 3, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=HANGS_AFTER_S)
    finally:
        process.kill()
    assert process.returncode == 0, out + err
    call = "import distrecvae; distrecvae.search(extend='out')"
    assert f"to resume: {call}" in err
    assert "Traceback" not in err
    said = dict(line.split(" ", 1) for line in out.splitlines() if line.startswith(("ended", "again")))
    assert said["ended"].startswith("False ")
    assert "not over" in said["ended"]
    assert said["again"] == call
    begun = int(said["ended"].split()[1])
    described = json.loads((tmp_path / "out" / "search.json").read_text(encoding="utf-8"))
    assert described["status"] == "interrupted"

    # The hint, pasted; a search may only grow, so it is ended by its time budget.
    # In this process: who pastes it has one that runs.
    budget = described["elapsed_s"] + 0.1
    pasted = call.replace("extend='out'", f"extend='out', time_budget={budget}").replace("; ", "; result = ")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_TMPDIR", str(ray_folder()))
    found: dict[str, Any] = {}
    exec(pasted, found)  # noqa: S102
    result = found["result"]
    assert (result.complete, result.model.model) == (True, "recvae")
    assert len(result.trials) >= begun
