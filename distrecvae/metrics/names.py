"""What metrics are called, by people and in files: `ndcg@10` is typed, `ndcg_10` is stored, NDCG@10 is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from distrecvae.dotted import named_object, trust
from distrecvae.errors import ConfigError, nearest
from distrecvae.metrics import lists, ranks
from distrecvae.metrics.ranks import Float64Array
from distrecvae.words import first_line

RankMetric = Callable[[npt.NDArray[np.bool_], npt.NDArray[np.integer], int], Float64Array]
"""Hits (n_users, n_ranks), held-out counts (n_users,) and k to a value a user, as `ranks.ndcg` does."""
CatalogueMetric = Callable[[npt.NDArray[np.int64]], float]
"""The lists that each item is in, int64 (n_items,), to one value, as `lists.coverage` does."""

METRICS = ("ndcg_100", "recall_20", "recall_50")
"""The names of the metrics of the published protocol; the first is what selects by default."""
RANKS = 100
"""How far a ranking must go for all of them."""

_RANKS: Mapping[str, tuple[str, RankMetric]] = {
    "ndcg": ("NDCG", ranks.ndcg),
    "recall": ("Recall", ranks.recall),
    "full_recall": ("full Recall", ranks.full_recall),
    "precision": ("Precision", ranks.precision),
    "hit": ("Hit", ranks.hit),
    "mrr": ("MRR", ranks.mrr),
    "map": ("MAP", ranks.mean_average_precision),
}
_CATALOGUE: Mapping[str, tuple[str, CatalogueMetric]] = {
    "coverage": ("coverage", lists.coverage),
    "gini": ("Gini", lists.gini),
}
NOVELTY = "novelty"
KINDS = (*_RANKS, *_CATALOGUE, NOVELTY)
"""The metrics that there are, before their cut-offs."""
_LOWER_IS_BETTER = frozenset({"gini"})
_WRITTEN = re.compile(r"(?P<kind>[A-Za-z_][\w.]*?(?::[A-Za-z_]\w*?)?)(?:[@_](?P<k>\d{1,9}))?")


@dataclass(frozen=True)
class Metric:
    """A metric with its cut-off.

    Attributes:
        name: as files have it: `ndcg_100`, or `ndcg` for all ranks.
        title: as people read it: NDCG@100.
        k: ranks that count; None for all.
        of_ranks: what gives a value a user from hits; None for a metric of lists.
        of_catalogue: what gives one value from how often items are recommended; None for the others.
    """

    name: str
    title: str
    k: int | None
    of_ranks: RankMetric | None = None
    of_catalogue: CatalogueMetric | None = None

    @property
    def needs_lists(self) -> bool:
        """Whether it looks at which items are recommended, not only at hits."""
        return self.of_ranks is None


@dataclass(frozen=True)
class _Written:
    """A metric's name, taken apart: nothing is imported for it."""

    kind: str
    k: int | None

    @property
    def name(self) -> str:
        return self.kind if self.k is None else f"{self.kind}_{self.k}"

    @property
    def title(self) -> str:
        known = {
            NOVELTY: NOVELTY,
            **{kind: entry[0] for kind, entry in (*_RANKS.items(), *_CATALOGUE.items())},
        }
        word = known.get(self.kind, self.kind.partition(":")[2])
        return word if self.k is None else f"{word}@{self.k}"


@cache
def _written(text: str) -> _Written:
    """Return what `text` names.

    Raises:
        ConfigError: there is no such metric, or its cut-off is none.
    """
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"metric={text!r} is not a metric; write one such as ndcg@10, recall@20 or mrr")
    kind, k = match["kind"], None if match["k"] is None else int(match["k"])
    if k == 0:
        raise ConfigError(f"metric={text!r} has the cut-off 0; it must be at least 1")
    kind = kind if ":" in kind else kind.lower()
    if ":" not in kind and kind not in KINDS:
        hint = nearest(kind, KINDS).rstrip("?")
        raise ConfigError(
            f"metric={text!r} is not one of {', '.join(KINDS)}{hint}; one of your own is written"
            " package.module:function@10"
        )
    if k is None and (kind in _CATALOGUE or kind == NOVELTY):
        raise ConfigError(f"metric={text!r} needs a cut-off; write {kind}@20, for lists of 20 items")
    return _Written(kind, k)


