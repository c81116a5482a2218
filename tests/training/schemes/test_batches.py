"""Batches: every user once a pass, their interactions counted on the host, room for almost every batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels.sparse import PIECE_PLACES, SparseRows, scatter_sum
from distrecvae.pacing import heard_between_batches
from distrecvae.training.schemes.batches import PLACE_BYTES, Cutter, batch_bytes, item_gradient_bytes
from distrecvae.training.schemes.noise import DRAWN_AT_ONCE, drawn_bytes
from tests.soft_cuda import SoftDevice
from tests.training.schemes.test_alternating import random_train

CPU = torch.device("cpu")


@pytest.mark.parametrize("batch_size", [1, 7, 40, 500])
def test_a_pass_has_every_user_once_and_knows_its_interactions(batch_size: int) -> None:
    train = random_train()
    cutter = Cutter(train, batch_size, CPU)
    order = torch.from_numpy(np.random.default_rng(0).permutation(train.n_users))
    batches = list(cutter.cut(order))
    assert torch.equal(torch.cat([users for users, _ in batches]), order)
    assert len(batches) == cutter.n_batches
    for users, n_interactions in batches:
        assert users.numel() <= batch_size
        assert n_interactions == train.counts()[users.numpy()].sum()


def test_there_is_room_for_almost_every_batch_and_no_more_than_for_the_largest_users() -> None:
    train = random_train(n_users=2000)
    cutter = Cutter(train, 100, CPU)
    sizes = [number for _, number in cutter.cut(torch.arange(2000))]
    assert max(sizes) <= cutter.places() < 2 * np.mean(sizes)
    largest = np.sort(train.counts())[-100:].sum()
    assert Cutter(train, 2000, CPU).places() == train.n_interactions
    assert cutter.places() <= largest


def test_users_without_interactions_leave_room_for_one() -> None:
    nobody = InteractionMatrix.from_pairs([], [], n_users=3, n_items=4)
    assert Cutter(nobody, 2, CPU).places() == 1


def test_whoever_listens_hears_of_each_batch_before_it_comes() -> None:
    train = random_train()
    cutter = Cutter(train, 7, CPU)
    heard: list[tuple[int, int]] = []
    with heard_between_batches(lambda number, of: heard.append((number, of))):
        for number, _ in enumerate(cutter.cut(torch.arange(train.n_users))):
            assert heard[-1] == (number, cutter.n_batches)
            assert len(heard) == number + 1


def test_what_a_gpu_holds_of_batches_grows_with_their_interactions_and_noise() -> None:
    train = random_train()
    without, with_noise = (batch_bytes(train, 8, width) for width in (0, 4))
    places = Cutter(train, 8, torch.device("cpu")).places()
    assert without == PLACE_BYTES * places + drawn_bytes(8, 0, places)
    assert with_noise - without == DRAWN_AT_ONCE * 2 * 4 * 8 * 4, "two blocks of float32 noise"


def test_what_making_a_gradient_of_items_takes_is_counted(soft_device: SoftDevice) -> None:
    train, width = random_train(n_items=2000), 100
    cutter = Cutter(train, 8, torch.device("cuda"))
    users, _ = next(cutter.cut(torch.arange(train.n_users)))
    rows = SparseRows.from_matrix(train, "cuda").take(users, cutter.places(), padded=True)
    dense, out = torch.ones(8, width, device="cuda"), torch.zeros(2000, width, device="cuda")
    soft_device.reset_counts()
    before = soft_device.live_bytes
    scatter_sum(rows, rows.ones(torch.float32), dense, out)
    taken = soft_device.peak_bytes - before
    counted = item_gradient_bytes(train, 8, width)
    assert counted == 4 * width * (2 * 2000 + cutter.places() // PIECE_PLACES)
    # Beside it there are the interactions in order, of which a batch's other bytes tell.
    assert counted <= taken <= counted + PLACE_BYTES * cutter.places()
