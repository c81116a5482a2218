"""The timing of a data pass where trials run: in a worker with a trial's resources, unless that is here."""

from __future__ import annotations

import ray

from distrecvae.data.dataset import Split
from distrecvae.errors import ResourceError
from distrecvae.runs.timing import seconds_of_passes, some_users
from distrecvae.search.planning.plan import Plan
from distrecvae.search.planning.resources import Cluster


def time_a_pass(plan: Plan, split: Split, cluster: Cluster) -> float | None:
    """Return the seconds that a pass of the plan's first trial takes, evaluation included, alone on its device.

    None for a model that is not trained in batches.

    Raises:
        ResourceError: the worker could not train.
        DivergedError: a loss is not finite.
    """
    model, config = plan.config.model, plan.space.default_config()
    some = some_users(model, config, split.train, split.valid)
    if some is None:
        return None
    train, valid = some
    given = (model, config, train, valid, plan.config.scored)
    how = {"device": plan.slots.device, "precision": plan.precision, "threads": plan.slots.cpus}
    if not plan.slots.gpus and not cluster.joined:
        train_s, evaluate_s = seconds_of_passes(*given, **how)  # type: ignore[arg-type]
    else:
        asked = ray.remote(max_calls=1, num_cpus=plan.slots.cpus, num_gpus=plan.slots.gpus)(seconds_of_passes)
        try:
            train_s, evaluate_s = ray.get(asked.remote(*given, **how))
        except ray.exceptions.RayError as error:
            raise ResourceError(f"a worker could not train: {' '.join(str(error).split())[:200]}") from None
    return float(
        train_s * split.train.n_users / train.n_users + evaluate_s * split.valid.n_scored / valid.n_users
    )
