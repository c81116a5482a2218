"""Turns recorded curves into a function: any configuration of the space has a curve and seconds a pass.

    python benchmarks/recvae_bench.py fit [--tables ...]    # fit, print the errors on held-out configurations, write

A table's curves are put on one grid of passes and taken apart into principal components. A Gaussian process (Matern
5/2, a length scale a feature, noise by marginal likelihood) gives each component from the configuration, another one
the logarithm of the seconds a pass. What is noise stays apart from it: a report's own, by how recorded curves jump
about their smoothed selves, and a training's, by how the published configuration differs among seeds.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.record import PARTS
from bench.tables import TABLES

SURROGATES = Path(__file__).with_name("surrogates")
GRID = 16
COMPONENTS = 5
FEATURES = (
    "latent_dim", "hidden_dim", "is_beta", "gamma", "beta", "standard", "previous", "wide", "encoder_passes",
    "decoder_passes", "dropout", "learning_rate", "batch_size",
)  # fmt: skip
LOGS: Mapping[str, tuple[float, float]] = {
    "latent_dim": (32, 400),
    "hidden_dim": (100, 600),
    "gamma": (1e-4, 1e-1),
    "beta": (0.02, 2.0),
    "learning_rate": (1e-4, 1e-2),
    "batch_size": (32, 500),
}

Array = npt.NDArray[np.float64]


def features(config: Mapping[str, Any]) -> Array:
    """Return what the processes see of a configuration: numbers from 0 to 1; a branch not taken is in its middle."""
    weights = config["mixture_weights"]
    found = {
        "is_beta": float(config["beta"] is not None),
        "encoder_passes": (config["encoder_passes"] - 1) / 4,
        "decoder_passes": float(config["decoder_passes"] - 1),
        "dropout": (config["dropout"] - 0.1) / 0.7,
        **dict(zip(("standard", "previous", "wide"), np.sqrt(weights), strict=True)),
    }
    for name, (low, high) in LOGS.items():
        value = config[name]
        found[name] = 0.5 if value is None else float(np.log(value / low) / np.log(high / low))
    return np.array([found[name] for name in FEATURES])


@dataclass(frozen=True)
class Recorded:
    """A table's recorded curves.

    Attributes:
        drawn: how each configuration was drawn.
        x: (n, features).
        curves: (n, GRID), smoothed, at `grid`.
        ends: running best at the end of each.
        log_s: logarithm of the CPU seconds a pass of each.
        report_noise: standard deviation of a report about its smoothed curve.
        training_noise: that of a training's level among the seeds of the published configuration.
        diverged: how many were left out because they diverged.
    """

    drawn: tuple[str, ...]
    x: Array
    curves: Array
    ends: Array
    log_s: Array
    report_noise: float
    training_noise: float
    diverged: int


def grid_of(max_passes: int) -> Array:
    """Return the passes at which curves are kept: dense early."""
    return max_passes * (np.arange(1, GRID + 1) / GRID) ** 1.5


def read_recorded(name: str, parts: Path = PARTS) -> Recorded:
    """Return what was recorded of a table so far."""
    files = sorted((parts / name).glob("*.parquet"))
    frame = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    grid = grid_of(TABLES[name].max_passes)
    drawn, x, curves, ends, log_s, jumps = [], [], [], [], [], []
    diverged = 0
    for _, rows in frame.groupby("number", sort=True):
        if rows["ndcg_100"].isna().any():
            diverged += 1
            continue
        first = rows.iloc[0]
        config = {column: None if pd.isna(first[column]) else first[column] for column in rows.columns}
        config["mixture_weights"] = [first[f"mixture_weights.{c}"] for c in ("standard", "previous", "wide")]
        passes = rows["passes"].to_numpy(float)
        raw = rows["ndcg_100"].to_numpy(float)
        smooth = _smoothed(raw)
        jumps.append((raw - smooth)[1:-1])
        drawn.append(str(first["drawn"]))
        x.append(features(config))
        curves.append(np.interp(grid, np.append(0.0, passes), np.append(0.0, smooth)))
        ends.append(raw.max())
        log_s.append(np.log(np.median(rows["cpu_s"].to_numpy(float) / np.diff(passes, prepend=0.0))))
    published = np.array(
        [c[-GRID // 3 :].mean() for c, d in zip(curves, drawn, strict=True) if d == "published"]
    )
    # Of three equal weights, the middle report takes part in its own mean: what is left over is 2/3 of its variance.
    noise = float(np.std(np.concatenate(jumps)) / np.sqrt(2 / 3))
    return Recorded(
        tuple(drawn), np.array(x), np.array(curves), np.array(ends), np.array(log_s), noise,
        float(published.std(ddof=1)) if len(published) > 1 else 0.0, diverged,
    )  # fmt: skip


def _smoothed(raw: Array) -> Array:
    """Return the means of each report and its neighbours; the first and the last stay."""
    smooth = raw.copy()
    smooth[1:-1] = (raw[:-2] + raw[1:-1] + raw[2:]) / 3
    return smooth


@dataclass(frozen=True)
class Process:
    """The mean of a Gaussian process with a Matern 5/2 kernel."""

    x: Array
    scales: Array
    weights: Array
    mean: float

    def at(self, x: Array) -> Array:
        """Return its values at the rows of `x`."""
        difference = (x[:, None, :] - self.x[None, :, :]) / self.scales
        r = np.sqrt(5 * (difference**2).sum(axis=2))
        kernel: Array = (1 + r + r**2 / 3) * np.exp(-r)
        return kernel @ self.weights + self.mean


def fit_process(x: Array, y: Array) -> Process:
    """Return the process of most likely length scales, strength and noise."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    mean, scale = float(y.mean()), float(y.std()) or 1.0
    kernel = ConstantKernel(1.0, (0.05, 50.0)) * Matern(
        np.full(x.shape[1], 1.0), (0.1, 20.0), nu=2.5
    ) + WhiteKernel(0.1, (1e-4, 1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        process = GaussianProcessRegressor(kernel, alpha=1e-8).fit(x, (y - mean) / scale)
    product = process.kernel_.k1
    return Process(x, product.k2.length_scale, process.alpha_ * product.k1.constant_value * scale, mean)


@dataclass(frozen=True)
class Surrogate:
    """A table as a function.

    Attributes:
        max_passes: of a whole training.
        published: the published configuration's true score: the greatest of its curve.
        best: the same of the best of the recorded configurations.
        report_noise, training_noise: as `Recorded`.
    """

    max_passes: int
    grid: Array
    mean: Array
    components: Array
    processes: tuple[Process, ...]
    published: float
    best: float
    report_noise: float
    training_noise: float

    def curves(self, x: Array) -> Array:
        """Return true curves at `grid`, a row for each row of features."""
        scores = np.stack([process.at(x) for process in self.processes[:-1]], axis=1)
        return np.maximum(scores @ self.components + self.mean, 0.0)

    def seconds_a_pass(self, x: Array) -> Array:
        """Return the CPU seconds of a pass for each row of features."""
        seconds: Array = np.exp(self.processes[-1].at(x))
        return seconds

    def scores(self, config: Mapping[str, Any], passes: Array) -> Array:
        """Return the true scores of a configuration after so many passes."""
        curve = self.curves(features(config)[None])[0]
        found: Array = np.interp(passes, np.append(0.0, self.grid), np.append(0.0, curve))
        return found


def fit_surrogate(name: str, recorded: Recorded) -> Surrogate:
    """Return the surrogate of what was recorded."""
    mean, components, scores = _taken_apart(recorded.curves)
    processes = [fit_process(recorded.x, score) for score in scores.T]
    processes.append(fit_process(recorded.x, recorded.log_s))
    made = Surrogate(
        TABLES[name].max_passes, grid_of(TABLES[name].max_passes), mean, components, tuple(processes), 0.0, 0.0,
        recorded.report_noise, recorded.training_noise,
    )  # fmt: skip
    true = made.curves(recorded.x).max(axis=1)
    published = float(true[[d == "published" for d in recorded.drawn]].mean())
    return Surrogate(**{**vars(made), "published": published, "best": float(true.max())})


def _taken_apart(curves: Array) -> tuple[Array, Array, Array]:
    mean = curves.mean(axis=0)
    _, _, axes = np.linalg.svd(curves - mean, full_matrices=False)
    components = axes[:COMPONENTS]
    return mean, components, (curves - mean) @ components.T


Predict = Callable[[Array, Array, Array], Array]


def errors(recorded: Recorded, folds: int = 5) -> list[dict[str, Any]]:
    """Return how far off curves and seconds are on configurations held out, by kind of surrogate."""
    from scipy.stats import spearmanr
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.neighbors import KNeighborsRegressor

    def by_processes(x: Array, y: Array, at: Array) -> Array:
        mean, components, scores = _taken_apart(y)
        return np.stack([fit_process(x, s).at(at) for s in scores.T], axis=1) @ components + mean

    kinds: dict[str, Predict] = {
        "processes": by_processes,
        "forest": lambda x, y, at: ExtraTreesRegressor(300, random_state=0).fit(x, y).predict(at),
        "neighbours": lambda x, y, at: KNeighborsRegressor(5, weights="distance").fit(x, y).predict(at),
        "mean": lambda _, y, at: np.tile(y.mean(axis=0), (len(at), 1)),
    }
    others = np.array([d != "published" for d in recorded.drawn])
    fold = np.random.default_rng(0).permutation(len(others)) % folds
    found = []
    for kind, predict in kinds.items():
        guess, seconds = np.zeros_like(recorded.curves), np.zeros_like(recorded.log_s)
        for k in range(folds):
            known, held = fold != k, fold == k
            guess[held] = predict(recorded.x[known], recorded.curves[known], recorded.x[held])
            if kind == "processes":
                seconds[held] = fit_process(recorded.x[known], recorded.log_s[known]).at(recorded.x[held])
        end, true = guess.max(axis=1)[others], recorded.curves.max(axis=1)[others]
        top = true >= np.quantile(true, 0.75)
        found.append(
            {
                "kind": kind,
                "curve_rmse": float(np.sqrt(((guess - recorded.curves)[others] ** 2).mean())),
                "end_rmse": float(np.sqrt(((end - true) ** 2).mean())),
                "end_rmse_top_quarter": float(np.sqrt(((end - true)[top] ** 2).mean())),
                "end_spearman": float(spearmanr(end, true)[0]) if kind != "mean" else 0.0,
                "seconds_off": float(np.exp(np.abs(seconds - recorded.log_s)[others].mean()) - 1)
                if kind == "processes"
                else float("nan"),
            }
        )
    return found


def save(surrogate: Surrogate, path: Path) -> None:
    """Write a surrogate."""
    path.parent.mkdir(parents=True, exist_ok=True)
    processes: dict[str, Any] = {
        f"{key}_{i}": value
        for i, process in enumerate(surrogate.processes)
        for key, value in vars(process).items()
        if key != "x"
    }
    rest = {key: value for key, value in vars(surrogate).items() if key != "processes"}
    np.savez_compressed(path, x=surrogate.processes[0].x, **processes, **rest)


def load(name: str, folder: Path = SURROGATES) -> Surrogate:
    """Read the surrogate of a table."""
    with np.load(folder / f"{name}.npz") as file:
        n = sum(key.startswith("scales_") for key in file)
        processes = tuple(
            Process(file["x"], file[f"scales_{i}"], file[f"weights_{i}"], float(file[f"mean_{i}"]))
            for i in range(n)
        )
        numbers = ("published", "best", "report_noise", "training_noise")
        return Surrogate(
            int(file["max_passes"]), file["grid"], file["mean"], file["components"], processes,
            *(float(file[key]) for key in numbers),
        )  # fmt: skip


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", type=Path, default=PARTS)
    parser.add_argument("--tables", default="ml-latest-small,few-users,few-items,many-items")
    parser.add_argument("--errors", type=Path, help="write them there, as CSV")
    arguments = parser.parse_args(argv)
    rows: list[dict[str, Any]] = []
    for name in arguments.tables.split(","):
        recorded = read_recorded(name, arguments.parts)
        surrogate = fit_surrogate(name, recorded)
        save(surrogate, SURROGATES / f"{name}.npz")
        about = {
            "table": name,
            "curves": len(recorded.drawn),
            "diverged": recorded.diverged,
            "recorded_best": float(recorded.ends.max()),
            **{k: getattr(surrogate, k) for k in ("published", "best", "report_noise", "training_noise")},
        }
        print(json.dumps(about), flush=True)
        if arguments.errors:
            for row in errors(recorded):
                rows.append({"table": name, "curves": len(recorded.drawn), **row})
                print("   ", json.dumps(row), flush=True)
            pd.DataFrame(rows).round(5).to_csv(arguments.errors, index=False)
