"""A search's operator as a fault: requests at seeded moments, beside workers and drivers that die."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import distrecvae
from distrecvae.errors import ConfigError, ResultsError
from distrecvae.layout import LEDGER_FILE
from distrecvae.search.core.chain import read_chain
from distrecvae.search.folder.mailbox import Mailbox
from tests.faults.harness import Fault, Storm, assert_no_orphans, trials
from tests.faults.promises import hold
from tests.results import lines_of
from tests.simulation.steered import stopped_as_told

ASKS = ("stop", "add", "narrow", "widen", "fix", "trials", "concurrent", "pause")
Words = tuple[object, ...]


@dataclass
class Operator:
    """Asks a search for what faults named `ask-...` say, and keeps the answers.

    Attributes:
        storm: the search.
        answers: each request with whether it was done, and the answer.
        late: requests that found the search at its end.
    """

    storm: Storm
    answers: list[tuple[Words, bool, str]] = field(default_factory=list)
    late: list[Words] = field(default_factory=list)

    def __call__(self, fault: Fault) -> None:
        """Send the fault's request; after `pause` a second one, `go`."""
        action = fault.kind.removeprefix("ask-")
        self._ask((action, *self._words(action, random.Random(f"{self.storm.name} {fault}"))))  # noqa: S311
        if action == "pause":
            self._ask(("go",))

    def _words(self, action: str, draw: random.Random) -> Words:
        if action == "stop":
            lines = lines_of(self.storm.folder)
            asked = {line["trial"] for line in lines if line["kind"] == "asked"}
            ended = {line["trial"] for line in lines if line["kind"] == "ended"}
            # The trial that runs, or one that has just begun, or ended; one that there is not is refused.
            return (max(asked - ended, default=len(asked)) + draw.choice((0, 0, 0, 1)),)
        chosen: dict[str, Words] = {
            "add": (f"learning_rate={draw.uniform(0.001, 0.004):.6f}", "latent_dim=8"),
            "narrow": ("latent_dim=4:12",),
            "widen": ("learning_rate=0.00005:0.02",),
            "fix": ("latent_dim=8",),
            "trials": (draw.randint(12, 26),),
            "concurrent": (draw.choice((1, 2)),),
            "pause": (),
        }
        return chosen[action]

    def _ask(self, words: Words) -> None:
        action, *rest = words
        try:
            said = distrecvae.steer(self.storm.folder, str(action), *rest)
        except ConfigError as error:
            if "the search is over" in str(error):
                self.late.append(words)
            else:
                self.answers.append((words, False, str(error)))
        except ResultsError as error:
            if "has not answered" in str(error):
                raise AssertionError(str(error)) from None
            self.late.append(words)
        else:
            if "does not run" in said:
                self.late.append(words)
            else:
                self.answers.append((words, True, said))

    def assert_kept_its_promises(self, undisturbed: Path) -> None:
        """Each request was answered as the ledger has it; the search is what its ledger, space and data say."""
        lines = read_chain(self.storm.folder / LEDGER_FILE).records
        taken = [line for line in lines if line["kind"] == "steered" and "by" not in line["facts"]]
        has = [(line["what"]["action"], line["done"]) for line in taken]
        told = [(words[0], done) for words, done, _ in self.answers]
        assert has == told, f"it was asked, and answered: {told}; its ledger has {has}"
        stopped_as_told(lines)
        _drawn_as_told(lines)
        mailbox = Mailbox(self.storm.folder)
        assert len(mailbox.names) <= len(self.late), f"{mailbox.names} wait, and {self.late} came too late"
        for name in mailbox.names:
            mailbox.withdraw(name)
        hold(self.storm.folder, self.storm.site.folder / "data", undisturbed)
        table = trials(self.storm.folder)
        self.storm.run([])
        assert trials(self.storm.folder).equals(table), "resumed at its end, it is another one"
        assert_no_orphans()


def _drawn_as_told(lines: Sequence[Mapping[str, Any]]) -> None:
    """What was added is tried next, in order; what was narrowed or fixed is so from the next trial on."""
    added: list[Mapping[str, Any]] = []
    within = (4, 16)
    for line in lines:
        if line["kind"] == "steered" and line["done"]:
            what = line["what"]
            if what["action"] == "add":
                added.append(what["settings"])
            elif what["action"] == "fix":
                within = (what["settings"]["latent_dim"],) * 2
            elif what["action"] == "narrow":
                within = tuple(what["ranges"]["latent_dim"])
        elif line["kind"] == "asked":
            wanted = added.pop(0) if added else {}
            assert wanted.items() <= line["config"].items(), f"{wanted} was added, and {line['config']} came"
            low, high = within
            assert low <= line["config"]["latent_dim"] <= high, (
                f"{line['config']}, and {within} was asked for"
            )
    assert not added, f"{added} was never tried"
