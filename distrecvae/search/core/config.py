"""SearchConfig: what a search was asked to do, each setting's default and its rule."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from distrecvae.checks import is_number, is_whole
from distrecvae.errors import ConfigError, nearest
from distrecvae.metrics import METRICS, listed, selecting
from distrecvae.precisions import AUTO, PRECISION_CHOICES, PRECISION_HELP
from distrecvae.search.core.records import KEPT_TRIALS
from distrecvae.search.core.rules import RULES

SAMPLERS = ("tpe", "guided", "random", "cmaes", "gp", "qmc")
UNINFORMED, INFORMED = "tpe", "guided"
"""The samplers unless another is asked for: in a space that says nothing of what is likely, and in one that does."""
ALL = "all"
"""What stands for every model in a comparison, and for the checkpoints of every trial."""
TRACKERS = ("mlflow", "wandb")
"""Experiment trackers, by the name that their package is imported by."""
JOURNAL = "journal:"
DATABASES = ("sqlite", "postgresql", "mysql", "mariadb", "oracle", "mssql")
"""What SQLAlchemy, and so Optuna, writes to."""
WEB = ("http://", "https://")
NOTIFY_FROM = "env:"
PASSES = 200
"""Data passes of a trial where neither the settings nor the space say how many: RecVAE's published 50 cycles of 4."""
DEMO = "synthetic"
"""The data set that a search without `--data` makes for itself."""

_STORAGE = re.compile(rf"{JOURNAL}.+|(?:{'|'.join(DATABASES)})(?:\+\w+)?://.*")

# What a resumed search may be given newly: how much and with what, never what is searched or how it is judged.
CHANGEABLE = frozenset(
    {
        "data",
        "trials",
        "time_budget_s",
        "concurrent",
        "gpus_per_trial",
        "cpus_per_trial",
        "address",
        "elastic",
        "checkpoint_every_s",
        "keep_checkpoints",
        "log_to",
        "storage",
        "notify",
        "price_per_hour",
        "enough",
        "widen",
    }
)


