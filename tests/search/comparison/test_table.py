"""The table of a comparison: who is best is decided on validation users, by how much is told on test users."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats

from distrecvae.evaluation import Evaluation
from distrecvae.metrics import METRICS
from distrecvae.search.comparison.row import ELSEWHERE, Row, seeds_of
from distrecvae.search.comparison.table import (
    left_open,
    legend,
    paired_csv,
    ranked,
    table_csv,
    table_markdown,
    table_text,
)
from tests.search.comparison.rows import row, scored

Values = npt.NDArray[np.float64]


def noise(n: int, seed: int) -> Values:
    return np.random.default_rng(seed).random(n)


def cells(table: str, place: int) -> list[str]:
    """Return the cells of a Markdown table's line: 0 is the head, 2 the first row."""
    return [cell.strip() for cell in table.splitlines()[place].strip("|").split(" | ")]


def test_the_best_is_chosen_on_validation_users_not_on_test_users() -> None:
    generator = np.random.default_rng(0)
    test = generator.random(200)
    rows = [row("lucky", 0.3, test + 0.1), row("chosen", 0.4, test), row("weak", 0.1, test - 0.2)]
    order = ranked(rows, "ndcg_100")
    assert [each.name for each, _ in order] == ["chosen", "lucky", "weak"]
    gains = {each.name: gain for each, gain in order}
    assert gains["chosen"] is None
    assert gains["lucky"] is not None
    assert gains["lucky"].mean == pytest.approx(-0.1)
    assert gains["weak"] is not None
    assert gains["weak"].mean == pytest.approx(0.2)


def test_text_markdown_and_csv_say_the_same() -> None:
    test = np.linspace(0, 1, 50)
    rows = [row("first", 0.4, test), row("other", 0.3, test - 0.1 + 0.05 * np.sin(np.arange(50)))]
    text = table_text(rows, "ndcg_100", 50)
    assert max(len(line) for line in text.splitlines()) <= 100
    markdown = table_markdown(rows, "ndcg_100", 50)
    table = list(csv.DictReader(io.StringIO(table_csv(rows, "ndcg_100"))))
    for value in ("0.4000", "0.5000", "1,234", "1 min 01 s"):
        assert value in text
        assert value in markdown
    assert float(table[0]["test_recall_20"]) == pytest.approx(0.5)
    assert json.loads(table[1]["config"]) == {"x": 0.5, "w": [0.25, 0.75]}
    assert float(table[1]["p_value_holm"]) < 0.05
    assert table[0]["p_value_holm"] == ""
    assert "*" in text.splitlines()[2]


def test_it_is_ranked_by_the_metric_that_was_searched_for() -> None:
    def valid(ndcg: float, recall: float) -> Evaluation:
        return Evaluation(
            {"ndcg_100": np.full(3, ndcg), "recall_20": np.full(3, recall), "recall_50": np.zeros(3)},
            np.arange(3),
            0,
        )

    rows = [
        replace(row("a", 0, noise(9, 0)), valid=valid(0.3, 0.1)),
        replace(row("b", 0, noise(9, 1)), valid=valid(0.2, 0.4)),
    ]
    assert [each.name for each, _ in ranked(rows, "ndcg_100")] == ["a", "b"]
    assert [each.name for each, _ in ranked(rows, "recall_20")] == ["b", "a"]


def test_equal_rows_stand_in_the_order_asked_for_and_one_alone_is_the_best() -> None:
    rows = [row(name, 0.3, noise(9, 0)) for name in "cab"]
    assert [each.name for each, _ in ranked(rows, "ndcg_100")] == ["c", "a", "b"]
    assert ranked(rows[:1], "ndcg_100") == [(rows[0], None)]


def test_who_is_not_told_apart_is_named_with_an_interval_and_how_many_users_would_tell() -> None:
    test = noise(200, 0)
    rows = [row("best", 0.4, test), row("near", 0.3, noise(200, 1)), row("far", 0.2, test * 0.5)]
    said = left_open(rows, "ndcg_100")
    (gain,) = [gain for each, gain in ranked(rows, "ndcg_100") if each.name == "near" and gain is not None]
    reach = stats.t.ppf(1 - 0.025 / 2, 199) * gain.standard_error  # Bonferroni's, for two comparisons
    assert (
        f"near (between {gain.mean - reach:+.4f} and {gain.mean + reach:+.4f}; one as large as measured"
        in said
    )
    assert "Not told apart from best" in said
    assert "which does not make them equal" in said
    assert "far" not in said
    for text in (table_text(rows, "ndcg_100", 200), table_markdown(rows, "ndcg_100", 200)):
        assert said in text.replace("\n", " ")


