"""Imports point one way and heavy libraries stay in their rooms: data, models and training work without Ray."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import distrecvae

PACKAGE = Path(distrecvae.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# A module may import from its own layer and from lower ones.
LAYERS = {
    "errors": 0,
    "rng": 0,
    "files": 0,
    "packaged": 0,
    "job": 0,
    "data": 1,
    "metrics": 1,
    "models": 2,
    "evaluation": 3,
    "recommendation": 3,
    "training": 4,
    "search": 5,
    "cli": 6,
}

# library: where it may be imported
ROOMS = {
    "ray": {
        "search/driver.py",
        "search/tuning.py",
        "search/trainable.py",
        "search/callbacks.py",
        "search/nodes.py",
        "search/seeds.py",
    },
    "optuna": {"search/"},
    "sqlalchemy": {"search/storage.py"},
    "torch": {"models/", "training/", "evaluation.py", "recommendation.py"},
    "onnxscript": {"training/export.py"},
    "onnxruntime": {"training/export.py"},
    "pandas": {"data/", "search/results.py", "search/comparison_files.py"},
    "pyarrow": {"data/", "search/results.py"},
    "tensorboard": {"search/tensorboard.py"},
    "matplotlib": {"search/comparison_plot.py"},
    "mlflow": {"search/log_mlflow.py"},
    "wandb": {"search/log_wandb.py"},
    "plotly": {"search/report.py", "search/report_figures.py", "search/report_parameter_figures.py"},
    "click": {"cli/"},
}


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


def layer_of(parts: tuple[str, ...]) -> int | None:
    return LAYERS[parts[0].removesuffix(".py")] if parts and not parts[0].startswith("__") else None


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_layer_or_lower_ones(path: Path) -> None:
    own = layer_of(path.relative_to(PACKAGE).parts)
    if own is None or path.name == "__main__.py":
        return  # entry points of `python -m` and the package itself lie outside the layers
    for name in imports(path):
        parts = tuple(name.split("."))
        other = layer_of(parts[1:]) if parts[0] == "distrecvae" and len(parts) > 1 else None
        assert other is None or other <= own, (
            f"{path.relative_to(PACKAGE)} imports {name} from a higher layer"
        )


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_library_stays_in_its_rooms(path: Path) -> None:
    place = path.relative_to(PACKAGE).as_posix()
    for name in imports(path):
        rooms = ROOMS.get(name.split(".")[0])
        assert rooms is None or any(place.startswith(room) for room in rooms), f"{place} imports {name}"


def test_training_works_where_ray_is_not_installed() -> None:
    # A bare GPU box has torch, NumPy and SciPy: importing what trains must not even look for the rest.
    blocked = ["ray", "optuna", "pandas", "pyarrow", "tensorboard", "click", "rich"]
    code = (
        f"import sys\nfor name in {blocked}: sys.modules[name] = None\n"
        "import distrecvae.training.registry, distrecvae.training.trainer, distrecvae.evaluation\n"
        "import distrecvae.data.synthetic"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
