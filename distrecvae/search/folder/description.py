"""Describes a search when it begins, and refuses to resume another one than was described."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from distrecvae import __version__
from distrecvae.data.dataset import Split
from distrecvae.errors import ResultsError
from distrecvae.search.core.chain import Mark
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.folder.data_place import absolute
from distrecvae.search.folder.search_json import RUNNING, DatasetFacts, Description, PlanFacts, WarmStart
from distrecvae.search.planning.plan import Plan
from distrecvae.search.space.space import SearchSpace

_REPORTED_VERSIONS = ("ray", "optuna", "torch", "numpy", "scipy", "pandas", "pyarrow")


def describe(
    config: SearchConfig,
    space: SearchSpace,
    split: Split,
    plan: Plan,
    *,
    folder: Path,
    data: str,
    command: str,
    warm: WarmStart | None,
) -> Description:
    """Return the description of a search that begins now.

    Args:
        config: its settings.
        space: what is searched.
        split: the data set.
        plan: how it is carried out.
        folder: the results folder.
        data: where the data set lies.
        command: what was typed.
        warm: what it takes over from another search.
    """
    return Description(
        status=RUNNING,
        distrecvae=__version__,
        command=command,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        elapsed_s=0.0,
        settings=config,
        data=absolute(data),
        space=space.to_dict(),
        dataset=DatasetFacts(
            fingerprint=split.fingerprint,
            n_items=split.n_items,
            train_users=split.train.n_users,
            valid_users=split.valid.n_users,
            test_users=split.test.n_users,
            train_interactions=split.train.n_interactions,
        ),
        plan=_facts(plan),
        warm_start=warm,
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in _REPORTED_VERSIONS},
        },
        platform=platform.platform(),
        ledger=Mark(),
        begun_in=str(Path.cwd()),
        results=absolute(str(folder)),
    )


def _facts(plan: Plan) -> PlanFacts:
    return PlanFacts(
        concurrent=plan.slots.concurrent,
        cpus=plan.slots.cpus,
        gpus=plan.slots.gpus,
        device=plan.slots.device,
        device_name=plan.facts.name,
        precision=plan.precision,
        rungs=plan.rule.rungs(0),
        shared_bytes=plan.shared_bytes,
        common_bytes=plan.common_bytes,
        common_lent=plan.lent,
        trial_bytes=plan.trial_bytes,
        storage_bytes=plan.storage_bytes,
    )


def check_same(
    described: Description, config: SearchConfig, space: SearchSpace, split: Split, folder: Path
) -> None:
    """Refuse to resume a search with other settings than it was started with.

    Raises:
        ResultsError: a setting that must not change, the space or the data set differs.
    """
    begun = described.settings.fixed_part()
    for name, value in config.fixed_part().items():
        if value != begun[name]:
            raise ResultsError(
                f"{folder} was started with {name}={begun[name]!r}, now it is {value!r};"
                " resume with the same settings or start over in another folder"
            )
    searched = space.to_dict()
    parts = ("model", "parameters", "base", "likely")
    if any(described.space.get(part) != searched.get(part) for part in parts):
        raise ResultsError(
            f"{folder} was started with another search space; resume with the same one, or start over"
        )
    if described.dataset.fingerprint != split.fingerprint:
        raise ResultsError(
            f"{folder} was started on a data set with fingerprint {described.dataset.fingerprint}, this one has"
            f" {split.fingerprint}; resume with the same data, or start over"
        )
    if config.trials < described.settings.trials:
        raise ResultsError(
            f"--trials {config.trials} is below the {described.settings.trials} that {folder} was started with;"
            " a resumed search may only grow"
        )
