"""What holds of the package's structure: its rooms, its sizes, the tests that mirror it."""

from pathlib import Path

import distrecvae

PACKAGE = Path(distrecvae.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def place_of(path: Path) -> str:
    """Return where a module lies: `search/core/ledger.py`."""
    return path.relative_to(PACKAGE).as_posix()
