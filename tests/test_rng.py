"""Randomness: a root seed and a name give a stream, the same on every machine and whatever was drawn before."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrecvae.rng import derive_seed, stream, trial_seed

NAMES = st.lists(st.integers(-3, 3) | st.text(alphabet='a1,"[] ', max_size=3), max_size=3).map(tuple)


@pytest.mark.parametrize(
    ("seed", "name", "label"),
    [
        (0, (), "[0]"),
        (1, ("noise", 3, 0), '[1,"noise",3,0]'),
        (-5, ("é", '"'), '[-5,"\\u00e9","\\""]'),
        (2**80, ("a",), f'[{2**80},"a"]'),
    ],
)
def test_a_seed_is_63_bits_of_the_names_digest(seed: int, name: tuple[str | int, ...], label: str) -> None:
    # Written out by hand: little end first, the lowest bit dropped. A changed seed changes published results.
    digest = hashlib.blake2b(label.encode("ascii"), digest_size=8).digest()
    expected = sum(byte << (8 * place) for place, byte in enumerate(digest)) // 2
    assert derive_seed(seed, *name) == expected


def test_seeds_are_those_of_every_version_and_platform() -> None:
    assert derive_seed(0) == 5621864261735219286
    assert derive_seed(98765, "trial", 7) == 8325896472883484059
    assert stream(7, "noise", 1).integers(1 << 30, size=3).tolist() == [1050254757, 780448026, 270217901]


@given(st.integers(-2, 2), NAMES, st.integers(-2, 2), NAMES)
def test_distinct_names_have_distinct_seeds(
    seed: int, name: tuple[str | int, ...], other: int, other_name: tuple[str | int, ...]
) -> None:
    # "1" is not 1, and ("a", "b") is neither ("a,b",) nor ("b", "a").
    same = [(type(part), part) for part in (seed, *name)] == [
        (type(part), part) for part in (other, *other_name)
    ]
    assert (derive_seed(seed, *name) == derive_seed(other, *other_name)) is same


def test_a_seed_fits_what_seeds_generators() -> None:
    seeds = [derive_seed(0, "x", number) for number in range(2000)]
    assert all(0 <= seed < 2**63 for seed in seeds), "PyTorch takes a signed 64-bit number"
    assert max(seeds) > 2**62, "all of the bits are used"
    # Every bit is a fair coin: 2000 throws stay within 5 standard deviations of a half.
    bits = np.array([[seed >> place & 1 for place in range(63)] for seed in seeds])
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 * 0.5 / np.sqrt(len(seeds))


def test_a_numpy_seed_is_the_int_that_it_is() -> None:
    assert derive_seed(int(np.int64(3)), "a") == derive_seed(np.int64(3), "a")  # type: ignore[arg-type]


def test_a_stream_is_fresh_each_time_and_leaves_others_alone() -> None:
    random.seed(1)
    np.random.seed(1)
    before = (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index]
    first = stream(3, "noise", 0)
    drawn = first.random(4).tolist()
    stream(3, "noise", 1).random(100)
    assert stream(3, "noise", 0).random(4).tolist() == drawn, "nothing carries on"
    assert first.random(4).tolist() != drawn
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # type: ignore[index]


def test_streams_of_neighbouring_names_are_not_alike() -> None:
    draws = np.array([stream(0, "noise", number).normal(size=400) for number in range(20)])
    alike = np.corrcoef(draws) - np.eye(20)
    assert np.abs(alike).max() < 5 / np.sqrt(400)


CONFIGURATION = {"latent_dim": 8, "kl": {"gamma": 0.1, "beta": None}, "mixture_weights": [0.5, 0.5]}


def test_equal_configurations_have_equal_seeds_whatever_the_order_of_their_keys() -> None:
    turned = {
        "mixture_weights": [0.5, 0.5],
        "kl": {"beta": None, "gamma": 0.1},
        "latent_dim": 8,
    }
    assert list(turned) != list(CONFIGURATION)
    assert trial_seed(1, turned) == trial_seed(1, CONFIGURATION)


@pytest.mark.parametrize(
    "changed",
    [
        CONFIGURATION | {"latent_dim": 9},
        CONFIGURATION | {"mixture_weights": [0.25, 0.75]},
        CONFIGURATION | {"more": None},
        {"latent_dim": 8},
        {},
    ],
)
def test_another_configuration_or_another_search_has_another_seed(changed: Mapping[str, object]) -> None:
    assert trial_seed(1, changed) != trial_seed(1, CONFIGURATION)
    assert trial_seed(2, changed) != trial_seed(1, changed)


def test_a_trials_seed_is_that_of_its_settings_as_json() -> None:
    assert trial_seed(4, {"b": 1, "a": 0.5}) == derive_seed(4, "trial", '{"a":0.5,"b":1}')
