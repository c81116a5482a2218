"""Says what this machine cannot hold at all, before anything of such a size is made."""

from __future__ import annotations

import psutil

from distrecvae.errors import ResourceError
from distrecvae.words import gib


def require_memory(what: str, n_bytes: int) -> None:
    """Refuse what takes more than all of the machine's memory.

    Args:
        what: what is to be done, in the message.
        n_bytes: what it takes.

    Raises:
        ResourceError: it does.
    """
    total = psutil.virtual_memory().total
    if n_bytes > total:
        raise ResourceError(
            f"{what} takes {gib(n_bytes)} of memory, and this machine has {gib(total)}; lower the model's sizes or"
            " batch_size"
        )
