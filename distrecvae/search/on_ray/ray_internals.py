"""Touches what is private to Ray, and nothing else does: each touch has a test that fails when Ray changes.

Seen in Ray 2.60. A touch that is not needed any more is deleted here, with its test.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial

import ray
from ray._private import services
from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Trial


@contextmanager
def process_groups_of_their_own() -> Iterator[None]:
    """Keep signals to the driver's process group (`timeout`, batch systems) from Ray's processes.

    They would die while the driver still ends the search, and take it along. They end with the driver all the same.
    """
    original = services.ConsolePopen
    services.ConsolePopen = partial(original, process_group=0)
    try:
        yield
    finally:
        services.ConsolePopen = original


def started_here() -> bool:
    """Tell whether the Ray that this process is connected to is one that it started itself."""
    node = ray._private.worker._global_node
    return node is not None and bool(node.head)


def forgive(trial: Trial) -> None:
    """Let the next death of a trial's process count as its first one."""
    trial.run_metadata.num_failures = 0


def forget(trial: Trial) -> None:
    """Drop what Tune keeps of an ended trial to the end of the search and nobody reads: the ledger has it all.

    That is statistics of every metric (60 kB), its task in four copies, its last result, an answer of its worker that
    was never fetched. Its resources are the same for all trials. The object itself stays in Tune's lists, with its
    number.
    """
    trial.run_metadata.metric_analysis.clear()
    trial.run_metadata.metric_n_steps.clear()
    trial.run_metadata.last_result = {}
    trial.evaluated_params = {}
    trial.config = trial._Trial__unresolved_config = {"task": {"number": trial.config["task"]["number"]}}
    trial._default_result_or_future = None
    trial.placement_group_factory = _one_for_all(trial.placement_group_factory)
    trial._default_placement_group_factory = trial.placement_group_factory


@lru_cache(maxsize=1)
def _one_for_all(resources: PlacementGroupFactory) -> PlacementGroupFactory:
    """Return the first of equal ones."""
    return resources