def test_nothing_is_left_open_where_every_difference_is_real_or_none_can_be_known() -> None:
    test = noise(200, 0)
    assert left_open([row("best", 0.4, test), row("far", 0.2, test * 0.5)], "ndcg_100") == ""
    assert left_open([row("alone", 0.4, test)], "ndcg_100") == ""
    none = noise(0, 0)
    assert left_open([row("best", 0.4, none), row("other", 0.2, none)], "ndcg_100") == ""


class TestCsv:
    def test_its_numbers_are_pandas_and_scipys_in_full(self) -> None:
        best, other, third = noise(60, 0), noise(60, 1) - 0.05, noise(60, 2) - 0.1
        valid = noise(7, 3)
        first = replace(row("best", 0, best), valid=scored(valid))
        rows = [row("third", 0.1, third), first, row("other", 0.2, other)]
        table = pd.read_csv(io.StringIO(table_csv(rows, "recall_20"))).set_index("name")
        assert list(table.index) == ["best", "other", "third"]
        assert table.loc["best", "valid_recall_50"] == pytest.approx(valid.mean(), rel=1e-12)
        assert table.loc["best", "valid_ndcg_100_standard_error"] == pytest.approx(
            valid.std() / 7**0.5, rel=1e-12
        )
        for name, values in (("best", best), ("other", other), ("third", third)):
            for metric in METRICS:
                assert table.loc[name, f"test_{metric}"] == pytest.approx(values.mean(), rel=1e-12)
                assert table.loc[name, f"test_{metric}_standard_error"] == pytest.approx(
                    stats.sem(values, ddof=0)
                )
        p_values = [stats.ttest_rel(best, values).pvalue for values in (other, third)]
        adjusted = [max(p for p in p_values), min(1.0, 2 * min(p_values))]
        for name, values, p_value in zip(("other", "third"), (other, third), p_values, strict=True):
            assert table.loc[name, "behind_recall_20"] == pytest.approx((best - values).mean())
            assert table.loc[name, "behind_recall_20_standard_error"] == pytest.approx(
                stats.sem(best - values)
            )
            assert table.loc[name, "p_value"] == pytest.approx(p_value)
            corrected = adjusted[1] if p_value == min(p_values) else max(adjusted)
            assert table.loc[name, "p_value_holm"] == pytest.approx(corrected)
        assert table.loc["best", ["behind_recall_20", "p_value", "p_value_holm"]].isna().all()

    def test_the_rest_is_as_it_was_found(self) -> None:
        found = row("a,b", 0.3, noise(8, 0), model="recvae", trials=24, search_s=1 / 3, train_s=0.1,
                    n_parameters=10**7, config={"text": 'say "x", y', "none": None})  # fmt: skip
        text = table_csv([found], "ndcg_100")
        assert "\r" not in text
        (read,) = csv.DictReader(io.StringIO(text))
        assert (read["name"], read["model"], read["n_test_users"], read["trials"]) == (
            "a,b",
            "recvae",
            "8",
            "24",
        )
        assert (float(read["search_s"]), float(read["best_trial_s"])) == (1 / 3, 0.1)
        assert read["n_parameters"] == "10000000"
        assert json.loads(read["config"]) == found.config


