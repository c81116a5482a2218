"""A search without Ray and without training: the conductor asks, a formula answers. For tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from distrecvae.search.core.chain import Chain
from distrecvae.search.core.conductor import Conductor, Watcher
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status
from distrecvae.search.core.rules import make_rule
from distrecvae.search.space.space import SearchSpace

METRIC = "valid/ndcg_100"
PASSES_PER_CYCLE = 4


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    """Stands for a model's config."""

    width: int = 64
    rate: float = 0.01
    kind: str = "a"


PARAMETERS: dict[str, Any] = {
    "width": {"type": "int", "low": 8, "high": 256, "log": True},
    "rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
    "kind": {"type": "categorical", "choices": ["a", "b"]},
}
SPACE = SearchSpace.from_mapping(
    {"model": "toy", "parameters": PARAMETERS}, model="toy", config_class=ToyConfig
)


def toy_curve(config: dict[str, Any], passes: int) -> float:
    """Return a validation score that rises with passes; best near width 100, rate 0.03, kind b."""
    ceiling = (
        0.5 - 0.02 * math.log(config["width"] / 100) ** 2 - 0.03 * math.log10(config["rate"] / 0.03) ** 2
    )
    ceiling += 0.02 if config["kind"] == "b" else 0.0
    return ceiling * (1 - math.exp(-passes / 15))


def toy_search_config(**settings: Any) -> SearchConfig:
    return SearchConfig(**{"trials": 12, "max_passes": 36, "min_passes": 4, "seed": 3, **settings})


def open_conductor(
    folder: Path,
    config: SearchConfig,
    watchers: tuple[Watcher, ...] = (),
    *,
    space: SearchSpace = SPACE,
    at_once: int = 1,
) -> Conductor:
    folder.mkdir(exist_ok=True)
    return Conductor(
        ledger=Ledger(folder, METRIC),
        space=space,
        config=config,
        rule=make_rule(config.scheduler, config.first_rung, config.most_passes, config.reduction_factor),
        folder=folder,
        watchers=watchers,
        concurrent=at_once,
    )


def run_serially(
    conductor: Conductor,
    config: SearchConfig,
    curve: Callable[[dict[str, Any], int], float] = toy_curve,
) -> None:
    """Run every trial to its end, one after the other, as one worker would."""
    while (task := conductor.next_task()) is not None:
        passes, stopped = 0, False
        while not stopped and passes + PASSES_PER_CYCLE <= task.max_passes:
            passes += PASSES_PER_CYCLE
            value = curve(task.config, passes)
            if math.isnan(value):
                conductor.failed(task.number, Status.DIVERGED, "loss is nan")
                stopped = True
            else:
                report = {
                    "passes": passes,
                    "cycle": passes // PASSES_PER_CYCLE,
                    METRIC: value,
                    "train_s": 1.0,
                }
                stopped = conductor.heard(task.number, report)
        conductor.finished(task.number)
    assert all(r.status is not Status.RUNNING for r in conductor.ledger.records.values())
    assert config.trials == len(conductor.ledger.records)


def course(ledger: Ledger) -> list[tuple[Any, ...]]:
    """Return all that a search decided, comparable."""
    return [
        (r.number, r.config, r.status, r.reason, r.score, [m["passes"] for m in r.reports], r.best)
        for r in ledger.records.values()
    ]


class Killed(BaseException):
    """The driver is gone, in the middle of what it did."""


@contextmanager
def killed_after(lines: int) -> Iterator[None]:
    """Kill what is done inside where it would append to a ledger once more than `lines` times; it has to get there."""
    write, left = Chain.write, lines

    def dying(chain: Chain, line: bytes) -> None:
        nonlocal left
        if not left:
            raise Killed
        left -= 1
        write(chain, line)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Chain, "write", dying)
        with pytest.raises(Killed):
            yield
