"""Holds chances of stopped trials to what came of them: candidates fitted on three tables, judged on the fourth.

    python benchmarks/recvae_bench.py chances judge --searches searches.parquet --out folder

A candidate makes a chance of what was known at a moment (`moments.py`) and of a few constants, which are those of least
log loss on the other tables. It is calibrated where, in each bin of chances, the share that would have beaten the best
agrees with the mean chance: within its 95 % interval or a factor of 1.5.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize
from scipy.special import expit, logit, ndtr, ndtri, stdtr

from bench.moments import moments

Array = npt.NDArray[np.float64]

EDGES, FACTOR = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0), 1.5
"""Of the bins, the last of which is not judged; and how far off a share may be in one."""
FEWEST, LEAST = 20, 1e-4
"""Moments in a bin that is judged, and where chances are cut for their logarithms."""
PRIOR = 4.0
"""Trials that what the other tables say counts for, beside a search's own."""


@dataclass(frozen=True)
class Candidate:
    """A way to make a chance.

    Attributes:
        name: of its rows.
        start: its constants where the fit begins.
        chance: returns the chances at the moments, given constants.
    """

    name: str
    start: tuple[float, ...]
    chance: Callable[[Array, pd.DataFrame], Array]

    def fitted(self, rows: pd.DataFrame) -> Array:
        """Return the constants of least log loss; each table, with each number of workers, counts alike."""
        if not self.start:
            return np.array([])
        won = rows["won"].to_numpy(float)
        weight = 1 / rows.groupby(["table", "workers"])["won"].transform("size").to_numpy(float)
        weight /= weight.sum()

        def cost(constants: Array) -> float:
            off = constants - np.array(self.start)
            return float((weight * log_loss(self.chance(constants, rows), won)).sum() + 1e-4 * off @ off)

        found: Array = optimize.minimize(cost, np.array(self.start), method="BFGS", options={"gtol": 1e-4}).x
        return found


def log_loss(chance: Array, won: Array) -> Array:
    """Return the log loss of each."""
    cut = np.clip(chance, LEAST, 1 - LEAST)
    found: Array = -(won * np.log(cut) + (1 - won) * np.log1p(-cut))
    return found


def column(rows: pd.DataFrame, name: str) -> Array:
    """Return a column as numbers."""
    return rows[name].to_numpy(float)


def depth(rows: pd.DataFrame) -> Array:
    """Return the logarithm of the share of its passes that a trial had."""
    found: Array = np.log(column(rows, "passes") / column(rows, "max_passes"))
    return found


def off(rows: pd.DataFrame) -> Array:
    """Return the trials' median distance from the best."""
    found: Array = np.maximum(column(rows, "off"), 1e-4)
    return found


def drawn_from(loc: Array, variance: Array, n: Array, least: Array) -> Array:
    """Return the chance that another draw is above `least`: Student's t with `n` degrees of freedom."""
    found: Array = stdtr(n, (loc - least) / np.sqrt(variance * (1 + 1 / n)))
    return found


def pooled(m: Array, total: Array, squares: Array, loc: float, scale: float) -> tuple[Array, Array, Array]:
    """Return place, variance and weight of m numbers with these sums, to which `PRIOR` others are added."""
    n = PRIOR + m
    place = (PRIOR * loc + total) / n
    spread = squares - 2 * place * total + m * place**2 + PRIOR * (scale**2 + (loc - place) ** 2)
    return place, np.maximum(spread / n, 1e-6), n


def by_errors(constants: Array, rows: pd.DataFrame) -> Array:
    """Chances by the process, its deviations drawn from its errors about this search's own whole trials."""
    m, total, squares = (column(rows, f"errors_{k}") for k in range(3))
    place, variance, n = pooled(m, total, squares, constants[0], float(np.exp(constants[1])))
    return drawn_from(place, variance, n, -column(rows, "z"))


def by_curves(constants: Array, rows: pd.DataFrame) -> Array:
    """Chances by this search's own whole trials: their ends, given what they had after as many passes, by a line."""
    slope = float(constants[2])
    n, x, y, xx, xy, yy = (column(rows, f"curves_{name}") for name in ("n", "x", "y", "xx", "xy", "yy"))
    squares = yy - 2 * slope * xy + slope**2 * xx
    place, variance, n = pooled(n, y - slope * x, squares, constants[0], float(np.exp(constants[1])))
    behind = (column(rows, "best") - column(rows, "value")) / off(rows)
    return drawn_from(place, variance, n, slope * behind)


