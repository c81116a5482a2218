"""The tables of a report hold what the search's folder does, as text."""

from __future__ import annotations

from dataclasses import replace

from distrecvae.search.core.records import Status
from distrecvae.search.folder.search_json import WarmStart
from distrecvae.search.report import tables
from distrecvae.search.report.data import Asked
from tests.search.report.made import RECVAE, made_results, made_trial


def cells(table: tables.Table | None) -> list[list[str]]:
    """Return a table's rows, the head first where there is one."""
    assert table is not None
    return [list(row) for row in ([table.head] if table.head else []) + list(table.rows)]


def pairs(table: tables.Table) -> dict[str, str]:
    return {row[0]: row[1] for row in table.rows}


def test_the_best_configuration_stands_beside_the_first_unless_it_is_that() -> None:
    first, second = made_trial(0, 0.1, rate=1e-3, kind=None), made_trial(1, 0.2, rate=0.00123456, kind=True)
    assert cells(tables.parameters_table(made_results(first, second, space=RECVAE))) == [
        ["parameter", "best (trial 1)", "starting"],
        ["rate", "0.001235", "0.001"],
        ["width", "2", "2"],
        ["kind", "true", "-"],
    ]
    assert [len(row) for row in cells(tables.parameters_table(made_results(first)))] == [2, 2, 2, 2]
    assert tables.parameters_table(made_results(made_trial(0, None))) is None
    assert tables.parameters_table(made_results(replace(first, values={}))) is None


def test_a_trials_row_has_its_rank_among_all_with_a_score() -> None:
    trials = (
        made_trial(0, 0.1, curve=[(4, 0.1, 1.0)]),
        made_trial(1, None, status=Status.FAILED),
        made_trial(2, 0.2, status=Status.STOPPED, width=5),
    )
    assert cells(tables.trials_table(made_results(*trials), trials[:2])) == [
        ["rank", "trial", "status", "NDCG@100", "passes", "time", "rate", "width", "kind"],
        ["2", "0", "finished", "0.1000", "4", "2 s", "0.001", "2", "a"],
        ["-", "1", "failed", "-", "0", "0 s", "0.001", "2", "a"],
    ]


def test_trouble_is_listed_with_its_reason_as_text() -> None:
    trials = (
        made_trial(0, 0.1),
        made_trial(1, 0.0, status=Status.DIVERGED, reason="loss is <b>nan</b>", curve=[(4, 0.1, 1.0)]),
        made_trial(2, None, status=Status.FAILED, reason="no memory"),
        made_trial(3, 0.1, status=Status.STOPPED, reason="asha at 4 passes"),
    )
    assert [row[:4] for row in cells(tables.trouble_table(made_results(*trials)))[1:]] == [
        ["1", "diverged", "4", "loss is <b>nan</b>"],
        ["2", "failed", "0", "no memory"],
    ]
    assert tables.trouble_table(made_results(trials[0], trials[3])) is None


def test_what_made_the_search_is_listed() -> None:
    results = made_results(made_trial(0, 0.1), space=RECVAE, seed=7, sampler="random")
    assert pairs(tables.provenance(results)) == {
        "command": "distrecvae search --data 'my data'",
        "started": "2026-11-25T10:00:00+00:00",
        "data": "my data (fingerprint abc)",
        "space": f"recvae's own: {RECVAE.description}",
        "search": "sampler random, scheduler asha, seed 7, chosen by valid/ndcg_100, at most 40 passes a trial",
        "machine": "Linux; a CPU, float32",
        "distrecvae": "0.1.0",
        "python": "3.11",
        "optuna": "5.0.0",
    }
    settings = replace(results.settings, space="mine.yaml")
    named = replace(results, described=replace(results.described, settings=settings))
    assert pairs(tables.provenance(named))["space"] == "mine.yaml"


def test_a_warm_start_is_part_of_what_made_the_search() -> None:
    results = made_results(made_trial(0, 0.1))
    warm = WarmStart("runs/earlier", (4, 2), ({}, {}), (7,))
    described = replace(results.described, warm_start=warm)
    said = pairs(tables.provenance(replace(results, described=described)))["warm start"]
    assert said == (
        "Warm start from runs/earlier: trials 4, 2; outside of this search's space and left out: 7."
    )


def test_trials_are_links_and_say_what_people_did_with_them() -> None:
    added = replace(made_trial(1, 0.2), by_hand="added, continued to 80 passes")
    table = tables.trials_table(made_results(made_trial(0, 0.1), added), (added,))
    assert table.trials == table.head.index("trial")
    assert cells(table)[1][2] == "finished (added, continued to 80 passes)"


def test_what_was_asked_is_listed_with_its_answer() -> None:
    results = made_results(made_trial(0, 0.1))
    assert tables.asked_table(results) is None
    asked = (
        Asked(75.0, "stop 3", "trial 3 ends", True),
        Asked(80.0, "trials 1", "no: 3 were begun", False),
        Asked(90.0, "revive 2", "trial 2 continues", True, by_itself=True),
    )
    assert cells(tables.asked_table(replace(results, asked=asked))) == [
        ["after", "by", "asked", "", "answer"],
        ["1 min 15 s", "hand", "stop 3", "done", "trial 3 ends"],
        ["1 min 20 s", "hand", "trials 1", "refused", "no: 3 were begun"],
        ["1 min 30 s", "itself", "revive 2", "done", "trial 2 continues"],
    ]