@cache
def metric_of(text: str) -> Metric:
    """Return the metric that is called `text`: `ndcg@10`, `ndcg_10`, `mrr`, or a function's dotted name with a cut-off.

    A function of one's own, `package.module:function@10`, is called as `ranks.ndcg` is, and gives a value a user.

    Raises:
        ConfigError: there is no such metric, its cut-off is none, or the function is not trusted (see `trust_in`) or
            cannot be imported.
    """
    written = _written(text)
    kind, known = written.kind, (written.name, written.title, written.k)
    if kind in _RANKS:
        return Metric(*known, of_ranks=_RANKS[kind][1])
    if kind in _CATALOGUE:
        return Metric(*known, of_catalogue=_CATALOGUE[kind][1])
    return Metric(*known) if kind == NOVELTY else Metric(*known, of_ranks=_imported(kind))


def title_of(name: str) -> str:
    """Return a metric's name as people read it, NDCG@100; a name that is not a metric's stays as it is."""
    try:
        return _written(name).title
    except ConfigError:
        return name


def trust_in(text: str) -> None:
    """Trust the functions that a person named in `text`, as `listed` reads it."""
    for each in text.split(","):
        if ":" in each:
            trust(_written(each).kind)


def listed(text: str) -> tuple[str, ...]:
    """Return the names of the metrics in `ndcg@10,recall@20`, as files have them, none twice.

    Raises:
        ConfigError: one of them is not a metric, or there is none.
    """
    names = tuple(dict.fromkeys(_written(each).name for each in text.split(",") if each.strip()))
    if not names:
        raise ConfigError(f"metrics={text!r} names no metric; give some, such as ndcg@100,recall@20")
    return names


def selecting(text: str) -> str:
    """Return the name of a metric that trials can be chosen by.

    Raises:
        ConfigError: it is not a metric, or the best value of it is not the greatest.
    """
    written = _written(text)
    if written.kind in _LOWER_IS_BETTER:
        raise ConfigError(
            f"metric={text!r} cannot choose: the greatest {written.title} is the worst; give another"
        )
    return written.name


def require_metrics(names: Iterable[str], n_items: int) -> None:
    """Refuse what cannot be computed: a function that cannot be had, a cut-off beyond the catalogue.

    Those of the published protocol may lie beyond it, as they always did.

    Raises:
        ConfigError: a metric counts more ranks than there are items, or see `metric_of`.
    """
    for name in names:
        k = metric_of(name).k
        if name not in METRICS and k is not None and k > n_items:
            raise ConfigError(
                f"{title_of(name)} counts {k} ranks and the data set has {n_items} items; lower it"
            )


def on_validation(name: str) -> str:
    """Return a metric's key in the reports of a run, where it is over the validation users: `valid/ndcg_100`."""
    return f"valid/{name}"


def on_validation_in(report: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the metrics that a report has over validation users, in its order."""
    prefix = on_validation("")
    return tuple(key.removeprefix(prefix) for key in report if key.startswith(prefix))


@cache
def _imported(dotted: str) -> RankMetric:
    found = named_object(dotted, "metric")
    if not callable(found):
        raise ConfigError(
            f"metric={dotted!r} is a {type(found).__name__}, not a function of hits, n_held_out and k"
        )

    def checked(hits: npt.NDArray[np.bool_], n_held_out: npt.NDArray[np.integer], k: int) -> Float64Array:
        try:
            values = np.asarray(found(hits, n_held_out, k), dtype=np.float64)
        except Exception as error:  # it is anybody's code
            raise ConfigError(
                f"metric {dotted} broke: {type(error).__name__}: {first_line(error)}; it is called with hits (users x"
                " ranks), n_held_out (users) and k, and gives a number a user"
            ) from error
        if values.shape != n_held_out.shape:
            raise ConfigError(
                f"metric {dotted} gave an array of shape {values.shape} for {n_held_out.size} users; it must give a"
                " value a user"
            )
        if not np.isfinite(values).all():
            raise ConfigError(
                f"metric {dotted} gave {values[~np.isfinite(values)][0]} for {np.sum(~np.isfinite(values))} of"
                f" {n_held_out.size} users; it must give each a finite number"
            )
        return values

    return checked
