"""Entries: what is taken for granted where an entry does not say otherwise, and what scoring takes."""

from __future__ import annotations

from typing import Any

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.evaluation import BATCH_USERS
from distrecvae.kernels.item_weights import gram_arrays, gram_arrays_bytes
from distrecvae.training import registry
from distrecvae.training.entry import Common, Entry, score_bytes


def nothing(*_: Any, **__: Any) -> Any:
    raise AssertionError("an entry is data: nobody asked for this")


def test_an_entry_that_says_no_more_is_trained_exactly_step_by_step_and_alone() -> None:
    entry = Entry(dict, nothing, nothing, nothing)
    assert (entry.rounds, entry.at_once, entry.tells) == (False, False, False)
    assert entry.common is None


def test_what_is_computed_alike_is_lent_alike() -> None:
    # Every entry says it for itself; that two are equal is how a search of both computes it once.
    assert registry.common_of("ease") == registry.common_of("slim") == Common(gram_arrays, gram_arrays_bytes)
    assert registry.common_of("recvae") is None
    assert Common(gram_arrays, gram_arrays_bytes) != Common(gram_arrays, nothing)


def test_the_size_of_what_is_lent_is_told_without_computing_it() -> None:
    common = registry.common_of("ease")
    assert common is not None
    train = InteractionMatrix.from_pairs([0, 0, 1], [0, 2, 1], n_users=2, n_items=7)
    assert common.size(train) == sum(array.nbytes for array in common.compute(train).values())


def test_scores_are_held_for_a_batch_of_users_once_and_once_more_while_they_are_ranked() -> None:
    assert score_bytes(3, 1000) == 2 * 4 * 3 * 1000
    assert score_bytes(BATCH_USERS, 1000) == score_bytes(10**7, 1000) == 2 * 4 * BATCH_USERS * 1000
    assert score_bytes(0, 1000) == score_bytes(3, 0) == 0
