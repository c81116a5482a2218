"""Candidates: what they weigh, copies of each other, names that differ."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from distrecvae.blending.candidate import candidate, distinct
from distrecvae.errors import CheckpointError
from tests.blending.models import split, trained


def test_a_candidate_weighs_what_its_parameters_do() -> None:
    n_items = split().n_items
    assert trained("ease").size_bytes == 4 * n_items**2
    assert trained("popularity").size_bytes == 4 * n_items


def test_parameters_that_do_not_fit_are_refused() -> None:
    with pytest.raises(CheckpointError, match="counts of 5 items"):
        candidate("a", "b", "popularity", {}, {"counts": torch.ones(4)}, 5)


def test_a_copy_is_no_other_candidate() -> None:
    ease = trained("ease")
    copy = replace(ease, name="again", source="elsewhere", state={"weight": ease.state["weight"].clone()})
    assert [each.name for each in distinct([ease, trained("popularity"), copy])] == ["ease", "popularity"]


def test_candidates_that_differ_in_one_weight_are_two_with_two_names() -> None:
    ease = trained("ease")
    weight = ease.state["weight"].clone()
    weight[0, 1] += 1e-6
    found = distinct([ease, replace(ease, state={"weight": weight})])
    assert [each.name for each in found] == ["ease", "ease (2)"]


def test_a_thin_candidate_knows_the_whole_one() -> None:
    ease = trained("ease")
    assert ease.whole == "ease"
    assert replace(ease, name="ease, 5 %", thin_of="ease").whole == "ease"
