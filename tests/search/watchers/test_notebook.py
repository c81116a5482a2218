"""A notebook's table is there in a notebook only; `test_progress.py` holds what it shows."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from distrecvae.search.watchers.notebook import NotebookTable, notebook_table


def test_outside_of_a_notebook_there_is_none() -> None:
    assert notebook_table() is None


def test_what_is_shown_is_text_and_never_markup() -> None:
    drawn: list[str] = []

    def display(text: str, **_: Any) -> None:
        drawn.append(text)

    table = NotebookTable(display, str)
    table.stop()
    assert drawn == [], "nothing was shown, so nothing is taken back"
    table.update(Text("a <b> [red]c[/red]"))
    (shown,) = drawn
    assert "a &lt;b&gt; [red]c[/red]</div>" in shown
