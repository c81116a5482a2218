"""What a search costs: hours of GPUs or cores that its trials keep busy, before it and after it, and their price.

Pure functions of what the ledger records: seconds of training and evaluation, and passes. Nodes that wait or start are
not in it, nor work that was lost and made again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from distrecvae.checks import is_number
from distrecvae.regular import read_regular
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.planning.resources import Slots
from distrecvae.typed import yaml_value
from distrecvae.words import duration

HOUR_S = 3600.0
HEAD_FILE = Path("~/ray_bootstrap_config.yaml").expanduser()
"""Where `ray up` leaves the cluster's file for the autoscaler."""

AS_IF_FIRST_JUDGED_AT = 0.2
"""Where stopped trials may continue, all take about the passes that they would with a first rung at this share of the
budget: 38 % of whole trainings, and not the 17 % of rungs from a fifteenth on. On RecVAE-Bench 24 trials by `guided`
took 45 % with one worker (16 searches) and 35 % with eight (8), by `tpe`, whose first rung that is, 53 % and 42 %."""


@dataclass(frozen=True)
class Timing:
    """How long passes take, and how many of them a trial gets.

    Attributes:
        pass_s: seconds that a data pass takes, evaluation included.
        share: of a trial's whole budget that a trial gets on average: the rule stops some early.
        source: where that was seen, in words.
    """

    pass_s: float
    share: float
    source: str


def busy_s(records: Collection[TrialRecord]) -> float:
    """Return the seconds that trials trained and were evaluated, together."""
    return sum(record.duration_s for record in records)


def timing_of(records: Collection[TrialRecord], trial_passes: int, source: str) -> Timing | None:
    """Return what an earlier search's trials took; None where none of them was timed.

    Args:
        records: its trials.
        trial_passes: data passes that each got at most.
        source: its name, in words.
    """
    passes, seconds = sum(record.passes for record in records), busy_s(records)
    ended = [
        record for record in records if record.status in (Status.FINISHED, Status.STOPPED) and record.passes
    ]
    if not passes or not seconds or not ended:
        return None
    share = sum(record.passes for record in ended) / (len(ended) * trial_passes)
    return Timing(seconds / passes, min(1.0, share), source)


def expected_share(rungs: Sequence[int], trial_passes: int, reduction_factor: int) -> float:
    """Return the share of its budget that a trial gets on average, where one in `reduction_factor` passes each rung."""
    passes, going_on, reached = 0.0, 1.0, 0
    for rung in (*rungs, trial_passes):
        passes += going_on * (min(rung, trial_passes) - reached)
        going_on, reached = going_on / reduction_factor, min(rung, trial_passes)
    return passes / trial_passes


def cost_text(seconds: float, slots: Slots, price_per_hour: float | None) -> str:
    """Return what so many seconds of trials cost, in words.

    Args:
        seconds: that trials train and are evaluated, together.
        slots: what each of them takes.
        price_per_hour: of a GPU, or of a core where trials train on CPUs, in whatever currency; None where unknown.
    """
    hours = seconds / HOUR_S * (slots.gpus or slots.cpus)
    text = f"{_rounded(hours)} {'GPU' if slots.gpus else 'core'}-hours"
    return (
        text
        if price_per_hour is None
        else f"{text}, {_money(hours * price_per_hour)} at {price_per_hour:g} an hour"
    )


def estimate_text(
    trials: int, trial_passes: int, slots: Slots, timing: Timing, price_per_hour: float | None
) -> list[tuple[str, str]]:
    """Return rows of a plan: how long a search takes and what it costs, about.

    Args:
        trials: that are run.
        trial_passes: data passes that each gets at most.
        slots: how they are laid on the cluster.
        timing: of their passes.
        price_per_hour: as in `cost_text`.
    """
    seconds = trials * trial_passes * timing.share * timing.pass_s
    at_once = min(slots.concurrent, trials)
    return [
        (
            "time",
            f"about {duration(seconds / at_once)}, where {at_once} are always at once ({timing.source})",
        ),
        ("cost", f"about {cost_text(seconds, slots, price_per_hour)}"),
    ]


def price_on_head(path: Path = HEAD_FILE) -> float | None:
    """Return the price in the cluster's file, which `ray up` leaves on the head; None where there is none."""
    try:
        content = yaml_value(read_regular(path).decode("utf-8"))
        price = content["metadata"]["price_per_hour"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return None
    return float(price) if is_number(price) and price >= 0 else None


def _money(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 0.1 else f"{amount:.2g}"


def _rounded(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"
