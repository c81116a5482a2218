"""Keeps the state files that a search still needs, and removes the others."""

from __future__ import annotations

from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import REVIVABLE, Status, TrialRecord, by_score
from distrecvae.search.core.states import TrialStates


class Keeper:
    """Removes the state files of ended trials except those of the `n_best` best and of the first one; a watcher.

    Args:
        states: the files.
        ledger: the search's record.
        n_best: how many; None for every trial that has a model.
        revives: a stopped trial may continue while the search is not over: until then those that may are kept.
    """

    def __init__(
        self, states: TrialStates, ledger: Ledger, *, n_best: int | None, revives: bool = False
    ) -> None:
        self._states, self._ledger = states, ledger
        self._n_best, self._n_at_last = n_best, n_best
        if revives and n_best is not None:
            self._n_best = max(n_best, REVIVABLE)
        self._held = set(ledger.records)

    def started(self, record: TrialRecord) -> None:
        """A trial under way may have a state file."""
        self._held.add(record.number)

    def reported(self, record: TrialRecord) -> None:
        """Nothing to remove."""

    def ended(self, record: TrialRecord) -> None:  # noqa: ARG002
        """Remove what this trial's end has made superfluous."""
        self.clean()

    def clean(self) -> None:
        """Remove every state file that is not needed any more, and what writers that were killed left beside it."""
        best = {record.number for record in by_score(self._ledger.records.values())[: self._n_best]}
        for number in sorted(self._held):
            if self._ledger.records[number].status is Status.RUNNING:
                continue
            self._states.clean(number)
            if number != 0 and number not in best:
                self._states.forget(number)
            if number not in best or self._n_best is None:  # nothing that comes later changes that
                self._held.discard(number)

    def clean_all(self) -> None:
        """Do so for all trials: a state may have been on its way when its trial was ended. Nobody sends any more."""
        self._held, self._n_best = set(self._ledger.records), self._n_at_last
        self.clean()
