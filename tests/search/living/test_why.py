"""Why a trial is what it is: rungs, rivals and the sampler's knowledge, all asked again of the ledger as it stood."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distrecvae.errors import ResultsError
from distrecvae.search.core.chain import Chain, read_chain
from distrecvae.search.core.guided.guide import FIRST
from distrecvae.search.core.ledger import curves_of, read_records
from distrecvae.search.core.records import Status, leading
from distrecvae.search.core.rules import make_rule
from distrecvae.search.folder.search_json import WarmStart, read_description
from distrecvae.search.living.explanation import PROPOSED, START, STARTUP, WARM
from distrecvae.search.living.why import explained, why
from tests.search.living.conftest import RECVAE
from tests.search.reported import make_search


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of 26 trials, so that TPE proposed most of them."""
    folder = tmp_path_factory.mktemp("why") / "long"
    make_search(folder, space=RECVAE, trials=26, max_passes=36, min_passes=4)
    return folder


def test_every_proposal_is_made_again_from_the_ledger(long: Path) -> None:
    found = [why(long, number) for number in range(26)]
    assert [each.origin.again for each in found] == [True] * 26
    kinds = [each.origin.kind for each in found]
    assert kinds == [START, *[STARTUP] * 9, *[PROPOSED] * 16]
    assert [each.origin.ended for each in found] == list(range(26)), "one ran at a time"


@pytest.mark.parametrize("sampler", ["guided", "random", "qmc", "cmaes"])
def test_other_samplers_are_asked_again_too(tmp_path: Path, sampler: str) -> None:
    make_search(tmp_path / "mine", space=RECVAE, trials=14, max_passes=12, min_passes=4, sampler=sampler)
    for number in range(14):
        found = why(tmp_path / "mine", number)
        assert found.origin.again, number
        begins = STARTUP if sampler == "guided" and number < FIRST else PROPOSED
        assert found.origin.kind == (begins if number else START)
        assert found.origin.ratios is None


def test_a_proposal_that_nothing_would_make_again_is_said_to_be_so(long: Path, tmp_path: Path) -> None:
    # The line says another configuration than this version proposes, as an earlier Optuna might have.
    shutil.copytree(long, tmp_path / "mine")
    path = tmp_path / "mine" / "ledger.jsonl"
    lines = [dict(line) for line in read_chain(path).records]
    path.unlink()
    chain = Chain(path)
    for line in lines:
        if line["kind"] == "asked" and line["trial"] == 12:
            line["config"] = {**line["config"], "dropout": 0.123}
        chain.append(line)
    found = why(tmp_path / "mine", 12)
    assert not found.origin.again
    assert "it proposes something else" in str(found)


def test_what_it_was_held_to_is_what_the_rule_saw(long: Path) -> None:
    records = read_records(long, "valid/ndcg_100")
    rule = make_rule("asha", 4, 36, 3)
    stopped = [record for record in records.values() if record.status is Status.STOPPED]
    assert stopped
    for record in records.values():
        judgements = why(long, record.number).judgements
        # One ran at a time: what was known at its reports is all earlier trials, and its own curve so far.
        earlier = curves_of(records[number] for number in range(record.number))
        for judged in judgements:
            others = {n: rule_value(curve.points, judged.passes) for n, curve in earlier.items()}
            assert {n: v for n, v in judged.values.items() if n != record.number} == {
                n: v for n, v in others.items() if v is not None
            }
        assert [judged.stops for judged in judgements[:-1]] == [False] * len(judgements[:-1])
        if record.status is Status.STOPPED:
            assert judgements[-1].stops
            assert judgements[-1].value < judgements[-1].bar
    assert rule.rungs(0) == (4, 12, 36)


def rule_value(points: tuple[tuple[int, float], ...], passes: int) -> float | None:
    return next((value for at, value in points if at >= passes), None)


def test_the_words_name_the_rung_the_rivals_and_the_curve_that_it_lost_to(long: Path) -> None:
    records = read_records(long, "valid/ndcg_100")
    record = next(r for r in records.values() if r.status is Status.STOPPED and r.number > 12)
    found, text = why(long, record.number), " ".join(str(why(long, record.number)).split())
    last = found.judgements[-1]
    holder = min(n for n, value in last.values.items() if value == last.bar)
    assert f"to continue it needed {last.bar:.4f} (trial {holder}). It was stopped." in text
    best = leading(records.values())
    assert best is not None
    assert f"The best is trial {best.number} with {best.score:.4f}" in text
    assert f"rank {found.rank} of 26 trials with a score" in text
    assert max(len(line) for line in str(found).split("parameter")[0].splitlines()) <= 100


