"""The search: space, settings, ledger, conductor, and what Ray runs of it.

`distrecvae.search(...)` is a function and `distrecvae.search` a package: whichever was asked for first, the name ends
up at the package. So the package can be called, and calls that function.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import Any


class _CallableRoom(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Tune a model: many configurations at once; see `help(distrecvae.api.searching.search)`."""
        return _function()(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(_function())


def _function() -> Any:
    from distrecvae.api.searching import search  # above this room: imported when it is called, and no sooner

    return search


sys.modules[__name__].__class__ = _CallableRoom
