"""The live table in a notebook: one output that is replaced, without a widget."""

from __future__ import annotations

import io
from html import escape
from typing import Any

from rich.console import Console, RenderableType

WIDTH = 100
STYLE = "white-space:pre;font-family:monospace;line-height:1.3;overflow-x:auto"


class NotebookTable:
    """An output of the running cell.

    Args:
        display: IPython's function of that name.
        html: what makes an HTML output of a text.
    """

    def __init__(self, display: Any, html: Any) -> None:
        self._display, self._html = display, html
        self._handle: Any = None

    def update(self, shown: RenderableType) -> None:
        """Show this in the place of what was shown before."""
        console = Console(
            file=io.StringIO(), width=WIDTH, no_color=True, force_terminal=False, force_jupyter=False
        )
        with console.capture() as captured:
            console.print(shown)
        self._show(f'<div style="{STYLE}">{escape(captured.get().rstrip())}</div>')

    def stop(self) -> None:
        """Show nothing any more."""
        if self._handle is not None:
            self._show("")

    def _show(self, text: str) -> None:
        if self._handle is None:
            self._handle = self._display(self._html(text), display_id=True)
        else:
            self._handle.update(self._html(text))


def notebook_table() -> NotebookTable | None:
    """Return the cell's table where this runs in a notebook; None elsewhere."""
    if not Console().is_jupyter:
        return None
    from IPython.display import HTML, display  # a notebook's kernel has it

    return NotebookTable(display, HTML)
