"""The Triton kernels in their interpreter: programs run one after another in NumPy, pointers are to the CPU's memory.

Triton reads `TRITON_INTERPRET` as its own library is imported, so a process has either the interpreter or the compiler.
This one has the compiler; the interpreter lives in a child.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any

ROOM = "distrecvae.kernels.triton"
SWITCH = "TRITON_INTERPRET"


def interpreted(module: str, function: str, *arguments: Any, **named: Any) -> tuple[Any, ...]:
    """Call a function of the kernels' room, or of a module whose whole name is given, in the interpreter.

    Returns:
        What it returns, then its arguments as it leaves them, the named ones last: they travel, and so are never
        changed in place here.
    """
    request = pickle.dumps((module, function, arguments, named))
    found = pickle.loads(_child().submit(_answer, request).result(timeout=120))  # noqa: S301  (of our own child)
    assert isinstance(found, tuple)
    return found


def call(module: str, function: str, *arguments: Any, **named: Any) -> tuple[Any, ...]:
    """Call a function of the kernels' room here; return what `interpreted` does."""
    name = module if "." in module else f"{ROOM}.{module}"
    found = getattr(importlib.import_module(name), function)(*arguments, **named)
    return found, *arguments, *named.values()


def _answer(request: bytes) -> bytes:
    module, function, arguments, named = pickle.loads(request)  # noqa: S301  (of our own parent)
    return pickle.dumps(call(module, function, *arguments, **named))


@cache
def _child() -> ProcessPoolExecutor:
    executor = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "1"
    try:
        executor.submit(os.getpid).result(timeout=120)
    finally:
        if before is None:
            del os.environ[SWITCH]
        else:
            os.environ[SWITCH] = before
    return executor
