"""Which limits of a search its best trial met: the ends of ranges, and the passes that a trial gets."""

from __future__ import annotations

from dataclasses import dataclass

from distrecvae.search.core.records import TrialRecord
from distrecvae.search.space.edges import Edge
from distrecvae.search.space.space import SearchSpace


@dataclass(frozen=True)
class Limits:
    """What a search's best trial could not go beyond.

    Attributes:
        trial: its number.
        edges: its values at the edge of their ranges.
        passes: data passes that it had.
        late_gain: the share of its score that came in the last fifth of its reports.
        rising: whether that is so much that more passes would bring more.
    """

    trial: int
    edges: tuple[Edge, ...]
    passes: int
    late_gain: float
    rising: bool

    def sentences(self, *, widens: bool = False) -> list[str]:
        """Return a sentence for each limit, and one on what to do; nothing where it met none.

        Args:
            widens: the search moves ranges' ends out by itself (`--widen`).
        """
        said = [f"In the best trial ({self.trial}) {edge.text()}." for edge in self.edges]
        if said:
            wider = "a space with wider ranges, warm-started from this search."
            said.append("To look beyond: " + ("more trials, or " if widens else "--widen, or ") + wider)
        if self.rising:
            said.append(
                f"The best trial ({self.trial}) was still rising at its last pass: the last fifth of its {self.passes}"
                f" passes brought {self.late_gain:.1%} of its score. More passes may bring more (--max-passes)."
            )
        return said


def limits_of(record: TrialRecord, space: SearchSpace) -> Limits:
    """Return which limits a trial met, as a rule the best one.

    Args:
        record: the trial; it has a report.
        space: what is searched.
    """
    return Limits(
        record.number, space.edges(record.config), record.passes, record.late_gain, record.still_rising
    )
