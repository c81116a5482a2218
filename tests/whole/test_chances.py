"""Chances of stopped trials (`recvae_bench.py chances`): what is written of a moment, and how chances are judged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from distrecvae.search.core.rules import Curve
from tests.scripts import modules_of

if TYPE_CHECKING:
    from bench import calibration, chances, methods, moments, surrogate


@pytest.fixture(autouse=True, scope="module")
def modules() -> Iterator[None]:
    """The script's modules lie beside it, as a script's do."""
    with modules_of("bench", "calibration", "chances", "methods", "moments", "surrogate") as found:
        globals().update(found)
        yield


@pytest.fixture(scope="module")
def searched(modules: None) -> pd.Series:
    """A short replay of the packaged sampler on a recorded table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chances, "MOST", {2: 2.0})
        method = methods.METHODS["guided"]
        return pd.Series(chances.row(method, "many-items", surrogate.load("many-items"), 2, 5))


def test_a_moment_is_a_stop_by_the_rule_and_won_by_what_the_whole_curve_says(searched: pd.Series) -> None:
    rows = pd.DataFrame(moments.Searched(searched).rows())
    rule = chances.rule_of(methods.METHODS["guided"], searched["max_passes"])
    best, curves, expected = -1.0, dict[int, Curve](), []
    for event, number in enumerate(searched["reported"]):
        points = curves[number].points if number in curves else ()
        value = max([searched["seen"][number][len(points)], *(value for _, value in points)])
        curves[number] = Curve(number, (*points, (searched["passes"][number][len(points)], value)))
        best = max(best, value)
        if rule.should_stop(number, curves):
            expected.append((event, number, max(searched["seen"][number]) > best))
    stopped = rows[rows["kind"] == "stopped"]
    assert expected, "the replay stopped some"
    assert list(zip(stopped["event"], stopped["number"], stopped["won"], strict=True)) == expected
    assert set(rows["kind"]) == {"stopped", "asked"}
    assert rows["z"].notna().any()


def made_up(n: int = 4000) -> pd.DataFrame:
    random = np.random.default_rng(3)
    rows = pd.DataFrame({"z": random.normal(-1, 1, n), "passes": 9.0, "max_passes": 45.0, "method": "guided"})
    rows["table"] = np.array(["a", "b", "c", "d"])[np.arange(n) % 4]
    rows["workers"], rows["seed"] = 1, np.arange(n) // 4
    rows["won"] = random.random(n) < stats.norm.cdf(rows["z"])
    return rows


def test_chances_that_come_true_fit_and_others_do_not() -> None:
    rows = made_up()
    right = calibration.reliability(rows.assign(chance=stats.norm.cdf(rows["z"])), ["workers"])
    assert right["fits"].dropna().all()
    assert right["n"].sum() == len(rows)
    wrong = calibration.reliability(rows.assign(chance=stats.norm.cdf(2 * rows["z"])), ["workers"])
    assert not wrong["fits"].dropna().all()
    first = right.iloc[1]
    inside = rows[(stats.norm.cdf(rows["z"]) > 0.02) & (stats.norm.cdf(rows["z"]) <= 0.05)]
    exact = stats.binomtest(int(inside["won"].sum()), len(inside)).proportion_ci(method="wilson")
    assert (first["low"], first["high"]) == pytest.approx(tuple(exact), abs=1e-4), "each stands alone here"


def test_searches_that_repeat_themselves_count_once() -> None:
    rows = made_up(400)
    rows["chance"] = 0.15
    often = pd.concat([rows] * 9)
    once, again = calibration.reliability(rows, ["workers"]), calibration.reliability(often, ["workers"])
    assert again["low"].iloc[0] == pytest.approx(once["low"].iloc[0], abs=5e-3)
    assert again["n"].iloc[0] == 9 * once["n"].iloc[0]


def test_constants_are_those_of_the_other_tables() -> None:
    rows = made_up()
    candidate = calibration.by("belief", "passes")
    found = calibration.left_out(candidate, rows)
    turned = rows.assign(won=np.where(rows["table"] == "b", ~rows["won"], rows["won"]))
    other = calibration.left_out(candidate, turned)
    here = (rows["table"] == "b").to_numpy()
    assert other[here] == pytest.approx(found[here], abs=1e-9)
    assert np.abs(other[~here] - found[~here]).max() > 0.05


def test_audited_trials_set_a_tables_level() -> None:
    rows = made_up(8000)
    level = np.where(rows["table"] == "d", 1.0, 0.0)
    rows["won"] = np.random.default_rng(4).random(len(rows)) < stats.norm.cdf(rows["z"] + level)
    others = {table: calibration.ANCHORED.fitted(rows[rows["table"] != table]) for table in "abcd"}
    found = {n: calibration.anchored(rows, n, 0, others) for n in (0, 300)}
    off = {n: abs((each["chance"] - each["won"])[each["table"] == "d"].mean()) for n, each in found.items()}
    assert off[0] > 0.1
    assert off[300] < 0.05


def test_sums_give_the_chances_of_students_t() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(-2, 1, 7), random.normal(-1, 1, 7)
    sums = {"n": 7.0, "x": x.sum(), "y": y.sum(), "xx": x @ x, "xy": x @ y, "yy": y @ y}
    rows = pd.DataFrame(
        [{f"curves_{k}": v for k, v in sums.items()} | {"best": 0.4, "value": 0.3, "off": 0.05}]
    )
    place, scale, slope = -0.3, 0.8, 0.6
    found = calibration.by_curves(np.array([place, np.log(scale), slope]), rows)[0]
    prior = place + scale * np.array([1.0, -1.0, 1.0, -1.0])
    drawn = np.concatenate([y - slope * x, prior])
    exact = stats.t.sf((slope * (0.4 - 0.3) / 0.05 - drawn.mean()) / (drawn.std() * np.sqrt(1 + 1 / 11)), 11)
    assert found == pytest.approx(exact, rel=1e-10)
