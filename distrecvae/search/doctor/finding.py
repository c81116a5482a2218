"""What the doctor says: one thing that was looked at, what was found, and the remedy."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        subject: what, in a word or two.
        text: what was found.
        remedy: what to do; None where all is well.
    """

    subject: str
    text: str
    remedy: str | None = None
