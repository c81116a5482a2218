"""Says what a search asks of itself: requests like a person's, each a function of its ledger, each made once.

They are lines of the ledger as a person's are, so that a search that is resumed stands where it stood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from optuna.samplers import BaseSampler

from distrecvae.search.core.ahead.enough import ENOUGH, is_enough
from distrecvae.search.core.ahead.widening import Allows, pulls
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.guided import GuidedSampler, worth_reviving
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import REVIVABLE, Status, by_score
from distrecvae.search.core.requests import Request
from distrecvae.search.core.steering import Steering

WIDEN = "widen before trial"
"""What the name of a request begins with that widens ranges."""


@dataclass(frozen=True)
class Unasked:
    """A request of the search's own.

    Attributes:
        name: of the request; one of that name is made once.
        request: what is asked.
        why: what begins its answer.
    """

    name: str
    request: Request
    why: str


def unasked(
    config: SearchConfig,
    steering: Steering,
    ledger: Ledger,
    sampler_of: Callable[[int], BaseSampler],
    *,
    at_once: int,
    allows: Allows | None = None,
) -> Iterator[Unasked]:
    """Yield what a search asks of itself before it asks for another trial.

    Args:
        config: its settings.
        steering: what it is to do now.
        ledger: its record.
        sampler_of: returns the sampler of the trial of that number.
        at_once: how many trials run at once.
        allows: tells what the model takes.
    """
    if (end := _end_if_enough(config, steering, ledger, at_once)) is not None:
        yield end
        return
    if config.widen:
        name, records = f"{WIDEN} {len(ledger.records)}", ledger.records.values()
        pulling = [] if name in ledger.answers else pulls(records, steering.space, steering.begun, allows)
        # What a person changed stays as that person has it.
        pulling = [pull for pull in pulling if pull.field not in steering.by_hand]
        if pulling:
            ranges = {pull.field: pull.ends for pull in pulling}
            why = "; ".join(pull.text() for pull in pulling)
            yield Unasked(name, Request(action="widen", ranges=ranges), f"{why}: ")
    if config.revives and not steering.added:
        yield from _revival(config, steering, ledger, sampler_of)


def _revival(
    config: SearchConfig, steering: Steering, ledger: Ledger, sampler_of: Callable[[int], BaseSampler]
) -> Iterator[Unasked]:
    """Continue a trial that the search's rule stopped, where that is worth more than a new one."""
    number = len(ledger.records)
    sampler = sampler_of(number)
    if not isinstance(sampler, GuidedSampler):
        return
    stopped = {
        record.number
        for record in by_score(ledger.records.values())[:REVIVABLE]
        if record.status is Status.STOPPED
        and record.reason.startswith(f"{config.scheduler} at ")
        and record.passes_with_another <= config.most_passes  # else it was at its end as it was stopped
    }
    study = ledger.study(steering.express())
    chosen = worth_reviving(study, sampler, number, stopped, config.most_passes)
    if chosen is not None:
        name = f"revive trial {chosen} from {ledger.records[chosen].passes}"
        if name not in ledger.answers:
            yield Unasked(
                name, Request(action="revive", trials=[chosen]), f"worth more than a new trial {number}: "
            )


def said_widened(answers: Mapping[str, tuple[bool, str]]) -> list[str]:
    """Return which ranges a search widened by itself, and why, in its ledger's answers: a sentence each."""
    said = {
        name.removeprefix(WIDEN).strip(): text
        for name, (done, text) in answers.items()
        if done and name.startswith(f"{WIDEN} ")
    }
    return [f"Before trial {trial} a range was widened: {text}." for trial, text in said.items()]


def _end_if_enough(config: SearchConfig, steering: Steering, ledger: Ledger, at_once: int) -> Unasked | None:
    """End the search where another trial is not worth its cost: once for each price.

    Whoever goes on with the search later, with more trials, gets them.
    """
    price = config.enough
    if price is None or steering.added or (name := f"{ENOUGH} {price!r}") in ledger.answers:
        return None
    expected = is_enough(ledger.records.values(), price, at_once=at_once)
    if expected is None:
        return None
    why = f"a further hour can be expected to bring {expected.per_hour:+.2g}, less than {price:g}: "
    return Unasked(name, Request(action="end"), why)
