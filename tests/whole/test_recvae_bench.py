"""RecVAE-Bench (benchmarks/recvae_bench.py): what it records, how it guesses between curves, how it replays."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from distrecvae.data.synthetic import synthetic_split
from distrecvae.search.space.changing import width
from distrecvae.search.space.distributions import Float, Int
from distrecvae.search.space.space import SearchSpace
from tests import ROOT

if TYPE_CHECKING:
    from bench import (
        compare,
        forest,
        live,
        methods,
        pausing,
        record,
        replay,
        second_seed,
        surrogate,
        syne,
        tables,
    )


@pytest.fixture(autouse=True, scope="module")
def modules() -> Iterator[None]:
    """The script's modules lie beside it, as a script's do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        for name in (
            "compare", "forest", "live", "methods", "pausing", "record", "replay", "second_seed", "surrogate",
            "syne", "tables",
        ):  # fmt: skip
            globals()[name] = importlib.import_module(f"bench.{name}")
        yield


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace.load(ROOT / "benchmarks" / "bench" / "space.yaml")


def test_a_configuration_depends_on_its_number_alone_and_starts_at_the_published_one(
    space: SearchSpace,
) -> None:
    kinds: Counter[str] = Counter()
    for number in range(60):
        drawn_as, config = tables.drawn(space, number)
        assert (drawn_as, config) == tables.drawn(space, number)
        assert space.internal_point(config) is not None, "it lies in the space"
        kinds[drawn_as] += 1
    assert tables.drawn(space, 0)[1] == space.default_config()
    assert kinds["published"] == tables.N_PUBLISHED
    assert 10 <= kinds["near"] <= 30, "a third of the others, give or take what chance does among 56"


def test_a_part_is_made_once_and_holds_whole_trainings(space: SearchSpace, tmp_path: Path) -> None:
    split = synthetic_split(n_users=60, n_items=60, seed=1, held_out_users=10)
    table = tables.Table("tiny", 9, 3, 2, lambda _: split)
    path = record.part_file(tmp_path, table, 2)
    record.write_part(table, split, space, 2, path)
    rows = pd.read_parquet(path)
    assert list(path.parent.iterdir()) == [path], "nothing is left beside it"
    assert set(rows["number"]) == {2}, "the table ends there"
    assert list(rows["passes"]) == [4, 8], "of 9 passes, two cycles of 3 + 1"
    assert rows["ndcg_100"].between(0, 1).all()
    again = record.curve(split, space, 2, 9)
    assert [float(np.float32(row["ndcg_100"])) for row in again] == list(rows["ndcg_100"])


def made_up(n: int = 40) -> surrogate.Recorded:
    """Curves of a formula: they rise to what rate and latent size allow, the faster the smaller the batch."""
    space = SearchSpace.load(ROOT / "benchmarks" / "bench" / "space.yaml")
    grid = surrogate.grid_of(45)
    x = np.array([surrogate.features(tables.drawn(space, number)[1]) for number in range(n)])
    column = {name: x[:, i] for i, name in enumerate(surrogate.FEATURES)}
    end = 0.3 - 0.1 * (column["learning_rate"] - 0.6) ** 2 + 0.03 * column["latent_dim"]
    curves = end[:, None] * (1 - np.exp(-grid / (5 + 20 * column["batch_size"][:, None])))
    kinds = tuple(tables.drawn(space, number)[0] for number in range(n))
    log_s = np.log(0.01) + column["hidden_dim"]
    return surrogate.Recorded(kinds, x, curves, curves.max(axis=1), log_s, 0.002, 0.001, 0)


def test_processes_guess_held_out_curves_far_better_than_their_mean() -> None:
    by_kind = {row["kind"]: row for row in surrogate.errors(made_up(), folds=2)}
    assert by_kind["processes"]["curve_rmse"] < 0.5 * by_kind["mean"]["curve_rmse"]
    assert by_kind["processes"]["end_spearman"] > 0.7
    assert by_kind["processes"]["seconds_off"] < 0.1


def test_a_surrogate_gives_back_what_it_was_made_of_and_outlives_its_process(
    space: SearchSpace, tmp_path: Path
) -> None:
    recorded = made_up()
    fitted = surrogate.fit_surrogate("few-users", recorded)
    assert np.abs(fitted.curves(recorded.x) - recorded.curves).max() < 0.02, "smooth curves, five components"
    assert fitted.published < fitted.best
    surrogate.save(fitted, tmp_path / "few-users.npz")
    loaded = surrogate.load("few-users", tmp_path)
    config, passes = space.default_config(), np.array([4.0, 20.0, 44.0])
    assert np.array_equal(loaded.scores(config, passes), fitted.scores(config, passes))
    for name in ("max_passes", "published", "best", "report_noise", "training_noise"):
        assert getattr(loaded, name) == getattr(fitted, name), name


