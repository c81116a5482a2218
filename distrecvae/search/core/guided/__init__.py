"""A sampler that learns from whole learning curves and from what a pass costs."""

from distrecvae.search.core.guided.sampler import GuidedSampler

__all__ = ["GuidedSampler"]
