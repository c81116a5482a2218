"""How a file's values are looked at: whatever a person wrote there, a rule that asks for a list gets a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from reprlib import Repr
from typing import Any

from distrecvae.errors import nearest
from distrecvae.search.doctor.finding import Finding
from distrecvae.words import printable

LONGEST_VALUE = 80


def mapping(value: Any, *keys: str) -> dict[str, Any]:
    """Return the mapping under these keys; an empty one where there is none."""
    found = dig(value, *keys)
    return {str(key): held for key, held in found.items()} if isinstance(found, dict) else {}


def listed(value: Any, *keys: str) -> list[Any]:
    """Return the list under these keys; an empty one where there is none."""
    found = dig(value, *keys)
    return found if isinstance(found, list) else []


def text(value: Any, *keys: str) -> str:
    """Return the text under these keys; an empty one where there is none."""
    found = dig(value, *keys)
    return found if isinstance(found, str) else ""


def number(value: Any, *keys: str) -> float | None:
    """Return the number under these keys; None where there is none."""
    found = dig(value, *keys)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def dig(value: Any, *keys: str) -> Any:
    """Return what lies under these keys; None where nothing does."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def wrong(subject: str, where: str, value: Any, rule: str, remedy: str) -> Finding:
    """Return what is wrong with a value, in a line.

    Args:
        subject: what kind of trouble it is, in a word.
        where: the value's place in the file, keys joined by dots.
        value: what stands there; None where nothing does.
        rule: what it breaks.
        remedy: what to do.
    """
    shown = "is missing" if value is None else f"is {_short(value)}"
    return Finding(subject, f"{where} {shown}: {rule}", remedy)


def lacking(subject: str, where: str, what: str, rule: str, remedy: str) -> Finding:
    """Return what is wrong with a place where something is not that should be, in a line."""
    return Finding(subject, f"{where} lacks {what}: {rule}", remedy)


def folded(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings, those that differ in their place alone as one: YAML's anchors repeat a mistake."""
    first: dict[tuple[str, ...], Finding] = {}
    times: Counter[tuple[str, ...]] = Counter()
    for finding in findings:
        key = (finding.subject, finding.text.partition(" ")[2], str(finding.remedy))
        first.setdefault(key, finding)
        times[key] += 1
    return [
        finding._replace(text=f"{finding.text} (and {times[key] - 1} more like it)")
        if times[key] > 1
        else finding
        for key, finding in first.items()
    ]


def unknown_keys(
    subject: str, where: str, value: dict[str, Any], known: frozenset[str], whose: str
) -> list[Finding]:
    """Return what is wrong with keys that nothing reads: they are passed on or dropped."""
    return [
        wrong(
            subject,
            f"{where}.{key}",
            held,
            f"{whose} knows no such key{nearest(key, known)}",
            "mend its name, or remove it",
        )
        for key, held in value.items()
        if key not in known
    ]


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    shown = printable(" ".join(_SHOWN.repr(value).split()))
    return shown if len(shown) <= LONGEST_VALUE else f"{shown[: LONGEST_VALUE - 3]}..."


_SHOWN = Repr()  # of a few levels: a text of a kilobyte may stand for more than a memory holds
_SHOWN.maxstring = _SHOWN.maxother = LONGEST_VALUE
