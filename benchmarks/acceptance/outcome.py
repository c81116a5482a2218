"""What a step found: criteria, each held or not, or figures only; written down as they are made, and as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

PASSED, FAILED, LEFT_OUT = "passed", "failed", "left out"


class LeftOutError(Exception):
    """A step, or the rest of it, cannot be run here; the text says why."""


@dataclass(frozen=True)
class Criterion:
    """One thing that was looked at.

    Attributes:
        what: in a few words.
        found: what was found, for people.
        wanted: what it is held to; empty for a figure that is only told.
        holds: whether it is as wanted.
        figures: numbers, by name with the unit.
    """

    what: str
    found: str
    wanted: str = ""
    holds: bool = True
    figures: Mapping[str, Any] = field(default_factory=dict)


class Finding(Protocol):
    """What the package's own checks return (`distrecvae.search.doctor.gpu.Checked`)."""

    @property
    def subject(self) -> str:
        """What was looked at."""

    @property
    def text(self) -> str:
        """What came of it."""

    @property
    def remedy(self) -> str | None:
        """None where all is well."""

    @property
    def figures(self) -> Mapping[str, float]:
        """Numbers."""


def judged(checked: Finding, wanted: str) -> Criterion:
    """Return what a check of the package found as a criterion."""
    return Criterion(checked.subject, checked.text, wanted, checked.remedy is None, checked.figures)


@dataclass(frozen=True)
class Outcome:
    """What came of a step.

    Attributes:
        step: its name.
        status: "passed", "failed" or "left out".
        why: of a failure that is no criterion's, or of what was left out.
        duration_s: of its process.
        criteria: in order.
    """

    step: str
    status: str
    why: str
    duration_s: float
    criteria: tuple[Criterion, ...]


def note(path: Path, entry: Criterion | Mapping[str, str]) -> None:
    """Append a criterion, or a step's end, to the step's file: what was found stays where the step is ended."""
    line = asdict(entry) if isinstance(entry, Criterion) else dict(entry)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read(path: Path, step: str, duration_s: float, ended: str) -> Outcome:
    """Return what a step noted.

    Args:
        path: its file.
        step: its name.
        duration_s: how long its process took.
        ended: how the process ended, for one that did not note its own end.
    """
    lines = (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    )
    end = next((line for line in lines if "end" in line), {"end": FAILED, "why": ended})
    criteria = tuple(Criterion(**line) for line in lines if "end" not in line)
    missed = [criterion.what for criterion in criteria if not criterion.holds]
    status = FAILED if missed else end["end"]
    why = f"not as wanted: {', '.join(missed)}" if missed else end["why"]
    return Outcome(step, status, why, duration_s, criteria)


def is_over(outcomes: list[Outcome], *, require_all: bool) -> bool:
    """Return whether the run is accepted: no step failed; with `require_all`, none was left out."""
    bad = (FAILED, LEFT_OUT) if require_all else (FAILED,)
    return not any(outcome.status in bad for outcome in outcomes)


def table(outcomes: list[Outcome]) -> str:
    """Return the Markdown table: a row a step, then what it found."""
    lines = ["| step | | found | wanted | seconds |", "| --- | --- | --- | --- | --- |"]
    for outcome in outcomes:
        why = "" if outcome.status == PASSED else _cell(outcome.why)
        lines.append(f"| **{outcome.step}** | {outcome.status} | {why} | | {outcome.duration_s:.0f} |")
        for criterion in outcome.criteria:
            mark = "" if not criterion.wanted else "yes" if criterion.holds else "**no**"
            lines.append(
                f"| {_cell(criterion.what)} | {mark} | {_cell(criterion.found)} | {_cell(criterion.wanted)} | |"
            )
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