class TestMarkdown:
    def test_the_best_is_bold_and_alone_without_a_distance(self) -> None:
        rows = [row("other", 0.3, noise(50, 1) - 0.3), row("best", 0.4, noise(50, 0))]
        table = table_markdown(rows, "ndcg_100", 50)
        head, best, other = (cells(table, place) for place in (0, 2, 3))
        assert head == [
            "model", "valid NDCG@100", "test NDCG@100", "test Recall@20", "test Recall@50", "behind the best",
            "95 % interval", "d", "p", "trials", "search", "best trial", "parameters",
        ]  # fmt: skip
        assert (best[0], other[0]) == ("**best**", "other")
        assert best[5:9] == ["-", "-", "-", "-"]
        assert best[9:] == ["3", "1 min 01 s", "2 s", "1,234"]
        assert other[5].endswith("\\*"), "or Markdown would take two of them for emphasis"
        assert other[8] == "< 0.001"

    @pytest.mark.parametrize(("shift", "marked"), [(0.0, False), (0.18, True), (0.5, True)])
    def test_only_a_real_difference_is_marked(self, shift: float, marked: bool) -> None:
        best, other = noise(50, 0), noise(50, 1) - shift
        rows = [row("best", 0.4, best), row("other", 0.3, other)]
        p_value = float(stats.ttest_rel(best, other).pvalue)
        assert (p_value < 0.05) is marked
        written = cells(table_markdown(rows, "ndcg_100", 50), 3)
        assert ("*" in written[5]) is marked
        difference = best - other
        low, high = stats.t.interval(0.95, 49, difference.mean(), stats.sem(difference))
        assert written[6] == f"{low:+.4f} .. {high:+.4f}"
        assert written[7] == f"{difference.mean() / difference.std(ddof=1):.2f}"
        assert written[8] == ("< 0.001" if p_value < 0.001 else f"{p_value:.3f}")
        assert ("*" in table_text(rows, "ndcg_100", 50).splitlines()[2]) is marked

    def test_scores_have_their_standard_errors(self) -> None:
        values = noise(50, 0)
        written = cells(table_markdown([row("best", 0.4, values)], "ndcg_100", 50), 2)
        assert written[1] == "0.4000"
        assert written[2:5] == [f"{values.mean():.4f} ± {values.std() / 50**0.5:.4f}"] * 3

    def test_it_ends_with_the_chosen_configurations_best_first(self) -> None:
        rows = [
            row("other", 0.3, noise(9, 1)),
            row("best", 0.4, noise(9, 0), config={"rate": 1 / 3, "kind": "x"}),
        ]
        assert table_markdown(rows, "ndcg_100", 9).endswith(
            "\n| model | chosen configuration |\n| --- | --- |\n"
            "| best | `rate=0.3333 kind=x` |\n| other | `x=0.5 w=[0.25,0.75]` |\n"
        )


class TestText:
    def test_its_columns_stand_below_each_other(self) -> None:
        rows = [
            row("a-longer-name", 0.4, noise(50, 0)),
            row("b", 0.3, noise(50, 1) - 0.3, n_parameters=12_345_678),
        ]
        lines = table_text(rows, "recall_20", 50).splitlines()
        assert lines[0].split() == [
            "valid", "test", "Recall@20", "NDCG@100", "Recall@50", "behind", "the", "best", "trials", "search",
            "parameters",
        ]  # fmt: skip
        assert len({len(line) for line in lines[:3]}) == 1
        assert lines[1].startswith("a-longer-name  ")
        assert lines[2].startswith("b              ")
        assert (lines[1].split()[-1], lines[2].split()[-1]) == ("1,234", "12,345,678")

    @pytest.mark.parametrize(("metric", "title"), [("ndcg_100", "NDCG@100"), ("recall_50", "Recall@50")])
    def test_it_says_below_how_it_is_read(self, metric: str, title: str) -> None:
        said = legend(metric, 12_345)
        assert said.count(title) == 2
        assert "Test users: 12,345," in said
        assert "Holm-corrected" in said
        assert "* below 0.05" in said
        text = table_text([row("best", 0.4, noise(9, 0))], metric, 12_345)
        assert " ".join(text.split("\n\n")[1].split()) == said


def test_users_who_are_left_out_are_not_said_to_be_scored() -> None:
    """It said that 60 test users were scored, where one of them had nothing to find, and the lines below counted 59."""
    whole = row("best", 0.4, noise(59, 0))
    rows = [replace(whole, test=replace(whole.test, n_skipped=1))]
    assert "Test users: 60 (1 left out, with nothing to fold in or nothing to find), scored once" in legend(
        "ndcg_100", 60, rows
    )


def test_where_no_test_user_can_be_scored_no_number_is_made_up() -> None:
    nobody = noise(0, 0)
    rows = [row("best", 0.4, nobody), row("other", 0.3, nobody)]
    assert [cells(table_markdown(rows, "ndcg_100", 0), line)[2:7] for line in (2, 3)] == [
        ["n/a", "n/a", "n/a", "-", "-"],
        ["n/a", "n/a", "n/a", "n/a", "-"],
    ]
    assert table_text(rows, "ndcg_100", 0).splitlines()[2].split()[:6] == [
        "other", "0.3000", "n/a", "n/a", "n/a", "n/a",
    ]  # fmt: skip
    for read in csv.DictReader(io.StringIO(table_csv(rows, "ndcg_100"))):
        assert (read["test_ndcg_100"], read["behind_ndcg_100"], read["p_value"]) == ("", "", "")