def by_beta(constants: Array, rows: pd.DataFrame) -> Array:
    """Chances of the process, by beta calibration (Kull, Silva Filho and Flach, 2017), and by passes."""
    believed = np.clip(ndtr(column(rows, "z")), LEAST, 1 - LEAST)
    logits = constants[0] + constants[1] * np.log(believed) - constants[2] * np.log1p(-believed)
    found: Array = expit(logits + constants[3] * depth(rows))
    return found


FEATURES: Mapping[str, Callable[[pd.DataFrame], Array]] = {
    "belief": lambda rows: np.clip(column(rows, "z"), -5, 3),
    "errors": lambda rows: ndtri(np.clip(by_errors(np.array([-0.9, -0.5]), rows), LEAST, 1 - LEAST)),
    "passes": depth,
    "trials": lambda rows: np.log(column(rows, "n_trials")) - 3,
    "whole": lambda rows: np.log1p(column(rows, "curves_n")) - 1.5,
    "gap": lambda rows: np.log(np.maximum((column(rows, "best") - column(rows, "value")) / off(rows), 0.02)),
    "rank": lambda rows: np.log(column(rows, "rank") / column(rows, "n_there") + 0.05),
    "late": lambda rows: np.sqrt(
        np.clip((column(rows, "value") - column(rows, "before")) / off(rows), 0, 20)
    ),
    "noise": lambda rows: (
        np.log(np.clip(np.nan_to_num(column(rows, "noise") / off(rows), nan=0.05), 0.01, 1)) + 3
    ),
    "margin": lambda rows: np.clip(column(rows, "margin") / off(rows), 0, 2),
}
"""What a logistic regression is given: the process's deviations from the best, or those corrected by its errors;
passes, trials and whole trials so far; distance from the best, rank at the rung, gain in the last two thirds of its
passes; how much reports jump, and how far the best stands before the next, in the trials' median distance from it."""


def by(*names: str) -> Candidate:
    """Return the logistic regression on these features."""

    def chance(constants: Array, rows: pd.DataFrame) -> Array:
        given = np.column_stack([FEATURES[name](rows) for name in names])
        found: Array = expit(constants[0] + given @ constants[1:])
        return found

    return Candidate(", ".join(names), (-1.5, *(0.0,) * len(names)), chance)


CANDIDATES = (
    Candidate("base rate", (-2.0,), lambda c, rows: np.full(len(rows), expit(c[0]))),
    Candidate("process as it is", (), lambda _, rows: ndtr(column(rows, "z"))),
    Candidate(
        "process, wider",
        (0.0, 0.0),
        lambda c, rows: ndtr(column(rows, "z") * np.exp(-c[0] - c[1] * depth(rows))),
    ),
    Candidate("process, its errors", (0.0, 0.0), by_errors),
    Candidate("whole curves", (0.0, 0.0, 0.5), by_curves),
    Candidate("process, beta", (0.0, 1.0, 1.0, 0.0), by_beta),
    by("belief", "passes"),
    by("belief", "passes", "trials"),
    by("belief", "passes", "whole"),
    by("errors", "passes", "trials"),
    by("belief", "passes", "trials", "noise", "margin"),
    by("gap", "passes", "rank", "late", "trials"),
    by("belief", "gap", "passes", "rank", "late", "trials"),
)
ANCHORED = by("belief", "passes")
DRAWS = 10
SHOWN = ("process as it is", ANCHORED.name)
"""Candidates whose bins are written table by table, too."""
AUDITS = (0, 10, 30, 100, 300)
"""Stopped trials of a table's other searches that are known whole."""


def left_out(candidate: Candidate, rows: pd.DataFrame) -> Array:
    """Return its chances at each table's moments, by constants of the other tables."""
    found = np.full(len(rows), np.nan)
    for table in rows["table"].unique():
        here = (rows["table"] == table).to_numpy()
        found[here] = candidate.chance(candidate.fitted(rows[~here]), rows[here])
    return found


def anchored(rows: pd.DataFrame, audits: int, draw: int, constants: Mapping[str, Array]) -> pd.DataFrame:
    """Return odd seeds' moments with the chances of `ANCHORED` where a table's even seeds had so many trials audited.

    Each table, and number of workers, has a level of its own, believed to differ from the others' by a factor of e in
    the odds, give or take: what is most likely given the audited trials. `constants` are, by table, the others'.
    """
    random, found = np.random.default_rng((audits, draw)), []
    for (table, _), here in rows.groupby(["table", "workers"], sort=False):
        pool, judged = here[here["seed"] % 2 == 0], here[here["seed"] % 2 == 1]
        audited = pool.iloc[random.permutation(len(pool))[:audits]]
        logits, won = logit(ANCHORED.chance(constants[str(table)], audited)), audited["won"].to_numpy(float)

        def cost(level: float, logits: Array = logits, won: Array = won) -> float:
            return float(log_loss(expit(logits + level), won).sum()) + level**2 / 2

        level = optimize.minimize_scalar(cost, bounds=(-4, 4), method="bounded").x
        chances = expit(logit(ANCHORED.chance(constants[str(table)], judged)) + level)
        found.append(judged.assign(chance=chances))
    return pd.concat(found)


