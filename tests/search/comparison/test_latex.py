"""The LaTeX table: whole, booktabs, the best bold, significance marked, and its caption says by what."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from distrecvae.evaluation import Evaluation
from distrecvae.search.comparison.latex import escaped, latex, shared_metrics
from distrecvae.search.comparison.row import Seeds
from tests.search.comparison.rows import row, scored
from tests.search.comparison.tables import rows_of, table


def body(text: str) -> dict[str, list[str]]:
    """Return the cells of each row by its first, those between \\midrule and \\bottomrule."""
    inside = text.split("\\midrule\n")[1].split("\\bottomrule")[0]
    lines = [line.removesuffix(r" \\").split(" & ") for line in inside.strip().splitlines()]
    return {line[0]: line[1:] for line in lines}


def require_whole(text: str) -> None:
    """Check what a compiler would stop at: braces, environments, columns."""
    bare = re.sub(r"\\.", "", text.split("\n", 1)[1])
    assert bare.count("{") == bare.count("}")
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1
    found = re.search(r"\\begin\{tabular\}\{(l(r+))\}", text)
    assert found is not None
    for cells in body(text).values():
        assert len(cells) == len(found[2])
    assert not re.search(r"(?<!\\)[#&](?=[^\n]*caption)", text)
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]


def test_a_table_of_one_data_set() -> None:
    text = latex([table("ml-1m", *rows_of(0))])
    require_whole(text)
    assert list(body(text)) == ["a", "b", "c"]
    means = {each.name: each.test.mean("ndcg_100") for each in rows_of(0)}
    cells = body(text)
    assert cells["a"][0].startswith(rf"\textbf{{{means['a']:.4f}}} {{\scriptsize$\pm$")
    assert cells["c"][0].startswith(f"{means['c']:.4f}")
    assert cells["c"][0].endswith(r"$^{*}$")
    assert "model & NDCG@100 & Recall@20 & Recall@50" in text
    assert "Reference: a, the best by NDCG@100 on validation users." in text
    assert "Holm-corrected" in text
    assert text.startswith("% distrecvae 0.1.0; needs \\usepackage{booktabs}\n")


def test_bold_is_the_highest_and_ahead_of_the_reference_is_marked_otherwise() -> None:
    base = np.random.default_rng(0).random(80)
    text = latex([table("d", row("chosen", 0.4, base), row("lucky", 0.3, base + 0.1 + base[::-1] / 50))])
    cells = body(text)
    assert cells["lucky"][0].startswith(r"\textbf{")
    assert cells["lucky"][0].endswith(r"$^{\dagger}$")
    assert r"\textbf" not in cells["chosen"][0]
    tied = body(latex([table("d", row("one", 0.4, base), row("same", 0.3, base.copy()))]))
    assert all(r"\textbf" in cells[0] for cells in tied.values()), "equal means are both the highest"


def test_seeds_have_a_second_error_and_the_caption_says_so() -> None:
    test = dict.fromkeys(("ndcg_100", "recall_20", "recall_50"), (0.4, 0.5, 0.6))
    mine = replace(row("mine", 0.4, np.linspace(0, 1, 60)), seeds=Seeds((1, 2, 3), {}, test))
    text = latex([table("d", mine)])
    require_whole(text)
    assert body(text)["mine"][0].count(r"\pm") == 2
    assert r"$\pm$0.0577" in body(text)["mine"][0], "0.1 / sqrt(3)"
    assert "then over 3 seeds" in text


def test_several_data_sets_stand_side_by_side_with_dashes_where_a_model_is_missing() -> None:
    text = latex(
        [table("ml-1m", *rows_of(0)), table("net_flix", *rows_of(1, "ab"))], ["ndcg_100", "recall_20"]
    )
    require_whole(text)
    assert r"\multicolumn{2}{c}{ml-1m} & \multicolumn{2}{c}{net\_flix}" in text
    assert r"\cmidrule(lr){2-3} \cmidrule(lr){4-5}" in text
    assert body(text)["c"][2:] == ["--", "--"]
    assert "a on ml-1m and a on net\\_flix" in text


def test_values_of_all_lists_are_neither_bold_nor_tested() -> None:
    mine = Evaluation({"ndcg_100": np.linspace(0, 1, 60)}, np.arange(60), 0, {"gini_20": 0.5})
    text = latex([table("d", replace(row("mine", 0.4, np.zeros(1)), test=mine))])
    require_whole(text)
    assert body(text)["mine"][1] == "0.5000"
    assert "Gini@20: one value of all lists, neither bold nor tested." in text


def test_no_number_is_made_up_of_no_user() -> None:
    text = latex([table("d", replace(row("mine", 0.4, np.zeros(1)), test=scored(np.zeros(0))))])
    assert body(text)["mine"] == ["--"] * 3


def test_names_are_printed_as_they_are() -> None:
    text = latex([table("d", row(r"50%_of {a} & b\c", 0.4, np.linspace(0, 1, 60)))])
    assert r"50\%\_of \{a\} \& b\textbackslash{}c & " in text
    assert escaped("a_b") == r"a\_b"


@pytest.mark.parametrize("names", [("ndcg_100",), ("recall_20", "ndcg_100")])
def test_columns_that_all_have_are_in_the_first_ones_order(names: tuple[str, ...]) -> None:
    values = {name: np.ones(3) for name in names}
    few = replace(row("a", 0.1, np.ones(3)), test=Evaluation(values, np.arange(3), 0))
    assert set(shared_metrics([table("d", row("a", 0.1, np.ones(3))), table("e", few)])) == set(names)
    assert shared_metrics([table("e", few), table("d", row("a", 0.1, np.ones(3)))]) == names
