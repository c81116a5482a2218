"""How trials are laid on a cluster: as many as fit on the living nodes, and a word where none does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distrecvae.errors import ResourceError
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.planning.resources import (
    LEAST_PIECE_BYTES,
    PIECE_BYTES,
    Cluster,
    Slots,
    fitting,
    piece_bytes,
    require_store,
    slots_for,
)


def cluster(*nodes: tuple[float, float], joined: bool = False, store: int = 10**9) -> Cluster:
    return Cluster(nodes=nodes, object_store_bytes=store, memory_bytes=10**10, joined=joined)


def test_a_cluster_has_what_its_nodes_have() -> None:
    both = cluster((16.0, 2.0), (4.0, 0.5))
    assert (both.cpus, both.gpus) == (20.0, 2.5)
    assert (cluster().cpus, cluster().gpus) == (0, 0)


def test_a_trial_with_a_part_of_a_gpu_runs_on_it() -> None:
    assert [Slots(1, 1, gpus).device for gpus in (0, 0.25, 2.0)] == ["cpu", "cuda", "cuda"]


class TestFitting:
    @pytest.mark.parametrize(
        ("nodes", "cpus", "gpus", "trials"),
        [
            ([(16.0, 0.0)], 1, 0, 16),
            ([(16.0, 0.0)], 3, 0, 5),
            ([(16.0, 0.0)], 17, 0, 0),
            ([(16.0, 2.0)], 1, 1, 2),  # by its GPUs
            ([(2.0, 8.0)], 1, 1, 2),  # by its CPUs
            ([(16.0, 0.0)], 1, 1, 0),
            ([(16.0, 3.0)], 1, 2, 1),
            ([(3.0, 0.0), (3.0, 0.0)], 2, 0, 2),  # a trial does not span nodes
            ([(8.0, 0.5), (8.0, 0.5)], 1, 1, 0),
            ([(16.0, 2.0), (4.0, 0.0)], 1, 0.5, 4),
            ([(0.5, 0.0)], 1, 0, 0),
            ([], 1, 0, 0),
        ],
    )
    def test_as_many_as_each_node_has_cpus_and_gpus_for(
        self, nodes: list[tuple[float, float]], cpus: int, gpus: float, trials: int
    ) -> None:
        assert fitting(cluster(*nodes), cpus, gpus) == trials

    @pytest.mark.parametrize("parts", range(1, 50))
    def test_an_nth_of_a_gpu_fits_n_times(self, parts: int) -> None:
        """Though in binary 7 / (7 / 25) is less than 25."""
        for gpus in (1, 0.7, 7):
            assert fitting(cluster((10_000.0, float(gpus))), 1, gpus / parts) == parts

    @settings(deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 64), st.integers(0, 8)), max_size=5),
        st.integers(1, 8),
        st.integers(0, 3),
    )
    def test_no_more_and_no_fewer(self, nodes: list[tuple[int, int]], cpus: int, gpus: int) -> None:
        trials = 0
        for left_cpus, left_gpus in nodes:  # put one after another, until nothing is left for a further one
            while left_cpus >= cpus and left_gpus >= gpus:
                left_cpus, left_gpus, trials = left_cpus - cpus, left_gpus - gpus, trials + 1
        assert fitting(cluster(*((float(c), float(g)) for c, g in nodes)), cpus, gpus) == trials


class TestSlots:
    def test_without_a_word_a_trial_has_a_gpu_where_there_are_any(self) -> None:
        assert slots_for(SearchConfig(), cluster((8.0, 1.0))) == Slots(1, 1, 1.0)
        assert slots_for(SearchConfig(), cluster((8.0, 0.0))) == Slots(8, 1, 0.0)
        assert slots_for(SearchConfig(), cluster((2.0, 0.0), (8.0, 1.0))) == Slots(1, 1, 1.0)
        assert slots_for(SearchConfig(gpus_per_trial=0), cluster((8.0, 1.0))) == Slots(8, 1, 0)

    @pytest.mark.parametrize(
        ("asked", "concurrent"),
        [
            ({}, 8),
            ({"concurrent": 3}, 3),
            ({"concurrent": 100}, 8),
            ({"trials": 5}, 5),
            ({"trials": 5, "concurrent": 2}, 2),
            ({"trials": 2, "concurrent": 5}, 2),
            ({"cpus_per_trial": 3}, 2),
        ],
    )
    def test_as_many_at_once_as_fit_as_were_asked_for_and_as_there_are(
        self, asked: dict[str, Any], concurrent: int
    ) -> None:
        slots = slots_for(SearchConfig(**{"trials": 20, **asked}), cluster((8.0, 0.0)))
        assert slots == Slots(concurrent, asked.get("cpus_per_trial", 1), 0.0)

    def test_what_fits_nowhere_is_refused_with_what_there_is(self) -> None:
        config = SearchConfig(cpus_per_trial=9, gpus_per_trial=0.5)
        with pytest.raises(ResourceError) as refusal:
            slots_for(config, cluster((8.0, 2.0), (16.0, 0.0)))
        said = (
            "a trial asks for 9 CPU and 0.5 GPU, and no node has both (at most 16 CPUs, 2 GPUs);"
            " lower --cpus-per-trial or --gpus-per-trial"
        )
        assert str(refusal.value) == said
        with pytest.raises(ResourceError) as refusal:
            slots_for(config, cluster((8.0, 2.0), (16.0, 0.0), joined=True))
        assert str(refusal.value) == f"{said}, or wait for such a node with --elastic"
        with pytest.raises(ResourceError, match=r"1 CPU and 0 GPU, .* \(at most 0 CPUs, 0 GPUs\);"):
            slots_for(SearchConfig(), cluster())

    def test_an_elastic_search_waits_for_what_is_not_there_yet(self) -> None:
        asked: dict[str, Any] = {"elastic": True, "concurrent": 6, "gpus_per_trial": 1, "cpus_per_trial": 4}
        for nodes in ((), ((1.0, 0.0),), ((64.0, 8.0),)):
            assert slots_for(SearchConfig(**asked), cluster(*nodes, joined=True)) == Slots(6, 4, 1)
        assert slots_for(SearchConfig(**asked, trials=2), cluster(joined=True)) == Slots(2, 4, 1)

    def test_nothing_can_join_the_ray_that_a_search_starts_for_itself(self) -> None:
        config = SearchConfig(elastic=True, concurrent=1, gpus_per_trial=0)
        with pytest.raises(ResourceError) as refusal:
            slots_for(config, cluster((8.0, 0.0)))
        assert str(refusal.value) == (
            "--elastic: no nodes can join the Ray that a search starts for itself;"
            " give the cluster's --address, or leave it out"
        )


def test_a_data_set_as_large_as_the_object_store_fits_and_a_larger_one_is_refused() -> None:
    store = 3 << 20
    require_store(store, cluster(store=store))
    with pytest.raises(ResourceError) as refusal:
        require_store((2000 << 20) + 1, cluster(store=store))
    assert str(refusal.value) == (
        "the data set takes 2,000 MiB and Ray's object store has 3 MiB; give /dev/shm more room"
        " (docker: --shm-size) or start Ray with a larger --object-store-memory"
    )
    with pytest.raises(ResourceError):
        require_store(store + 1, cluster(store=store))


def test_states_travel_in_pieces_that_leave_the_data_its_room() -> None:
    # A docker container's /dev/shm has 64 MB: a piece of eight states at once would have pushed the data out.
    assert piece_bytes(cluster(store=10**11), 10**9, 8) == PIECE_BYTES
    little = cluster(store=64 << 20)
    assert piece_bytes(little, 16 << 20, 8) == 3 << 20
    assert 8 * piece_bytes(little, 16 << 20, 8) <= (48 << 20) // 2
    assert piece_bytes(little, 64 << 20, 8) == LEAST_PIECE_BYTES, (
        "it continues, slowly, where there is no room at all"
    )


def test_idle_cores_are_named() -> None:
    # EASE with --concurrent 1 solved on one core of two; the plan says what uses the other one.
    for asked, nodes, share in (
        ({"concurrent": 1}, [(8.0, 0.0)], 8),
        ({"concurrent": 3}, [(8.0, 0.0)], 2),
        ({}, [(8.0, 0.0)], 1),
        ({"concurrent": 1}, [(8.0, 0.0), (8.0, 0.0)], 0),
        ({"concurrent": 1}, [(8.0, 1.0)], 0),
    ):
        assert slots_for(SearchConfig(**asked), cluster(*nodes)).share == share  # type: ignore[arg-type]