def test_what_tpe_leant_on_is_its_own_split_and_a_value_of_the_good_is_likelier(long: Path) -> None:
    found = why(long, 25)
    assert set(found.origin.good) | set(found.origin.others) == set(range(25))
    assert len(found.origin.good) == 3, "a tenth of 25, rounded up"
    assert found.origin.ratios is not None
    assert set(found.origin.ratios) <= set(RECVAE.parameters)
    assert all(ratio > 0 for ratio in found.origin.ratios.values())
    # What it proposed is the likeliest of its candidates: together its values speak for it more often than not.
    products = []
    for number in range(12, 26):
        product = 1.0
        for ratio in (why(long, number).origin.ratios or {}).values():
            product *= ratio
        products.append(product)
    assert sum(product > 1 for product in products) > len(products) / 2


def test_a_warm_start_is_told_from_the_rest(long: Path, tmp_path: Path) -> None:
    best = read_records(long, "valid/ndcg_100")[4]
    warm = WarmStart("earlier", (4,), (best.config,), ())
    make_search(tmp_path / "mine", space=RECVAE, trials=3, max_passes=12, warm=warm)
    found = why(tmp_path / "mine", 1)
    assert found.origin.kind == WARM
    assert found.origin.again
    assert "taken over from the search that this one began with" in str(found)


def test_a_trial_that_runs_or_has_no_score_is_explained_as_far_as_it_goes(under_way: Path) -> None:
    running = max(read_records(under_way, "valid/ndcg_100"))
    assert f"Trial {running} of {under_way}: running" in " ".join(str(why(under_way, running)).split())

    def failing(config: dict[str, object], passes: int) -> float:
        raise RuntimeError("no memory")

    make_search(under_way.parent / "failed", space=RECVAE, trials=2, max_passes=12, curve=failing)
    text = " ".join(str(why(under_way.parent / "failed", 1)).split())
    assert "failed (no memory), without a score." in text
    assert why(under_way.parent / "failed", 1).rank is None


def test_a_trial_that_is_not_there_is_refused_in_a_line(long: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"has no trial 99; it has trials 0 to 25"):
        why(long, 99)
    with pytest.raises(ResultsError, match="holds no search"):
        why(tmp_path, 0)


def test_nothing_is_written(long: Path) -> None:
    before = {path: path.read_bytes() for path in long.rglob("*") if path.is_file()}
    why(long, 20)
    assert {path: path.read_bytes() for path in long.rglob("*") if path.is_file()} == before


def test_all_trials_are_explained_in_one_reading_as_each_is_alone(long: Path) -> None:
    lines = read_chain(long / "ledger.jsonl").records
    found = explained(long, read_description(long), lines, range(26), ask_again=False)
    assert list(found) == list(range(26))
    for number, each in found.items():
        alone = why(long, number)
        assert each.judgements == alone.judgements
        assert (each.rank, each.n_ranked) == (alone.rank, alone.n_ranked)
        assert replace(alone.origin, again=None) == each.origin
        assert "Asked again" not in str(each)


def test_a_request_that_was_refused_may_name_a_trial_that_there_is_not(long: Path) -> None:
    """`steer RUN stop 99` was refused in a line, and `why` and the report ended in a traceback ever after."""
    lines = list(read_chain(long / "ledger.jsonl").records)
    request: dict[str, Any] = {"action": "stop", "trials": [99], "settings": {}, "ranges": {}, "number": None}
    answer = {"done": False, "answer": "there is no trial 99; 4 trials were begun", "facts": {}}
    refused = {"kind": "steered", "request": "1", "what": request, **answer}
    asked = next(n for n, line in enumerate(lines) if line["kind"] == "report")
    lines.insert(asked, refused)
    described = read_description(long)
    assert explained(long, described, lines, [0], ask_again=False)[0].judgements == why(long, 0).judgements


def test_a_search_at_a_uri_is_asked_there_and_named_by_it(over: Path) -> None:
    uri = f"file://{over}"
    at_home, afar = why(over, 3), why(uri, 3)
    assert afar.folder == uri
    assert str(afar).split() == str(at_home).replace(str(over), uri).split(), "but for where lines break"
    with pytest.raises(ResultsError, match=f"^{uri} has no trial 99; it has trials 0 to"):
        why(uri, 99)
