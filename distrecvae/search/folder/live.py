"""`live.json`: what is known of a running search beside its ledger, for those who look from elsewhere.

It is there while the search runs, and a copy of nothing that is kept: what workers are at, and what is still to go.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from distrecvae.files import write_json
from distrecvae.layout import LIVE_FILE
from distrecvae.typed import MisfitError, read_typed


@dataclass(frozen=True, kw_only=True)
class Live:
    """The state of a running search.

    Attributes:
        elapsed_s: seconds that it took so far.
        to_go: seconds that are still to go: at least, likely, at most; None while nothing tells.
        paused: whether no trial may run.
        doing: what each running trial's worker is at, by the trial's number.
        steps: of each running trial's long first step, by its number: the share that is done, and the seconds to
            go; None where they are not known.
        at: when this was written, UTC.
    """

    elapsed_s: float
    to_go: tuple[float, float, float] | None = None
    paused: bool = False
    doing: dict[str, str] = field(default_factory=dict)
    steps: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def age_s(self) -> float:
        """Seconds since it was written, by this machine's clock."""
        return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(self.at)).total_seconds())


def write_live(folder: Path, live: Live) -> None:
    """Write it into a results folder, by renaming."""
    write_json(folder / LIVE_FILE, asdict(live))


def read_live(folder: Path) -> Live | None:
    """Return it; None where there is none, or another version's."""
    try:
        live = read_typed(folder / LIVE_FILE, Live)
        return live if live.age_s >= 0 else None
    except (OSError, MisfitError, ValueError, TypeError):
        return None


def remove_live(folder: Path) -> None:
    """Remove it: the search does not run any more."""
    (folder / LIVE_FILE).unlink(missing_ok=True)