def with_seeds(name: str, valid: float, *runs: Values) -> Row:
    test = [scored(each) for each in runs]
    return replace(
        row(name, valid, np.mean(runs, axis=0)),
        seeds=seeds_of(range(len(runs)), [scored(np.full(5, valid))] * len(runs), test),
    )


def test_with_seeds_their_error_stands_beside_that_over_users() -> None:
    runs = [noise(50, 0), noise(50, 1), noise(50, 2)]
    rows = [with_seeds("best", 0.4, *runs), row("once", 0.3, noise(50, 3))]
    error = np.std([each.mean() for each in runs], ddof=1) / 3**0.5
    markdown = table_markdown(rows, "ndcg_100", 50)
    assert cells(markdown, 0)[5] == "± seeds"
    assert (cells(markdown, 2)[5], cells(markdown, 3)[5]) == (f"± {error:.4f}", "-")
    text = table_text(rows, "ndcg_100", 50)
    assert f"± {error:.4f}" in text
    assert max(len(line) for line in text.splitlines()) <= 110
    assert "was trained with 3 seeds" in " ".join(text.split())
    (best, once) = csv.DictReader(io.StringIO(table_csv(rows, "ndcg_100")))
    assert (best["n_seeds"], once["n_seeds"]) == ("3", "")
    assert float(best["seeds_test_recall_20_standard_error"]) == pytest.approx(error)
    assert once["seeds_test_recall_20_standard_error"] == ""


def test_a_system_without_validation_scores_stands_last_however_good_it_is() -> None:
    theirs = Row(
        "theirs",
        ELSEWHERE,
        {},
        None,
        scored(noise(50, 0) + 0.5),
        None,
        None,
        None,
        None,
        notes=("no list for 2",),
    )
    rows = [theirs, row("weak", 0.1, noise(50, 1)), row("ours", 0.4, noise(50, 2))]
    order = ranked(rows, "ndcg_100")
    assert [each.name for each, _ in order] == ["ours", "weak", "theirs"]
    gain = order[-1][1]
    assert gain is not None
    assert gain.mean < 0
    assert gain.significant
    for text in (table_text(rows, "ndcg_100", 50), table_markdown(rows, "ndcg_100", 50)):
        said = " ".join(text.split())
        assert "cannot be called the best" in said
        assert "theirs: no list for 2." in said
    line = cells(table_markdown(rows, "ndcg_100", 50), 4)
    assert (line[0], line[1], line[-1]) == ("theirs", "n/a", "-")
    (*_, read) = csv.DictReader(io.StringIO(table_csv(rows, "ndcg_100")))
    assert (read["valid_ndcg_100"], read["trials"], read["search_s"]) == ("", "", "")


def test_every_metrics_tests_are_written_in_full() -> None:
    def scores(ndcg: Values, recall: Values) -> Evaluation:
        return Evaluation({"ndcg_100": ndcg, "recall_20": recall}, np.arange(40), 0, {"gini_20": 0.5})

    mine = [scores(noise(40, n), noise(40, n + 5)) for n in range(3)]
    rows = [replace(row(name, 0.5 - n, noise(5, 0)), test=mine[n]) for n, name in enumerate("abc")]
    rows = [replace(each, valid=scored(np.full(5, 0.5 - n))) for n, each in enumerate(rows)]
    found = pd.read_csv(io.StringIO(paired_csv(rows, "ndcg_100")))
    assert list(zip(found["metric"], found["name"], strict=True)) == [
        ("ndcg_100", "b"), ("ndcg_100", "c"), ("recall_20", "b"), ("recall_20", "c"),
    ]  # fmt: skip
    for line in found.to_dict("records"):
        difference = (
            mine[0].per_user[line["metric"]] - mine["abc".index(line["name"])].per_user[line["metric"]]
        )
        assert line["difference"] == pytest.approx(difference.mean())
        assert line["p_value"] == pytest.approx(stats.ttest_1samp(difference, 0).pvalue)
        interval = stats.t.interval(0.95, 39, difference.mean(), stats.sem(difference))
        assert (line["low_95"], line["high_95"]) == pytest.approx(interval)
        assert line["effect_size"] == pytest.approx(difference.mean() / difference.std(ddof=1))
    for _, part in found.groupby("metric"):
        lowest, highest = sorted(part["p_value"])
        assert sorted(part["p_value_holm"]) == pytest.approx(
            sorted([min(1, 2 * lowest), max(highest, min(1, 2 * lowest))])
        )
