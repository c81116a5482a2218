"""A search as its folder describes it, without one that ran. For tests."""

from __future__ import annotations

from pathlib import Path

from distrecvae.data.synthetic import synthetic_split
from distrecvae.search.core.chain import Mark
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.folder.search import Search
from distrecvae.search.folder.search_json import FINISHED, DatasetFacts, Description, PlanFacts, Status
from distrecvae.search.planning.plan import make_plan
from distrecvae.search.planning.resources import Slots
from distrecvae.search.space.space import SearchSpace
from distrecvae.training.device import DeviceFacts

TYPED = "distrecvae search --data 'my data'"


def described(
    config: SearchConfig,
    space: SearchSpace,
    *,
    status: Status = FINISHED,
    rungs: tuple[int, ...] = (),
    data: str = "my data",
) -> Description:
    """Return what `search.json` says of a search with these settings."""
    return Description(
        status=status,
        distrecvae="0.1.0",
        command=TYPED,
        started="2026-11-25T10:00:00+00:00",
        elapsed_s=75.0,
        settings=config,
        data=data,
        space=space.to_dict(),
        warm_start=None,
        dataset=DatasetFacts(
            fingerprint="abc", n_items=1200, train_users=2900, valid_users=60, test_users=60, train_interactions=123456
        ),
        plan=PlanFacts(
            concurrent=1, cpus=1, gpus=0.0, device="cpu", device_name="a CPU", precision="float32", rungs=rungs,
            shared_bytes=1, common_bytes=0, common_lent=False, trial_bytes=1, storage_bytes=1,
        ),
        versions={"python": "3.11", "optuna": "5.0.0"},
        platform="Linux",
        ledger=Mark(),
    )  # fmt: skip


def begun(
    config: SearchConfig, space: SearchSpace, folder: Path, *, data: str = "my data", command: str = TYPED
) -> Search:
    """Return a search in `folder`, where nothing is written; one trial runs at once, on a CPU."""
    split = synthetic_split(n_users=100, n_items=60, seed=2)
    plan = make_plan(config, space, split, Slots(1, 1, 0.0), DeviceFacts("a CPU", "float32", 0))
    return Search(config, space, plan, folder, described(config, space, data=data), command)
