"""Keeps the state files that a search still needs, and removes the others."""

from __future__ import annotations

from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.core.states import TrialStates


class Keeper:
    """Removes the state files of ended trials, but for the best one's and the first one's; a watcher."""

    def __init__(self, states: TrialStates, ledger: Ledger) -> None:
        self._states, self._ledger = states, ledger
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
        best = self._ledger.best()
        for number in sorted(self._held):
            if self._ledger.records[number].status is Status.RUNNING:
                continue
            self._states.clean(number)
            if number != 0 and (best is None or number != best.number):
                self._states.forget(number)
                self._held.discard(number)

    def clean_all(self) -> None:
        """Do so for all trials: a state may have been on its way when its trial was ended. Nobody sends any more."""
        self._held = set(self._ledger.records)
        self.clean()
