"""`blend.json`: what is written of a blend comes back, and what is no such file is refused."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from distrecvae.blending.facts import facts_of, metrics_of, read_facts
from distrecvae.errors import ResultsError
from distrecvae.files import write_json
from tests.blending.test_outcome import METRIC, scored


def test_facts_are_the_outcomes() -> None:
    outcome = scored("ease", "recvae", "popularity")
    facts, choice = facts_of(outcome, "abc"), outcome.choice
    assert facts.fingerprint == "abc"
    assert [each.name for each in facts.candidates] == ["ease", "recvae", "popularity"]
    assert [each.weight for each in facts.members] == list(choice.weights)
    assert facts.test == outcome.test.mean(METRIC)
    assert choice.cross_fitted is not None
    assert facts.valid == choice.cross_fitted.mean(METRIC)
    assert facts.in_sample == choice.in_sample.mean(METRIC)
    assert facts.gain_test.mean == outcome.gain_over_single().mean
    assert facts.gain_test.standard_error == outcome.gain_over_single().standard_error
    for member, gain, worth in zip(
        facts.members, outcome.gains_over_members(), outcome.worths(), strict=True
    ):
        assert member.behind.mean == gain.mean
        assert member.worth is not None
        assert member.worth.mean == worth.mean
    assert facts.size_bytes == choice.cost.size_bytes


def test_a_blend_of_one_has_no_worth() -> None:
    (member,) = facts_of(scored("popularity"), "abc").members
    assert member.worth is None


def test_facts_survive_the_file(tmp_path: Path) -> None:
    facts = facts_of(scored("ease", "recvae", "popularity"), "abc")
    write_json(tmp_path / "blend.json", asdict(facts))
    assert read_facts(tmp_path) == facts


def test_the_validation_score_of_a_blend_is_the_honest_one() -> None:
    outcome = scored("ease", "recvae", "popularity")
    metrics = metrics_of(outcome)
    assert outcome.choice.cross_fitted is not None
    assert metrics["valid"] == outcome.choice.cross_fitted.summary()
    assert metrics["in_sample"] == outcome.choice.in_sample.summary()
    assert metrics["test"] == outcome.test.summary()
    assert (metrics["cross_fitted"], metrics["selected_by"]) == (True, "valid/ndcg_100")


def test_what_is_no_blends_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"holds no blend \(blend.json is missing\)"):
        read_facts(tmp_path)
    (tmp_path / "blend.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(ResultsError, match="cannot be read") as caught:
        read_facts(tmp_path)
    assert "\n" not in str(caught.value)
