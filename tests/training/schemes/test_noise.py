"""Random values are a function of the seed and the place: nothing of them has to be saved, and no two places share."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from distrecvae.kernels.layers import Draws
from distrecvae.training.schemes.noise import CountedNoise, Noise, Place, PlacedNoise, drawn_bytes

CPU = torch.device("cpu")
PLACES = [Place(*coordinates) for coordinates in product(range(3), range(3), range(3))]


def noise(seed: int = 1) -> Noise:
    return CountedNoise(seed, CPU)


def drawn(source: Noise, place: Place) -> list[tuple[float, ...]]:
    return [
        tuple(source.order(place, 30).tolist()),
        tuple(source.kept(place, 64, 0.5).tolist()),
        tuple(source.normal(place, (4, 3), torch.float32).flatten().tolist()),
    ]


def test_the_same_seed_and_place_give_the_same_in_any_order() -> None:
    there, back = noise(), noise()
    forward = [drawn(there, place) for place in PLACES]
    backward = [drawn(back, place) for place in reversed(PLACES)]
    assert forward == backward[::-1]


def test_no_two_places_share_a_draw_but_an_order_is_a_passs() -> None:
    orders, kept, normal = (set(column) for column in zip(*(drawn(noise(), p) for p in PLACES), strict=True))
    assert len(kept) == len(normal) == len(PLACES)
    assert len(orders) == 9, "batches of one pass have one order"


def test_another_seed_draws_something_else() -> None:
    place = Place(0, 0, 0)
    assert all(
        one != other for one, other in zip(drawn(noise(1), place), drawn(noise(2), place), strict=True)
    )


def test_an_order_has_every_user_once() -> None:
    order = noise().order(Place(0, 0, 0), 100)
    assert order.dtype == torch.int64
    assert sorted(order.tolist()) == list(range(100))
    assert order.tolist() != list(range(100))
    assert noise().order(Place(0, 0, 0), 0).numel() == 0


@pytest.mark.parametrize("dropout", [0.0, 0.2, 0.9])
def test_interactions_are_kept_with_the_chance_that_is_left(dropout: float) -> None:
    n = 40_000
    kept = noise().kept(Place(0, 1, 2), n, dropout)
    assert kept.dtype == torch.bool
    # Six deviations of a binomial's mean: none at all where nothing is dropped.
    assert abs(float(kept.double().mean()) - (1 - dropout)) <= 6 * np.sqrt(dropout * (1 - dropout) / n)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_is_standard_normal(dtype: torch.dtype) -> None:
    n = 40_000
    eps = noise().normal(Place(0, 1, 2), (n // 4, 4), dtype)
    assert (eps.dtype, tuple(eps.shape)) == (dtype, (n // 4, 4))
    assert abs(float(eps.mean())) <= 6 / np.sqrt(n)
    assert abs(float(eps.var()) - 1) <= 6 * np.sqrt(2 / n)
    assert abs(float((eps[:, 0] * eps[:, 1]).mean())) <= 6 / np.sqrt(n // 4), "columns are independent"


def test_the_generator_that_everyone_shares_is_left_alone() -> None:
    before = torch.get_rng_state()
    drawn(noise(), Place(0, 0, 0))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_draws_what_its_place_gives_without_knowing_where_it_is() -> None:
    place = Place(3, 1, 2)
    placed: Draws = PlacedNoise(noise(), place)
    assert torch.equal(placed.kept(50, 0.3), noise().kept(place, 50, 0.3))
    assert torch.equal(placed.normal((5, 2), torch.float64), noise().normal(place, (5, 2), torch.float64))
    elsewhere = PlacedNoise(noise(), Place(3, 1, 1))
    assert not torch.equal(placed.kept(50, 0.3), elsewhere.kept(50, 0.3))


@pytest.mark.cuda
def test_it_is_drawn_on_the_device_that_trains() -> None:
    source, place = CountedNoise(1, torch.device("cuda")), Place(0, 0, 0)
    assert source.kept(place, 9, 0.5).is_cuda
    assert source.normal(place, (3, 2), torch.float32).is_cuda
    assert torch.equal(source.order(place, 30).cpu(), noise().order(place, 30))


@pytest.mark.cuda
def test_draws_made_ahead_take_what_is_said() -> None:
    source = CountedNoise(1, torch.device("cuda"))
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    for pass_ in range(3):  # the old ones lie there while new ones are drawn
        source.normal(Place(0, pass_, 0), (50, 20), torch.float32)
        source.kept(Place(0, pass_, 0), 3000, 0.5)
    measured = torch.cuda.max_memory_allocated() - before
    assert 0.5 * drawn_bytes(50, 20, 3000) <= measured <= drawn_bytes(50, 20, 3000)
