"""What a search is, once started: what was asked for, how it is laid out, where it lies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from distrecvae.metrics import on_validation
from distrecvae.search.commands import resume_command
from distrecvae.search.core.chain import Mark
from distrecvae.search.core.config import CHANGEABLE, SearchConfig
from distrecvae.search.folder.search_json import Description, Status, write_description
from distrecvae.search.planning.plan import Plan
from distrecvae.search.space.space import SearchSpace
from distrecvae.storage.mirror import Mirror


@dataclass(frozen=True)
class Search:
    """A search in its folder, new or resumed.

    Attributes:
        config: the settings, with what was newly given.
        space: what is searched.
        plan: how it is laid on the cluster.
        folder: the results folder; `search.json` lies in it.
        described: what `search.json` said when this process began.
        command: the command line, or the call, by which it runs now.
        mirror: keeps a copy of the folder at a URI; None for no copy.
    """

    config: SearchConfig
    space: SearchSpace
    plan: Plan
    folder: Path
    described: Description
    command: str
    mirror: Mirror | None = None

    @property
    def place(self) -> str:
        """Where its results are found later, on whatever machine: the URI, or the folder."""
        return str(self.folder) if self.mirror is None else self.mirror.uri

    @property
    def metric(self) -> str:
        """The key of the reports that is maximised, such as `valid/ndcg_100`."""
        return on_validation(self.config.metric)

    @property
    def goes_on(self) -> str:
        """What to type, or to call, to resume it."""
        return resume_command(self.command, self.place)

    def write(self, status: Status, elapsed_s: float, ledger: Mark, trials: int | None = None) -> None:
        """Write `search.json`: what it said, how the search stands, and the settings that may change.

        Args:
            status: how the search stands.
            elapsed_s: seconds that it took so far.
            ledger: how long the ledger is.
            trials: how many it is to have now; None for as many as the settings say.
        """
        changed = {name: getattr(self.config, name) for name in CHANGEABLE}
        changed |= {} if trials is None else {"trials": trials}
        settings = replace(self.described.settings, **changed)
        write_description(
            self.folder,
            replace(self.described, status=status, elapsed_s=elapsed_s, settings=settings, ledger=ledger),
        )