def test_trees_judge_by_what_was_recorded_too() -> None:
    recorded = made_up()
    grown = forest.grow("few-users", recorded)
    off = np.sqrt(np.mean((grown.curves(recorded.x) - recorded.curves) ** 2))
    assert off < 0.5 * recorded.curves.std(axis=0).mean(), "means of three recorded curves and more"
    assert grown.published < grown.best <= recorded.ends.max(), "a mean is not above all that it is of"
    course = replay.replay(methods.METHODS["guided"], grown, seed=5, workers=2, most=2.0)
    assert course.at(2.0) > 0


def test_a_share_of_the_default_has_its_interval() -> None:
    random = np.random.default_rng(0)
    rows = [
        {"method": method, "table": "t", "workers": 1, "seed": seed, "cost_90": cost * np.exp(0.3 * normal)}
        for method, cost in (("default", 10.0), ("half", 5.0), ("never", np.inf))
        for seed, normal in enumerate(random.standard_normal(100))
    ]
    told = {row["method"]: row for row in compare.intervals(pd.DataFrame(rows)).to_dict("records")}
    assert told["default"]["share"] == 1
    assert 0.4 < told["half"]["low"] < told["half"]["share"] < told["half"]["high"] < 0.6
    assert (told["never"]["reached"], told["never"]["low"]) == (0, np.inf)


def test_recorded_curves_are_read_with_their_noise_and_without_what_diverged(tmp_path: Path) -> None:
    space = SearchSpace.load(ROOT / "benchmarks" / "bench" / "space.yaml")
    random, rows = np.random.default_rng(0), []
    for number in range(6):
        drawn_as, config = tables.drawn(space, number)
        for cycle in range(1, 41):
            value = float("nan") if number == 5 and cycle == 3 else 0.3 + 0.01 * random.standard_normal()
            row: dict[str, Any] = {"number": number, "drawn": drawn_as, **space.flatten(config)}
            rows.append({**row, "passes": 4 * cycle, "ndcg_100": value, "cpu_s": 0.4})
    (tmp_path / "few-users").mkdir()
    pd.DataFrame(rows).to_parquet(tmp_path / "few-users" / "00000.parquet")
    recorded = surrogate.read_recorded("few-users", tmp_path)
    assert (len(recorded.drawn), recorded.diverged) == (5, 1)
    assert np.exp(recorded.log_s) == pytest.approx(0.1), "seconds a pass"
    # 190 draws: their standard deviation is within a sixth of the true one, three errors of it.
    assert recorded.report_noise == pytest.approx(0.01, rel=0.17)


def test_a_replayed_search_repeats_itself_and_gets_better_until_it_may_cost_no_more() -> None:
    fitted = surrogate.fit_surrogate("few-users", made_up())
    for name in ("default", "belief-9", "guided"):
        courses = [
            replay.replay(methods.METHODS[name], fitted, seed=5, workers=3, most=4.0) for _ in range(2)
        ]
        assert courses[0].trials == courses[1].trials
        for series in ("costs", "passes", "true"):
            assert np.array_equal(getattr(courses[0], series), getattr(courses[1], series)), series
        assert 0 < courses[0].costs[0] < courses[0].costs[-1] <= 4.0
        assert courses[0].trials > 4
        assert courses[0].at(4.0) > fitted.published


def test_what_a_search_reached_is_told_with_its_cost() -> None:
    course = replay.Course(np.array([0.5, 2.0]), np.array([0.5, 3.0]), np.array([0.1, 0.3]), 4)
    assert course.reached(0.2) == (2.0, 3.0)
    assert course.reached(0.31) == (np.inf, np.inf)
    assert list(course.at([0.4, 0.5, 9.0])) == [0.0, 0.1, 0.3]


def test_a_search_in_half_the_space_may_widen_it_up_to_the_whole() -> None:
    whole, half = replay.SPACE_OF_BENCH, methods.METHODS["half-widen"].space
    for name, parameter in half.parameters.items():
        wide = dict(whole.parameters[name].leaves())
        for field, narrow in parameter.leaves():
            before = wide[field]
            if narrow != before:
                assert isinstance(narrow, Int | Float)
                assert isinstance(before, Int | Float)
                assert width(narrow) == pytest.approx(width(before) / 2, rel=0.02), field
    half.default_point()  # the published configuration lies in it
    fitted = surrogate.load("many-items", surrogate.SURROGATES)
    widened = {
        name: replay.replay(methods.METHODS[name], fitted, seed=1, workers=1, most=20.0).widened
        for name in ("half-widen", "half")
    }
    assert widened["half-widen"] > 0
    assert widened["half"] == 0


