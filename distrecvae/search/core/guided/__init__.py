"""A sampler that learns from whole learning curves and from what a pass costs, and what it thinks of stopped trials."""

from distrecvae.search.core.guided.reviving import worth_reviving
from distrecvae.search.core.guided.sampler import GuidedSampler

__all__ = ["GuidedSampler", "worth_reviving"]
