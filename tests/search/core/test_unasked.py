"""What a search asks of itself: wider ranges, for a reason; a trial that it stopped too early.

Killed around it, it ends the same; what a person said stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from distrecvae.errors import ConfigError
from distrecvae.search.core import unasked
from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import TrialRecord
from distrecvae.search.core.requests import Request
from distrecvae.search.core.rules import Never
from distrecvae.search.core.steering import steered_space
from distrecvae.search.core.unasked import WIDEN, said_widened
from distrecvae.search.space.space import SearchSpace
from tests.search.simulated import (
    METRIC,
    PASSES_PER_CYCLE,
    ToyConfig,
    course,
    killed_after,
    open_conductor,
    run_serially,
    toy_curve,
    toy_search_config,
)

SHORT = SearchSpace.from_mapping(
    {
        "model": "toy",
        "parameters": {
            "width": {"type": "int", "low": 8, "high": 32, "step": 8},
            "rate": {"type": "float", "low": 0.02, "high": 0.05, "log": True},
        },
        "default": {"width": 16, "rate": 0.02},
    },
    model="toy",
    config_class=ToyConfig,
)
"""It ends short of a width of 100, which is best."""


def config_of(sampler: str = "tpe", **settings: Any) -> SearchConfig:
    # All trials are trained to the end: among few of them that ASHA lets go on, the first ones go on whatever they are.
    usual = {"trials": 30, "max_passes": 12, "scheduler": "none", "widen": True}
    return toy_search_config(**{**usual, "sampler": sampler, **settings})


def run(folder: Path, config: SearchConfig, **how: Any) -> Conductor:
    conductor = open_conductor(folder, config, space=SHORT, **how)
    run_serially(conductor, config)
    return conductor


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes"])
def test_a_search_goes_beyond_an_end_that_pulls_and_says_so(sampler: str, tmp_path: Path) -> None:
    wide, as_it_was = (
        run(tmp_path / "wide", config_of(sampler)),
        run(tmp_path / "was", config_of(sampler, widen=False)),
    )
    widths = [record.config["width"] for record in wide.ledger.records.values()]
    (first, *_) = said = said_widened(wide.ledger.answers)
    before = int(first.split()[2])
    assert max(widths[:before]) == 32
    assert max(widths[before:]) > 32, f"after {said} nothing beyond was tried"
    assert first == (
        f"Before trial {before} a range was widened: 4 of the best 4 trials lay at the upper end of width: width is"
        " 8 to 48, step 8 from the next trial on."
    )
    assert all(width % 8 == 0 for width in widths)
    assert max(record.config["width"] for record in as_it_was.ledger.records.values()) == 32
    assert said_widened(as_it_was.ledger.answers) == []
    best, best_was = wide.ledger.best(), as_it_was.ledger.best()
    assert best is not None
    assert best_was is not None
    assert (best.score or 0.0) > (best_was.score or 0.0)


def test_killed_around_it_a_search_ends_the_same(tmp_path: Path) -> None:
    config = config_of(trials=24)
    whole = run(tmp_path / "whole", config)
    lines = open_conductor(tmp_path / "whole", config, space=SHORT).ledger.lines
    widened = next(n for n, line in enumerate(lines) if line.get("request", "").startswith(WIDEN))
    for last in range(widened - 2, widened + 4):
        folder = tmp_path / f"killed-{last}"
        with killed_after(last):
            run(folder, config)
        again = run(folder, config)
        assert course(again.ledger) == course(whole.ledger), f"killed after {last} lines"
        assert said_widened(again.ledger.answers) == said_widened(whole.ledger.answers)


def test_extended_without_it_the_wider_range_stays_and_grows_no_further(tmp_path: Path) -> None:
    run(tmp_path, config_of())
    again = open_conductor(tmp_path, config_of(widen=False, trials=40), space=SHORT)
    said, reached = said_widened(again.ledger.answers), again.steering.space.describe()
    assert reached == steered_space(again.ledger.lines, config_of(), SHORT).describe()
    assert reached != SHORT.describe()
    run_serially(again, config_of(trials=40))
    assert said_widened(again.ledger.answers) == said
    assert again.steering.space.describe() == reached


def test_a_range_that_a_person_changed_stays_so(tmp_path: Path) -> None:
    conductor = open_conductor(tmp_path, config_of(), space=SHORT)
    assert conductor.steer("00001", Request(action="narrow", ranges={"width": [16, 32]}))[0]
    run_serially(conductor, config_of())
    assert conductor.steering.by_hand == {"width"}
    assert said_widened(conductor.ledger.answers) == []
    again = open_conductor(tmp_path, config_of(), space=SHORT)
    assert again.steering.by_hand == {"width"}, "and it is known when the search is resumed"


def test_beyond_what_the_model_takes_nothing_is_asked(tmp_path: Path) -> None:
    asked: list[tuple[Request, str]] = []

    def tell(request: Request, text: str) -> None:
        asked.append((request, text))

    for limit in (32, 40):
        widths = [record.config["width"] for record in _within(limit, tmp_path / str(limit), tell)]
        assert max(widths) == limit
    ((request, text),) = asked
    assert request.text() == "widen width=:40"
    assert text.endswith("width is 8 to 40, step 8 from the next trial on")


def _within(limit: int, folder: Path, tell: Callable[[Request, str], None]) -> Iterable[TrialRecord]:
    """Return the trials of a search whose model takes widths up to a limit."""
    folder.mkdir()
    config = config_of()
    conductor = Conductor(
        ledger=Ledger(folder, METRIC), space=SHORT, config=config, rule=Never(), folder=folder, tell=tell,
        allows=lambda it: bool(it["width"] <= limit),
    )  # fmt: skip
    run_serially(conductor, config)
    return conductor.ledger.records.values()


@pytest.mark.parametrize("value", [1, "yes", None])
def test_it_is_on_or_off(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"widen=.* must be true or false"):
        SearchConfig(widen=value)


def guided(**settings: Any) -> SearchConfig:
    return toy_search_config(
        **{
            "sampler": "guided",
            "scheduler": "asha",
            "trials": 14,
            "max_passes": 60,
            "min_passes": 4,
            **settings,
        }
    )


def revived(ledger: Ledger) -> list[tuple[int, str]]:
    """Return the trials that a search revived, and what it said."""
    answers = ledger.answers.items()
    return [
        (int(name.split()[2]), text) for name, (done, text) in answers if done and name.startswith("revive ")
    ]


def test_a_guided_search_continues_what_it_stopped_too_early_and_says_so(tmp_path: Path) -> None:
    search = run(tmp_path / "guided", guided())
    ((number, said), *_) = revived(search.ledger)
    assert said.startswith("worth more than a new trial ")
    assert f": trial {number} continues from " in said
    before = int(said.split()[-2])
    record = search.ledger.records[number]
    assert record.passes > before, "and it did"
    assert record.max_passes is None, "under the search's own budget and rule"
    assert len(search.ledger.records) == 14, "it takes no new trial's place"
    for sampler, scheduler in (("tpe", "asha"), ("guided", "none")):
        other = run(tmp_path / f"{sampler}-{scheduler}", guided(sampler=sampler, scheduler=scheduler))
        assert revived(other.ledger) == []


def test_only_the_best_trials_may_continue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unasked, "REVIVABLE", 4)
    continued = revived(run(tmp_path / "few", guided()).ledger)
    monkeypatch.setattr(unasked, "REVIVABLE", 0)
    none = revived(run(tmp_path / "none", guided()).ledger)
    assert continued, "the best four have one that was stopped too early"
    assert none == []


def test_killed_around_a_revival_a_search_ends_the_same(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", guided())
    lines = open_conductor(tmp_path / "whole", guided(), space=SHORT).ledger.lines
    at = next(n for n, line in enumerate(lines) if line.get("request", "").startswith("revive "))
    for last in range(at - 2, at + 5):
        folder = tmp_path / f"killed-{last}"
        with killed_after(last):
            run(folder, guided())
        again = run(folder, guided())
        assert course(again.ledger) == course(whole.ledger), f"killed after {last} lines"
        assert revived(again.ledger) == revived(whole.ledger)


def test_what_a_person_stopped_stays_stopped(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", guided())
    number = revived(whole.ledger)[0][0]
    conductor = open_conductor(tmp_path / "stopped", guided(), space=SHORT)
    while (task := conductor.next_task()) is not None:
        passes = 0
        while passes + PASSES_PER_CYCLE <= task.max_passes:
            passes += PASSES_PER_CYCLE
            if task.number == number:
                assert conductor.steer(f"{passes:05d}", Request(action="stop", trials=[number]))[0]
                break
            report = {"passes": passes, "cycle": passes // PASSES_PER_CYCLE, "train_s": 1.0}
            if conductor.heard(task.number, {**report, METRIC: toy_curve(task.config, passes)}):
                break
        conductor.finished(task.number)
    assert number not in [each for each, _ in revived(conductor.ledger)]
    assert conductor.ledger.records[number].reason.startswith("by hand")


def test_a_trial_that_was_stopped_at_its_end_does_not_continue(tmp_path: Path) -> None:
    """It cost nothing, so it was worth most: a line said that it continues, and it had finished, with no pass more."""
    search = run(tmp_path, guided(max_passes=14, trials=16))
    ends = [record for record in search.ledger.records.values() if record.reason == "asha at 12 passes"]
    assert ends, "a cycle takes 4 passes: after 12 of 14 there is no other"
    said = [text for _, text in revived(search.ledger)]
    assert said, "others continued"
    assert not [text for text in said if text.endswith("from 12 passes")]


def test_where_an_hour_is_not_worth_its_price_the_end_is_asked_for_and_nothing_else(tmp_path: Path) -> None:
    """A range pulls, too, and stays: wider it would be for trials that do not come.

    Which price is too much is `ahead/enough.py`'s to say. A trial takes three seconds here: an hour brings a lot.
    """
    run(tmp_path, config_of("random", trials=24, widen=False))

    def asked(**settings: Any) -> list[tuple[str, str]]:
        config = config_of("random", **settings)
        search = open_conductor(tmp_path, config, space=SHORT)
        own = unasked.unasked(config, search.steering, search.ledger, search._proposals.sampler, at_once=1)
        return [(each.request.action, each.why) for each in own]

    ((end, why),) = asked(enough=1000.0)
    assert end == "end"
    assert why.startswith("a further hour can be expected to bring +")
    assert why.endswith(", less than 1000: ")
    ((widen, _),) = asked(enough=1e-9)
    assert widen == "widen"
    assert asked(enough=1e-9, widen=False) == []