def audited(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the verdict on `ANCHORED` for each number of audited trials, the mean over draws of these."""
    others = {table: ANCHORED.fitted(rows[rows["table"] != table]) for table in rows["table"].unique()}
    return [
        {
            "candidate": f"{ANCHORED.name}, {n} audited",
            **pd.DataFrame([verdict(anchored(rows, n, draw, others)) for draw in range(DRAWS)]).mean(),
        }
        for n in AUDITS
    ]


def wilson(share: float, n: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share of n."""
    z = 1.96
    middle = (share + z**2 / 2 / n) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / 4 / n**2) / (1 + z**2 / n)
    return float(middle - half), float(middle + half)


def reliability(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return a row a group and bin of `chance`: how many, mean chance, the share that won, its error and interval.

    Moments of a search resemble one another: the standard error is by searches, and the interval is Wilson's of as many
    as would have it if each stood alone.
    """
    bins = pd.cut(rows["chance"], EDGES, include_lowest=True, labels=EDGES[1:])
    found = []
    for key, each in rows.groupby([*by, bins], observed=True):
        n, chance, share = len(each), float(each["chance"].mean()), float(each["won"].mean())
        keys = [each[name] for name in ("method", "table", "workers", "seed")]
        error = float(np.sqrt(((each["won"] - share).groupby(keys).sum() ** 2).sum())) / n
        alone = np.sqrt(share * (1 - share) / n)
        low, high = wilson(share, n / max(1.0, (error / alone) ** 2 if alone else 1.0))
        fits = low <= chance <= high or 1 / FACTOR <= share / chance <= FACTOR
        counts = n >= FEWEST and float(str(key[-1])) <= EDGES[-2]
        found.append(
            {**dict(zip((*by, "up_to"), key, strict=True)), "n": n, "chance": chance, "share": share, "error": error,
             "low": low, "high": high, "fits": fits if counts else None}
        )  # fmt: skip
    return pd.DataFrame(found)


def verdict(rows: pd.DataFrame) -> dict[str, Any]:
    """Return how good chances are: Brier score, log loss, and how many bins do not fit, pooled and by table."""
    won, chance = rows["won"].to_numpy(float), rows["chance"].to_numpy(float)
    found: dict[str, Any] = {"n": len(rows), "mean": chance.mean(), "share": won.mean()}
    found |= {"brier": ((chance - won) ** 2).mean(), "log_loss": log_loss(chance, won).mean()}
    for name, by in (("", ["workers"]), ("_by_table", ["table", "workers"])):
        fits = reliability(rows, by)["fits"].dropna().astype(bool)
        found |= {f"bins{name}": len(fits), f"off{name}": int((~fits).sum())}
    return found


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="recvae_bench.py chances judge",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--searches", type=Path, required=True, help="as `chances record` wrote them")
    parser.add_argument("--out", type=Path, required=True, help="a folder, for two CSV files")
    arguments = parser.parse_args(argv)
    known = moments(pd.read_parquet(arguments.searches))
    known = known[known["z"].notna()].reset_index(
        drop=True
    )  # where too few have ended the process says nothing
    verdicts, bins = [], []
    for (method, kind), rows in known.groupby(["method", "kind"], sort=False):
        for candidate in CANDIDATES:
            key: dict[str, Any] = {"method": method, "kind": kind, "candidate": candidate.name}
            told = rows.assign(chance=left_out(candidate, rows))
            verdicts.append({**key, **verdict(told)})
            bins.append(reliability(told, ["workers"]).assign(table="all", **key))
            if candidate.name in SHOWN:
                bins.append(reliability(told, ["table", "workers"]).assign(**key))
        verdicts += [{"method": method, "kind": kind, **each} for each in audited(rows)]
    arguments.out.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(verdicts)
    frame.round(4).to_csv(arguments.out / "verdicts.csv", index=False)
    pd.concat(bins).round(4).to_csv(arguments.out / "reliability.csv", index=False)
    with pd.option_context("display.width", 200, "display.max_columns", 30):
        print(frame.round(4).to_string())