def _help(text: str, default: Any) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """The settings of a search; every default lives here, and `help` metadata is what `--help` prints.

    Raises:
        ConfigError: a setting breaks its rule.
    """

    data: str | None = _help(
        "prepared dataset folder, or its URI (s3://, gs://, ...); without it a synthetic one is made", None
    )
    model: str = _help("model to tune", "recvae")
    space: str | None = _help(
        "search space: a packaged name or a YAML file; without it the model's own", None
    )
    warm_start: str | None = _help(
        "results folder of an earlier search of the same model, usually on other data: its best configurations are"
        " tried right after the first trial",
        None,
    )
    warm_start_trials: int | None = _help("how many of them; without it 5", None)
    trials: int = _help("configurations to try", 24)
    max_passes: int | None = _help(
        f"data passes that a trial gets at most; without it what the space says, or {PASSES}", None
    )
    min_passes: int | None = _help(
        "data passes before a trial may be stopped: the first rung; without it a fifth of --max-passes, with guided a"
        " fifteenth",
        None,
    )
    reduction_factor: int = _help(
        "one trial in this many continues at a rung; rungs grow by the same factor", 3
    )
    metric: str = _help("validation metric to maximise: ndcg@10, recall@20, mrr, ...", METRICS[0])
    metrics: str = _help(
        "other metrics to compute: ndcg@10,map@10,coverage@20, ... or package.module:function@10",
        ",".join(METRICS),
    )
    sampler: str | None = _help(
        "how configurations are proposed; without it guided where the space has `likely`, else, and to compare, tpe",
        None,
    )
    scheduler: str = _help("how weak trials are stopped early", "asha")
    concurrent: int | None = _help("trials at once; without it as many as fit", None)
    gpus_per_trial: float | None = _help(
        "GPUs a trial; fractions share one; without it 1 where there are GPUs", None
    )
    cpus_per_trial: int = _help("CPU cores, and training threads, a trial", 1)
    precision: str = _help(PRECISION_HELP, AUTO)
    time_budget_s: float | None = _help("seconds after which running trials are stopped", None)
    address: str | None = _help("Ray cluster to join ('auto' or HOST:PORT); without it Ray starts here", None)
    elastic: bool = _help(
        "nodes may join the cluster while the search runs (an autoscaler, machines of yours): wait for the first one"
        " that a trial fits on, run --concurrent trials as room comes",
        False,
    )
    log_to: str | None = _help("tell an experiment tracker, too: mlflow or wandb", None)
    storage: str | None = _help(
        "copy the trials to an Optuna study, too: a database's URL (sqlite:///study.db) or journal:PATH", None
    )
    notify: str | None = _help(
        "tell of a new best, of trouble and of the end: a command, which finds the facts in DISTRECVAE_TEXT and so on,"
        " a URL, which gets them as JSON, or env:NAME, for either in that variable",
        None,
    )
    price_per_hour: float | None = _help(
        "what an hour of a GPU costs you, or of a core where trials train on CPUs, in your currency: plan and summary"
        " then say what the search costs",
        None,
    )
    enough: float | None = _help(
        "end the search where a further hour can be expected to bring less than this of --metric, 0.001 say",
        None,
    )
    widen: bool = _help(
        "where the best trials lie at the end of a range, let it grow by half at that end, within the model's limits",
        False,
    )
    seed: int = _help("seed of all randomness", 0)
    checkpoint_every_s: float = _help("seconds between a running trial's checkpoints, at least", 30.0)
    keep_checkpoints: int | str = _help(
        "how many of the best trials keep their checkpoints, beside the first trial: a number, or all",
        KEPT_TRIALS,
    )

    def __post_init__(self) -> None:
        for name in ("trials", "cpus_per_trial"):
            _require_whole(name, getattr(self, name), at_least=1)
        _require_whole("reduction_factor", self.reduction_factor, at_least=2)
        _require_whole("seed", self.seed, at_least=0)
        for name in ("concurrent", "max_passes", "min_passes", "warm_start_trials"):
            if getattr(self, name) is not None:
                _require_whole(name, getattr(self, name), at_least=1)
        if self.warm_start_trials is not None and self.warm_start is None:
            raise ConfigError(
                f"warm_start_trials={self.warm_start_trials} without warm_start; name that search, or leave it out"
            )
        for name in ("data", "model", "space", "address"):
            value = getattr(self, name)
            if not isinstance(value, str if name == "model" else str | None) or value == "":
                raise ConfigError(f"{name}={value!r} must be a name or a path, as text")
        if self.first_rung > self.most_passes:
            raise ConfigError(
                f"min_passes={self.min_passes} is above max_passes={self.most_passes}; the first rung must lie in it"
            )
        choices = {"sampler": SAMPLERS, "scheduler": RULES, "precision": PRECISION_CHOICES}
        for name, allowed in choices.items():
            value = getattr(self, name)
            if value not in allowed and not (name == "sampler" and value is None):
                raise ConfigError(
                    f"{name}={value!r} is not one of {', '.join(allowed)}{nearest(str(value), allowed)}"
                )
        self._name_metrics()
        if self.keep_checkpoints != ALL:
            _require_whole("keep_checkpoints", self.keep_checkpoints, at_least=1, other=f", or {ALL}")
        if self.log_to is not None and self.log_to not in TRACKERS:
            raise ConfigError(
                f"log_to={self.log_to!r} is not one of {', '.join(TRACKERS)}{nearest(str(self.log_to), TRACKERS)}"
            )
        if self.storage is not None and not _STORAGE.fullmatch(str(self.storage)):
            raise ConfigError(
                f"storage={self.storage!r} must be a database's URL, such as sqlite:///study.db, or journal:PATH"
            )
        if self.notify is not None:
            _require_notify(self.notify)
        for name in ("time_budget_s", "checkpoint_every_s"):
            value = getattr(self, name)
            if value is not None and not (is_number(value) and value > 0):
                raise ConfigError(f"{name}={value!r} must be a positive number of seconds")
        price = self.price_per_hour
        if price is not None and not (is_number(price) and price >= 0):
            raise ConfigError(
                f"price_per_hour={price!r} must be a number, at least 0: what an hour of a GPU costs"
            )
        if self.enough is not None and not (is_number(self.enough) and self.enough > 0):
            raise ConfigError(
                f"enough={self.enough!r} must be a number above 0: what an hour of searching has to bring of the metric"
            )
        gpus = self.gpus_per_trial
        if gpus is not None and not (is_number(gpus) and 0 <= gpus <= 1):
            raise ConfigError(
                f"gpus_per_trial={gpus!r} must be 0, a fraction below 1 (a shared GPU) or 1: a trial trains on one GPU"
            )
        for name in ("elastic", "widen"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name}={getattr(self, name)!r} must be true or false")
        if self.elastic and (self.concurrent is None or gpus is None):
            raise ConfigError(
                "elastic needs --concurrent and --gpus-per-trial: what nodes will come cannot be seen; give both"
            )

    def _name_metrics(self) -> None:
        """Put both settings as files have them, whatever way they were typed: a folder has one name for a metric."""
        for name in ("metric", "metrics"):
            if not isinstance(getattr(self, name), str):
                raise ConfigError(f"{name}={getattr(self, name)!r} must be text, such as ndcg@10")
        object.__setattr__(self, "metric", selecting(self.metric))
        names = listed(self.metrics)
        both = names if self.metric in names else (self.metric, *names)
        object.__setattr__(self, "metrics", ",".join(both))

    @property
    def scored(self) -> tuple[str, ...]:
        """The names of the metrics that are computed, the one that chooses among them."""
        return tuple(self.metrics.split(","))

    @property
    def first_rung(self) -> int:
        """Data passes before a trial may be stopped.

        By default a fifth of the budget: at a tenth, on MovieLens-1M, the fast learners lead and not the good ones. A
        fifteenth where a trial that was stopped too early may continue.
        """
        return self.min_passes or max(1, self.most_passes // (15 if self.revives else 5))

    @property
    def most_passes(self) -> int:
        """Data passes that a trial gets at most."""
        return PASSES if self.max_passes is None else self.max_passes

    @property
    def n_kept(self) -> int | None:
        """Of how many of the best trials checkpoints are kept; None for all."""
        return None if isinstance(self.keep_checkpoints, str) else self.keep_checkpoints

    @property
    def revives(self) -> bool:
        """Whether a trial that a rule stopped may continue, by the search's own decision."""
        return self.sampler == "guided" and self.scheduler != "none"

    @property
    def proposer(self) -> str:
        """The sampler; where neither the settings nor a space has said which, the one for spaces that say nothing."""
        return self.sampler or UNINFORMED

    @property
    def most_warm_starts(self) -> int:
        """Configurations that are taken over from the earlier search, at most."""
        return 5 if self.warm_start_trials is None else self.warm_start_trials

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any], *, source: str = "settings") -> SearchConfig:
        """Return the configuration with these settings over the defaults.

        Raises:
            ConfigError: an unknown setting, or one that breaks its rule; `source` says where it was read.
        """
        known = [f.name for f in fields(cls)]
        for name in settings:
            if name not in known:
                raise ConfigError(
                    f"{source}: unknown setting {name!r}; known are {', '.join(known)}{nearest(str(name), known)}"
                )
        return cls(**settings)

    def fixed_part(self) -> dict[str, Any]:
        """Return the settings that a resumed search must repeat."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in CHANGEABLE}


def _require_notify(value: Any) -> None:
    """Refuse what is neither a URL nor a command nor the name of a variable; whether there is one, launch looks."""
    try:
        fits = bool(isinstance(value, str) and shlex.split(value))
    except ValueError:
        fits = False
    if fits and "://" in str(value).split()[0] and not str(value).startswith(WEB):
        fits = False
    if not fits:
        raise ConfigError(
            f"notify={value!r} must be a command, an http:// or https:// URL, or {NOTIFY_FROM}NAME"
        )


def _require_whole(name: str, value: Any, *, at_least: int, other: str = "") -> None:
    if not is_whole(value) or value < at_least:
        raise ConfigError(f"{name}={value!r} must be a whole number, at least {at_least}{other}")
