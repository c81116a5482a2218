"""One copy of the data on a machine, whatever the number of workers: the promise of the object store, measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import psutil
import pytest
import ray

from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.shared import SharedData, dataset_bytes, from_shared, shared_arrays
from distrecvae.errors import ResourceError
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.on_ray.session import lend, ray_session
from distrecvae.search.planning.resources import Cluster, Slots, slots_for
from tests.sites import ray_folder

N_WORKERS = 3
N_ITEMS, PER_USER = 20_000, 500


def matrix(n_users: int) -> InteractionMatrix:
    """Users with 500 items each, evenly spaced."""
    row = np.arange(0, N_ITEMS, N_ITEMS // PER_USER, dtype=np.int32)
    shift = np.arange(n_users, dtype=np.int32)[:, None] % (N_ITEMS // PER_USER)
    indptr = np.arange(0, n_users * PER_USER + 1, PER_USER, dtype=np.int64)
    return InteractionMatrix(indptr, (row + shift).ravel(), N_ITEMS)


def split(n_users: int) -> Split:
    few = HeldOutUsers(matrix(2), InteractionMatrix.from_pairs([], [], n_users=2, n_items=N_ITEMS))
    return Split(matrix(n_users), few, few, np.arange(n_users + 4), np.arange(N_ITEMS))


def memory() -> tuple[int, int]:
    """Return this process's unique and proportional memory, bytes."""
    info = psutil.Process().memory_full_info()
    return info.uss, info.pss


class Reader:
    """A worker that maps the data set and reads every byte of it."""

    def __init__(self) -> None:
        self.kept: Any = None

    def read(self, data: SharedData) -> tuple[int, int]:
        before, _ = memory()
        train, valid = from_shared(data)
        assert int(train.indices.sum(dtype=np.int64)) > 0
        assert int(train.indptr[-1]) == train.n_interactions
        self.kept = (train, valid)
        return before, memory()[0]

    def shared(self) -> int:
        """Return the bytes of this worker's share of what several processes map."""
        uss, pss = memory()
        return pss - uss


@pytest.mark.ray
def test_workers_map_the_data_set_without_copying_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(ray_folder()))
    data = split(100_000)
    size = dataset_bytes(data)
    assert size >= 200_000_000
    with ray_session(None) as cluster:
        reference = lend(data, cluster)
        remote_reader = ray.remote(num_cpus=0.1)(Reader)
        workers = [remote_reader.remote() for _ in range(N_WORKERS)]
        own = ray.get([worker.read.remote(reference) for worker in workers])
        shares = ray.get([worker.shared.remote() for worker in workers])
    for before, after in own:
        assert after - before < 0.05 * size, "a worker has a copy of its own"
    # Each of them holds its part of one copy, the store's process the rest.
    assert sum(shares) > 0.5 * size * N_WORKERS / (N_WORKERS + 1)


def test_a_data_set_beyond_the_object_store_is_refused() -> None:
    # Ray would put it into files on disk, slowly and without a word.
    small = Cluster(nodes=((2.0, 0.0),), object_store_bytes=1_000_000, memory_bytes=10**9)
    with pytest.raises(ResourceError, match=r"object store has 1 MiB.*--shm-size"):
        lend(split(1000), small)


def test_slots_fill_every_node_and_respect_fractions() -> None:
    cluster = Cluster(nodes=((16.0, 2.0), (4.0, 0.0)), object_store_bytes=10**9, memory_bytes=10**10)
    assert slots_for(SearchConfig(), cluster) == Slots(2, 1, 1.0), "a GPU each where there are GPUs"
    assert slots_for(SearchConfig(gpus_per_trial=0.25), cluster) == Slots(8, 1, 0.25)
    assert slots_for(SearchConfig(gpus_per_trial=0, cpus_per_trial=2), cluster) == Slots(10, 2, 0)
    assert slots_for(SearchConfig(gpus_per_trial=0, concurrent=3), cluster).concurrent == 3
    assert slots_for(SearchConfig(gpus_per_trial=0, trials=5), cluster).concurrent == 5
    with pytest.raises(ResourceError, match="no node has both"):
        slots_for(SearchConfig(gpus_per_trial=1, cpus_per_trial=17), cluster)


def test_the_shared_arrays_hold_no_test_user() -> None:
    names = set(shared_arrays(split(10)))
    assert names == {"n_items"} | {
        f"{p}/{a}" for p in ("train", "fold_in", "held_out") for a in ("indptr", "indices")
    }
