"""Recorded steps: when a step is recorded, when replayed, when neither; the record itself needs a GPU."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from distrecvae.training.schemes import graphs
from distrecvae.training.schemes.alternating import AlternatingTrainer
from distrecvae.training.schemes.batches import Batch
from distrecvae.training.schemes.graphs import WARM_UP, GraphedUpdate
from distrecvae.training.schemes.update import Sides
from tests.training.schemes.test_alternating import SMALL, random_train

ENCODER, DECODER = Sides(True, False, True), Sides(False, True, False)
SHAPE = (2, 5)


def batch_of(*users: int, n_places: int = 5, beta: float | None = None) -> Batch:
    return Batch(
        users=torch.tensor(users),
        kept=torch.ones(n_places, dtype=torch.bool),
        noise=torch.full((len(users), 1), float(users[0])),
        beta=None if beta is None else torch.tensor(beta),
        n_places=n_places,
        padded=True,
    )


class Stream:
    """As much of a CUDA stream as ordering takes: what waited for what."""

    def __init__(self, device: Any = None) -> None:
        self.device, self.waited = device, 0

    def wait_stream(self, other: Stream) -> None:  # noqa: ARG002
        self.waited += 1


class Graph:
    """A recorded step: what it read and where it writes."""

    def __init__(self) -> None:
        self.batch: Batch | None = None
        self.losses = torch.zeros(())

    def replay(self) -> None:
        assert self.batch is not None
        Step.replayed += 1
        self.losses.copy_(loss_of(self.batch))


def loss_of(batch: Batch) -> torch.Tensor:
    beta = torch.zeros(()) if batch.beta is None else batch.beta
    return batch.users.sum() + 100 * batch.noise.sum() + 10_000 * beta


class Step:
    """The update: counts how often it was run as it is, and takes no step while it is being recorded."""

    recording: Graph | None = None
    replayed = 0

    def __init__(self, *, breaks: bool = False) -> None:
        self.plain: list[Sides] = []
        self.recorded: list[Sides] = []
        self._breaks = breaks

    def __call__(self, batch: Batch, sides: Sides) -> torch.Tensor:
        graph = Step.recording
        if graph is None:
            self.plain.append(sides)
            return loss_of(batch)
        if self._breaks:
            raise RuntimeError(
                "operation not permitted when stream is capturing\nCUDA kernel errors might ..."
            )
        self.recorded.append(sides)
        graph.batch = batch
        return graph.losses


@pytest.fixture(autouse=True)
def no_gpu_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put what records and replays in CUDA's place."""

    @contextmanager
    def recorded(graph: Graph, stream: Stream) -> Iterator[None]:
        Step.recording = graph
        try:
            yield
        finally:
            Step.recording = None

    @contextmanager
    def on(stream: Stream) -> Iterator[None]:
        yield

    if not torch.cuda.is_available():
        callers = Stream()
        monkeypatch.setattr(torch.cuda, "Stream", Stream)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda _device: callers)
        monkeypatch.setattr(torch.cuda, "stream", on)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
        monkeypatch.setattr(torch.cuda, "graph", recorded)
        monkeypatch.setattr(Step, "replayed", 0)


def graphed(step: Step) -> GraphedUpdate:
    return GraphedUpdate(step, torch.device("cuda"), SHAPE)


only_without_a_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU records for itself")


@only_without_a_gpu
def test_a_step_is_warmed_up_then_recorded_once_and_replayed() -> None:
    step = Step()
    update = graphed(step)
    losses = [float(update(batch_of(n, n + 1), ENCODER)) for n in range(WARM_UP + 4)]
    assert losses == [float(loss_of(batch_of(n, n + 1))) for n in range(WARM_UP + 4)]
    assert step.plain == [ENCODER] * WARM_UP
    assert step.recorded == [ENCODER]
    assert Step.replayed == 4, "recording takes no step: the same batch is replayed"


@only_without_a_gpu
def test_each_kind_of_step_is_recorded_for_itself() -> None:
    step = Step()
    update = graphed(step)
    for n in range(WARM_UP + 2):
        for sides in (ENCODER, DECODER):
            batch = batch_of(n, 7)
            assert float(update(batch, sides)) == float(loss_of(batch))
    assert step.plain == [ENCODER, DECODER] * WARM_UP
    assert step.recorded == [ENCODER, DECODER]


@only_without_a_gpu
def test_batches_of_other_shapes_run_as_they_are_and_warm_nothing_up() -> None:
    step = Step()
    update = graphed(step)
    for _ in range(WARM_UP + 2):
        update(batch_of(1), ENCODER)
        update(batch_of(1, 2, n_places=6), ENCODER)
    assert step.recorded == []
    update(batch_of(1, 2), ENCODER)
    assert step.recorded == []
    assert len(step.plain) == 2 * (WARM_UP + 2) + 1


@only_without_a_gpu
def test_a_record_reads_all_of_a_batch_and_leaves_the_callers_alone() -> None:
    step = Step()
    update = graphed(step)
    first = [batch_of(n, 1, beta=n / 10) for n in range(WARM_UP + 1)]
    for batch in first:
        update(batch, ENCODER)
    later = batch_of(50, 60, beta=0.75)
    assert float(update(later, ENCODER)) == float(loss_of(later))
    assert first[-1].users.tolist() == [WARM_UP, 1], "the batch that was recorded was written to"


@only_without_a_gpu
def test_losses_are_the_callers_to_keep() -> None:
    update = graphed(Step())
    for _ in range(WARM_UP):
        update(batch_of(0, 0), ENCODER)
    kept = update(batch_of(1, 1), ENCODER)
    before = float(kept)
    update(batch_of(2, 2), ENCODER)
    assert float(kept) == before


@only_without_a_gpu
def test_where_recording_fails_everything_runs_as_it_is_and_it_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    step = Step(breaks=True)
    update = graphed(step)
    with caplog.at_level(logging.WARNING):
        for n in range(WARM_UP + 3):
            for sides in (ENCODER, DECODER):
                batch = batch_of(n, 7)
                assert float(update(batch, sides)) == float(loss_of(batch))
    assert len(step.plain) == 2 * (WARM_UP + 3)
    assert [record.getMessage() for record in caplog.records] == [
        "CUDA graphs do not work here (operation not permitted when stream is capturing); training goes on without"
    ]


@only_without_a_gpu
def test_a_step_is_ordered_with_the_callers_stream_before_and_after() -> None:
    update = graphed(Step())
    update(batch_of(1), ENCODER)
    callers: Any = torch.cuda.current_stream(None)
    assert update._stream.waited == callers.waited == 1  # type: ignore[attr-defined]


@pytest.mark.cuda
def test_recorded_steps_give_what_steps_that_are_not_recorded_give(monkeypatch: pytest.MonkeyPatch) -> None:
    def trained() -> dict[str, torch.Tensor]:
        trainer = AlternatingTrainer(SMALL, random_train(), seed=1, device="cuda")
        for _ in range(3):
            trainer.step()
        return trainer.state_dict()

    recorded = trained()
    monkeypatch.setattr(graphs, "WARM_UP", 10**9)
    for name, value in trained().items():
        torch.testing.assert_close(recorded[name], value, rtol=1e-4, atol=1e-5, msg=name)
