"""Imports point one way and heavy libraries stay in their rooms: data, models and training work without Ray."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.house import MODULES, PACKAGE, place_of

FLOORS = (
    ("activity", "errors", "rng", "words", "layout", "signals", "precisions", "pacing", "regular"),
    ("checks", "dotted", "files", "packaged", "job", "typed"),
    ("metrics", "storage"),
    ("data",),
    ("kernels", "papers"),
    ("models", "ranking"),
    ("evaluation", "paired", "selection"),
    ("elsewhere", "recommendation", "shared_items", "training/trainer", "training/device"),
    ("training/entry",),
    ("training/others",),
    ("training/schemes",),
    ("training/registry",),
    ("saved",),
    ("runs", "blending"),
    ("search/space",),
    ("search/core",),
    ("search/planning", "search/commands"),
    ("search/on_ray", "search/folder"),
    ("search/watchers", "search/summary"),
    ("search/doctor", "search/living"),
    ("search/report",),
    ("search/course", "search/estimating"),
    ("search/launch",),
    ("search/comparison",),
    ("testing",),
    ("api",),
    ("cli",),
)
"""From the ground up. A module imports from its own room and from lower floors: rooms on one floor do not know each
other. Modules that stand alone on the ground, and those named one by one, are rooms of their own."""

CALLED = {"distrecvae.api.searching.search"}
"""What the face of `search/` imports when it is called, and no sooner: `distrecvae.search` is a function and a package,
and one name cannot be both. No other face imports anything: they lie outside of the floors."""

# library: the rooms it may be imported in
LIBRARIES = {
    "ray": ("search/on_ray",),
    "optuna": ("search/space", "search/core", "search/watchers/study_copy", "search/report", "search/living/why"),
    "sqlalchemy": ("search/watchers/study_copy",),
    "torch": (
        "kernels", "models", "ranking", "evaluation", "recommendation", "shared_items", "training", "saved",
        "blending", "runs/kept", "runs/resumable", "runs/trial", "runs/warm",
        "search/doctor/machine", "search/doctor/gpu", "search/doctor/watching", "testing",
    ),
    "triton": ("kernels/triton",),
    "safetensors": ("saved/tensors",),
    "pydantic": ("typed",),
    "onnxscript": ("saved/export",),
    "onnxruntime": ("saved/export",),
    "pandas": ("data", "search/folder/tables", "search/comparison/kept", "blending/files", "api"),
    "pyarrow": ("data", "elsewhere/reading", "storage/store"),
    "tensorboard": ("search/watchers/tensorboard",),
    "matplotlib": ("search/comparison/plot", "search/comparison/diagram"),
    "mlflow": ("search/watchers/mlflow",),
    "wandb": ("search/watchers/wandb",),
    "plotly": ("search/report",),
    "jinja2": ("search/report",),
    "jsonschema": ("search/doctor/cluster/schema",),
    "click": ("cli",),
}  # fmt: skip


def imports(path: Path) -> set[str]:
    """Return the dotted names that a module imports, those inside functions included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            pytest.fail(f"{path}: relative import; write the whole name, it is what this test reads")
    return names


def is_in(place: str, room: str) -> bool:
    return place == room or place.startswith(f"{room}/")


def room_of(place: str) -> tuple[int, str] | None:
    """Return the floor and the room of a module, by its place without `.py`; None for entry points and faces."""
    rooms = [(floor, room) for floor, rooms in enumerate(FLOORS) for room in rooms if is_in(place, room)]
    return max(rooms, key=lambda found: len(found[1]), default=None)


def stem(path: Path) -> str:
    return place_of(path).removesuffix(".py").removesuffix("/__init__")


def module_of(name: str) -> str | None:
    """Return the place of the module that an imported name lies in; None for other packages."""
    parts = name.split(".")
    if parts[0] != "distrecvae":
        return None
    for length in range(len(parts), 1, -1):
        place = "/".join(parts[1:length])
        if (PACKAGE / f"{place}.py").is_file() or (PACKAGE / place).is_dir():
            return place
    return None


