"""Estimates a plan's time and cost: from an earlier search, from some batches, from the cluster's price."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from distrecvae.data.dataset import Split
from distrecvae.errors import DivergedError, ResourceError, ResultsError
from distrecvae.metrics import on_validation
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import read_records
from distrecvae.search.folder.search_json import read_description
from distrecvae.search.on_ray.timing import time_a_pass
from distrecvae.search.planning.cost import Timing, price_on_head, timing_of
from distrecvae.search.planning.plan import Plan
from distrecvae.search.planning.resources import Cluster
from distrecvae.training import registry


def timed(plan: Plan, split: Split, cluster: Cluster) -> Timing | None:
    """Return how long passes take here, by some batches; None for models without any, or that do not fit."""
    try:
        pass_s = time_a_pass(plan, split, cluster)
    except (ResourceError, DivergedError):
        return None  # the search itself says why
    return None if pass_s is None else plan.expected(pass_s, "some batches of the first trial, timed alone")


def timing_like(folder: Path, model: str) -> Timing:
    """Return what passes took in an earlier search.

    Raises:
        ResultsError: it is not a search, it is another model's, or none of its trials was timed.
    """
    described = read_description(folder, remedy="give --like-search the results folder of a search")
    if described.settings.model != model:
        raise ResultsError(
            f"{folder} is a search of {described.settings.model}, this one is of {model}; --like-search takes the same"
            " model's"
        )
    passes = 1 if registry.solved_at_once(model) else described.settings.most_passes
    records = read_records(folder, on_validation(described.settings.metric)).values()
    timing = timing_of(records, passes, f"passes as in {folder}")
    if timing is None:
        raise ResultsError(f"no trial of {folder} has ended; leave out --like-search, or give another search")
    return timing


def priced(config: SearchConfig) -> SearchConfig:
    """Return the settings with the price in the cluster's file, where the search joins one and names no other."""
    if config.price_per_hour is not None or config.address is None:
        return config
    return replace(config, price_per_hour=price_on_head())
