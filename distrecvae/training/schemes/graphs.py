"""Owns CUDA graphs of optimizer steps: at these sizes a GPU computes a step faster than Python can ask for its parts.

A step of fixed shapes is run a few times as it is, then recorded once a kind and replayed: one launch instead of
hundreds. Batches of other shapes (a pass's last one) run as they are. Where recording fails, everything does.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import torch

from distrecvae.training.schemes.batches import Batch
from distrecvae.training.schemes.update import Sides

WARM_UP = 3
"""Steps of a kind before it is recorded: libraries choose their algorithms and make their workspaces meanwhile."""

_log = logging.getLogger(__name__)


class _Recorded(NamedTuple):
    graph: torch.cuda.CUDAGraph
    batch: Batch
    losses: torch.Tensor


class GraphedUpdate:
    """An update that is recorded and replayed on a CUDA device.

    All of it runs on one side stream, as recording demands, ordered with the caller's stream before and after.

    Args:
        update: the step: a batch and what is trained to summed losses.
        device: a CUDA device.
        shape: (n_rows, n_places) of the batches that are recorded.
    """

    def __init__(
        self, update: Callable[[Batch, Sides], torch.Tensor], device: torch.device, shape: tuple[int, int]
    ) -> None:
        self._update, self._shape = update, shape
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._steps: Counter[Sides] = Counter()
        self._recorded: dict[Sides, _Recorded] = {}
        self._works = True

    def __call__(self, batch: Batch, sides: Sides) -> torch.Tensor:
        """Take one step; return what the update returns."""
        callers = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(callers)
        with torch.cuda.stream(self._stream):
            losses = self._step(batch, sides)
        callers.wait_stream(self._stream)
        return losses

    def _step(self, batch: Batch, sides: Sides) -> torch.Tensor:
        if (batch.users.numel(), batch.n_places) != self._shape or not self._works:
            return self._update(batch, sides)
        self._steps[sides] += 1
        if self._steps[sides] <= WARM_UP:
            return self._update(batch, sides)
        if sides not in self._recorded and not self._record(batch, sides):
            return self._update(batch, sides)
        recorded = self._recorded[sides]
        for place, value in zip(recorded.batch, batch, strict=True):
            if isinstance(place, torch.Tensor) and isinstance(value, torch.Tensor):
                place.copy_(value)
        recorded.graph.replay()
        return recorded.losses.clone()

    def _record(self, batch: Batch, sides: Sides) -> bool:
        """Record the step, which takes none; return whether that worked."""
        copies = batch._replace(
            users=batch.users.clone(),
            kept=None if batch.kept is None else batch.kept.clone(),
            noise=batch.noise.clone(),
            beta=None if batch.beta is None else batch.beta.clone(),
        )
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                losses = self._update(copies, sides)
        except RuntimeError as error:
            self._works = False
            _log.warning(
                "CUDA graphs do not work here (%s); training goes on without", str(error).split("\n")[0]
            )
            return False
        self._recorded[sides] = _Recorded(graph, copies, losses)
        return True