@pytest.mark.parametrize("path", MODULES, ids=place_of)
def test_a_module_imports_from_its_room_or_from_lower_floors(path: Path) -> None:
    if path.name == "__main__.py" or path == PACKAGE / "__init__.py":
        return  # `python -m ...` and the package's face stand above the house
    own = room_of(stem(path))
    if own is None:
        assert path.name == "__init__.py", f"{place_of(path)} has no room: give it one in FLOORS"
        own_imports = {name for name in imports(path) if name.startswith("distrecvae.")}
        assert own_imports == (CALLED if place_of(path) == "search/__init__.py" else set())
        return
    for name in imports(path):
        other = room_of(module_of(name) or "")
        assert other is None or other == own or other[0] < own[0], (
            f"{place_of(path)} imports {name}: {other[1]} is on floor {other[0]}, {own[1]} only on {own[0]}"
        )


def test_the_house_has_no_room_that_is_not_there() -> None:
    for floor in FLOORS:
        for room in floor:
            assert (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").is_file(), room


@pytest.mark.parametrize("path", MODULES, ids=place_of)
def test_a_library_stays_in_its_rooms(path: Path) -> None:
    for name in imports(path):
        rooms = LIBRARIES.get(name.split(".")[0])
        assert rooms is None or any(is_in(stem(path), room) for room in rooms), (
            f"{place_of(path)} imports {name}"
        )


def test_what_takes_long_to_import_is_imported_where_it_is_used() -> None:
    # scipy.stats takes half a second of a search's start, which has no question for it.
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            named = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            )
            of = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            assert not any(f"{of}{name}.".startswith("scipy.stats.") for name in named), place_of(path)


def test_modules_of_one_room_do_not_import_each_other_in_a_circle() -> None:
    arrows = {
        stem(path): {module_of(name) for name in imports(path)} - {None, stem(path)} for path in MODULES
    }
    entered: list[str] = []
    done: set[str] = set()

    def follow(place: str) -> None:
        assert place not in entered, f"a circle: {' -> '.join([*entered[entered.index(place) :], place])}"
        if place in done:
            return
        entered.append(place)
        for other in arrows.get(place, ()):
            if other is not None and not (PACKAGE / other).is_dir():
                follow(other)
        entered.pop()
        done.add(place)

    for place in arrows:
        if not place.endswith("__main__"):
            follow(place)


def test_no_module_is_named_in_a_string() -> None:
    # An import written as a string is one that this test cannot see: a floor named the one above it by it.
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
                place = module_of(node.value) if node.value.startswith("distrecvae.") else None
                named = place if place is not None and (PACKAGE / f"{place}.py").is_file() else None
                assert named is None or named == "search/report", f"{place_of(path)} names {node.value!r}"


def test_the_picture_in_the_docs_is_the_house() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    picture = page.split("```text\n", 1)[1].split("```", 1)[0]
    floors = (line.split("  ", 1)[0] for line in picture.splitlines() if not line.startswith(" "))
    drawn = [set(floor.split(", ")) for floor in floors][::-1]
    assert drawn == [set(floor) for floor in FLOORS]


def test_training_works_where_ray_is_not_installed() -> None:
    # A bare GPU box has torch, NumPy and SciPy: importing what trains must not even look for the rest.
    blocked = [
        "ray",
        "optuna",
        "pandas",
        "pyarrow",
        "tensorboard",
        "click",
        "rich",
        "psutil",
        "pydantic",
        "yaml",
    ]
    code = (
        f"import sys\nfor name in {blocked}: sys.modules[name] = None\n"
        "import distrecvae.training.registry, distrecvae.training.trainer, distrecvae.evaluation\n"
        "import distrecvae.data.synthetic, distrecvae.search.doctor.gpu"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