def test_training_once_more_costs_what_it_costs_and_has_noise_of_its_own() -> None:
    fitted = surrogate.fit_surrogate("few-users", made_up())
    rows = second_seed.judged("few-users", fitted, 3, 1, 6.0)
    assert [row["again"] for row in rows] == [0, *second_seed.FEW]
    costs = [row["cost"] for row in rows]
    assert costs[0] == 0 < costs[1] <= costs[-1] < 6.0
    config = replay.SPACE_OF_BENCH.default_config()
    first, same, again = (replay.Training(0, config, 24, fitted, 5, again=n) for n in (0, 0, 1))
    assert np.array_equal(first.seen, same.seen)
    assert np.array_equal(first.true, again.true)
    assert not np.array_equal(first.seen, again.seen)


class Pausing:
    """Pauses the first two trials at their first rung, continues the first one, and stops all others there."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def suggest(self, trial_id: int) -> Any:
        if trial_id == 2 and len(self.told) == 2:
            return SimpleNamespace(spawn_new_trial_id=False, checkpoint_trial_id=0)
        start = replay.SPACE_OF_BENCH.default_point()
        return SimpleNamespace(spawn_new_trial_id=True, config=dict(start))

    def on_trial_add(self, trial: Any) -> None:
        """There is nothing to note."""

    def on_trial_result(self, trial: Any, result: dict[str, Any]) -> str:
        self.told.append((trial.trial_id, result["passes"]))
        return "CONTINUE" if trial.trial_id == 0 and len(self.told) > 2 else "PAUSE"

    def on_trial_complete(self, trial: Any, result: dict[str, Any]) -> None:
        self.told.append((trial.trial_id, -result["passes"]))


def test_a_peers_paused_trial_goes_on_where_it_was_and_its_passes_count_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(syne, "_trial_class", lambda: lambda number, *_: SimpleNamespace(trial_id=number))
    fitted, scheduler = surrogate.fit_surrogate("few-users", made_up()), Pausing()
    levels = syne.rungs(fitted.max_passes)
    course = syne.replay_scheduler(scheduler, fitted, seed=5, workers=1, most=1.9, until=1.0)
    last = levels[-1]
    assert scheduler.told[: len(levels) + 2] == [
        (0, levels[0]), (1, levels[0]), *((0, level) for level in levels[1:]), (0, -last),
    ]  # fmt: skip
    # Alike trials cost alike: to the end of the first one, its whole training and the second one's first rung.
    assert course.costs[-1] <= course.passes[-1] + 1e-9 <= 1.9 + 1e-9, (
        "one worker: the clock runs with passes"
    )
    assert course.trials > 2


def test_without_syne_tune_its_peers_say_what_to_install() -> None:
    try:
        importlib.import_module("syne_tune.optimizer.legacy_baselines")
    except ImportError:
        with pytest.raises(SystemExit, match=r"pip install --no-deps syne-tune==0\.14\.2"):
            syne.scheduler_of(syne.PEERS["syne-asha"], 45, 0)
    else:
        assert hasattr(syne.scheduler_of(syne.PEERS["syne-asha"], 45, 0), "suggest")


def test_the_published_point_as_a_peer_has_it_is_the_published_configuration() -> None:
    start = dict(replay.SPACE_OF_BENCH.default_point())
    assert syne.configured(start, syne.distributions()) == replay.SPACE_OF_BENCH.default_config()


@pytest.mark.parametrize("kind", ["pause", "revive"])
def test_a_paused_trial_goes_on_where_it_was_and_no_pass_counts_twice(kind: str) -> None:
    fitted = surrogate.fit_surrogate("few-users", made_up())
    search = pausing.Search(kind, fitted, 3, 1)
    course = search.run(3.0)
    trials = search._trials
    rungs = search._rungs
    assert any(each.paused for each in trials), "some wait"
    assert any(each.curve[-1][0] > rungs[0] + each.training.cycle_passes for each in trials[1:]), (
        "some went on"
    )
    for each in trials:
        assert [passes for passes, _ in each.curve] == each.training.passes[: len(each.curve)].tolist()
    spent = sum(each.curve[-1][0] for each in trials if each.curve) / fitted.max_passes
    assert course.passes[-1] <= spent + 1e-9
    again = pausing.Search(kind, fitted, 3, 1).run(3.0)
    assert np.array_equal(course.true, again.true)
    assert search.given_up, "and its chances were noted"
    assert all(0 <= chance <= 1 for chance, _ in search.given_up)


def test_a_live_search_trains_and_judges_by_test_users(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = {"n_users": 90, "n_items": 60, "seed": 3, "held_out_users": 20}
    monkeypatch.setattr(live, "SETS", {"tiny": tiny})
    monkeypatch.setattr(live, "MAX_PASSES", 9)
    table = live.live("tiny")
    table.max_passes = 9
    assert table.second > 0
    course = replay.replay(
        methods.METHODS["default"], table, seed=0, workers=1, most=1.5, train=live.RealTraining
    )
    assert course.trials >= 1
    assert len(course.true) >= 1
    assert ((course.true > 0) & (course.true < 1)).all()
