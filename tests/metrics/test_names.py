"""What metrics are called: typed, stored, read; what is no metric is refused in a line that helps."""

from __future__ import annotations

import re

import numpy as np
import pytest

from distrecvae.errors import ConfigError
from distrecvae.metrics import METRICS, RANKS, ranks
from distrecvae.metrics.names import (
    KINDS,
    listed,
    metric_of,
    on_validation,
    on_validation_in,
    require_metrics,
    selecting,
    title_of,
    trust_in,
)


@pytest.fixture(autouse=True)
def ours_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distrecvae.dotted._trusted", set[str]())
    metric_of.cache_clear()
    trust_in(
        "tests.metrics.mine:half@1,tests.metrics.mine:of_all@1,tests.metrics.mine:first_of_hits@1,tests.metrics.mine:missing@1"
    )
    trust_in("tests.metrics.mine:of_two@1,tests.metrics.mine:in_words@1")
    trust_in("tests.metrics.mine:NOT_A_FUNCTION@1,no.such.package:metric@1")


def test_a_function_that_nobody_asked_for_is_not_imported() -> None:
    # Names of metrics lie in files, and files are anybody's: to say what they are called nothing is imported.
    assert listed("os.path:join@3") == ("os.path:join_3",)
    assert title_of("os.path:join_3") == "join@3"
    with pytest.raises(ConfigError, match=r"metric 'os\.path:join' is code that a file names"):
        metric_of("os.path:join_3")
    with pytest.raises(ConfigError, match="code that a file names"):
        require_metrics(["os.path:join_3"], 10)


@pytest.mark.parametrize("text", ["ndcg@10", "ndcg_10", "NDCG@10", " ndcg@10 "])
def test_a_metric_has_one_name_however_it_is_typed(text: str) -> None:
    found = metric_of(text)
    assert (found.name, found.title, found.k) == ("ndcg_10", "NDCG@10", 10)
    assert found.of_ranks is ranks.ndcg
    assert not found.needs_lists


@pytest.mark.parametrize(
    ("text", "name", "title"),
    [
        ("mrr", "mrr", "MRR"),
        ("map@100", "map_100", "MAP@100"),
        ("full_recall@5", "full_recall_5", "full Recall@5"),
        ("full_recall_5", "full_recall_5", "full Recall@5"),
        ("hit@1", "hit_1", "Hit@1"),
        ("precision_20", "precision_20", "Precision@20"),
        ("coverage@50", "coverage_50", "coverage@50"),
        ("gini@20", "gini_20", "Gini@20"),
        ("novelty@20", "novelty_20", "novelty@20"),
        ("tests.metrics.mine:half@4", "tests.metrics.mine:half_4", "half@4"),
    ],
)
def test_names_are_read_back_as_what_they_are(text: str, name: str, title: str) -> None:
    assert metric_of(text).name == name
    assert metric_of(name) == metric_of(text)
    assert title_of(name) == title


def test_every_kind_is_reached_by_its_name() -> None:
    for kind in KINDS:
        assert metric_of(f"{kind}@3").name == f"{kind}_3"
    functions = [found.of_ranks for kind in KINDS if (found := metric_of(f"{kind}@3")).of_ranks is not None]
    assert len(functions) == len(set(functions)) >= 7


def test_the_published_ones_are_the_default() -> None:
    assert METRICS == ("ndcg_100", "recall_20", "recall_50")
    assert max(metric_of(name).k or 0 for name in METRICS) == RANKS
    assert [title_of(name) for name in METRICS] == ["NDCG@100", "Recall@20", "Recall@50"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ndgc@10", "is not one of ndcg, recall, .*did you mean 'ndcg'; one of your own is written"),
        ("", "is not a metric; write one such as ndcg@10"),
        ("ndcg@", "is not a metric"),
        ("ndcg@ten", "is not a metric"),
        ("ndcg@-1", "is not a metric"),
        ("ndcg@0", "has the cut-off 0; it must be at least 1"),
        ("coverage", "needs a cut-off; write coverage@20"),
        ("gini", "needs a cut-off"),
        ("novelty", "needs a cut-off"),
        ("no.such.package:metric@3", "cannot be imported"),
        ("tests.metrics.mine:missing@3", "cannot be imported"),
        ("tests.metrics.mine:NOT_A_FUNCTION@3", "is a int, not a function"),
    ],
)
def test_what_is_no_metric_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"(?i){said}"):
        metric_of(text)


def test_a_metric_of_ones_own_must_give_a_value_a_user() -> None:
    whole = metric_of("tests.metrics.mine:of_all@2").of_ranks
    assert whole is not None
    with pytest.raises(ConfigError, match=r"shape \(\) for 3 users; it must give a value a user"):
        whole(np.zeros((3, 4), dtype=np.bool_), np.ones(3, dtype=np.int64), 2)


def test_a_metric_of_ones_own_must_give_numbers() -> None:
    # It divides by no hits; training was called diverged, and a lower learning rate was advised.
    metric = metric_of("tests.metrics.mine:first_of_hits@2").of_ranks
    assert metric is not None
    hits = np.array([[True, False], [False, False], [False, False]])
    with pytest.raises(ConfigError, match="gave nan for 2 of 3 users; it must give each a finite number"):
        metric(hits, np.ones(3, dtype=np.int64), 2)


def test_lists_of_names_keep_their_order_and_hold_none_twice() -> None:
    assert listed("ndcg@10, recall@20,ndcg_10,") == ("ndcg_10", "recall_20")
    with pytest.raises(ConfigError, match="names no metric"):
        listed(" ,")


def test_what_is_better_when_it_is_less_cannot_choose() -> None:
    assert selecting("MAP@10") == "map_10"
    assert selecting("coverage@10") == "coverage_10"
    with pytest.raises(ConfigError, match="the greatest Gini@10 is the worst"):
        selecting("gini@10")


def test_cut_offs_lie_within_the_catalogue() -> None:
    require_metrics([*METRICS, "mrr", "hit_3"], 3)
    with pytest.raises(
        ConfigError, match=re.escape("Hit@4 counts 4 ranks and the data set has 3 items; lower it")
    ):
        require_metrics(["hit_4"], 3)


def test_reports_say_which_metrics_they_have() -> None:
    report = {"cycle": 1, on_validation("mrr"): 0.5, "train/loss": 1.0, on_validation("ndcg_10"): 0.25}
    assert on_validation_in(report) == ("mrr", "ndcg_10")
    # Search folders have it in their ledgers, tables and metrics.json: another key would be another format.
    assert on_validation("ndcg_100") == "valid/ndcg_100"


def test_a_name_that_is_none_stays_as_it_is() -> None:
    assert title_of("something else") == "something else"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "of_two",
            r"of_two broke: TypeError: .*takes 2 positional arguments but 3 were given; it is called with hits",
        ),
        ("in_words", r"in_words broke: ValueError: could not convert string to float"),
    ],
)
def test_a_function_of_ones_own_that_breaks_is_a_line(name: str, words: str) -> None:
    """One with other arguments, or that gives no numbers, ended `train` with a traceback and status 70."""
    metric = metric_of(f"tests.metrics.mine:{name}@2").of_ranks
    assert metric is not None
    with pytest.raises(ConfigError, match=words) as caught:
        metric(np.ones((3, 2), dtype=bool), np.ones(3, dtype=np.int64), 2)
    assert "\n" not in str(caught.value)
