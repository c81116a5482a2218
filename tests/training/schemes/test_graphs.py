"""Recorded steps: when a step is recorded, when replayed, when neither. On a GPU, or on the soft device."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any, NamedTuple

import pytest
import torch

from distrecvae.training.schemes import graphs
from distrecvae.training.schemes.alternating import AlternatingTrainer
from distrecvae.training.schemes.graphs import SWITCH, WARM_UP, Recorder, not_recorded
from tests.soft_cuda import SoftDevice
from tests.training.schemes.test_alternating import SMALL, random_train

CUDA = torch.device("cuda")


class Given(NamedTuple):
    value: torch.Tensor
    factor: torch.Tensor | None
    width: int


def given(value: float, factor: float | None = None, device: torch.device = CUDA) -> Given:
    scale = None if factor is None else torch.full((), factor, device=device)
    return Given(torch.full((3,), value, device=device), scale, 3)


class Sums:
    """A step that adds what it is given to a sum for each kind; it knows how often Python ran it."""

    def __init__(self, device: torch.device = CUDA) -> None:
        self.sums = {kind: torch.zeros(3, device=device) for kind in ("a", "b")}
        self.runs: list[str] = []

    def __call__(self, given: Given, kind: object) -> None:
        self.runs.append(str(kind))
        term = given.value * given.width
        self.sums[str(kind)] += term if given.factor is None else term * given.factor

    def total(self, kind: str = "a") -> float:
        return float(self.sums[kind].sum())


@pytest.fixture(autouse=True)
def nothing_failed_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "_failed", [])


def taken(recorder: Recorder[Given], values: list[float], kinds: str = "a", *, fixed: bool = True) -> None:
    with recorder.running():
        for value in values:
            for kind in kinds:
                recorder.take(given(value), kind, fixed=fixed)


def test_on_a_cpu_every_step_runs_as_it_is() -> None:
    cpu = torch.device("cpu")
    step = Sums(cpu)
    recorder = Recorder[Given](step, cpu)
    with recorder.running():
        for value in range(WARM_UP + 5):
            recorder.take(given(value, device=cpu), "a", fixed=True)
    assert len(step.runs) == WARM_UP + 5
    assert step.total() == 9 * sum(range(WARM_UP + 5))


@pytest.mark.cuda
class TestOnAGPU:
    def test_a_step_is_warmed_up_then_recorded_once_and_replayed(self) -> None:
        step = Sums()
        recorder = Recorder[Given](step, CUDA)
        taken(recorder, [float(n) for n in range(WARM_UP + 4)])
        assert len(step.runs) == WARM_UP + 1, "recording calls the step once, and takes none"
        assert step.total() == 9 * sum(range(WARM_UP + 4))

    def test_nothing_is_recorded_or_replayed_where_that_is_asked_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        step = Sums()
        recorder = Recorder[Given](step, CUDA)
        with not_recorded():
            taken(recorder, [1.0] * (WARM_UP + 3))
        assert len(step.runs) == WARM_UP + 3
        monkeypatch.setenv(SWITCH, "0")
        taken(recorder, [1.0] * (WARM_UP + 3))
        assert len(step.runs) == 2 * (WARM_UP + 3)
        monkeypatch.delenv(SWITCH)
        taken(recorder, [1.0] * (WARM_UP + 3))
        assert len(step.runs) == 3 * WARM_UP + 7, "recorded now: warmed up, and run once more to be recorded"
        with not_recorded():
            taken(recorder, [1.0])
        assert len(step.runs) == 3 * WARM_UP + 8, "what was recorded is not replayed either"
        assert step.total() == 9 * (3 * WARM_UP + 10)

    def test_each_kind_of_step_is_recorded_for_itself(self) -> None:
        step = Sums()
        taken(Recorder[Given](step, CUDA), [float(n) for n in range(WARM_UP + 3)], "ab")
        assert step.runs == ["a", "b"] * (WARM_UP + 1)
        assert step.total("a") == step.total("b") == 9 * sum(range(WARM_UP + 3))

    def test_graphs_share_one_pool_of_memory(self, cuda_device: SoftDevice | None) -> None:
        # Three private pools were a hundred MiB a trial at 20,000 items, for graphs that never run at once.
        recorder = Recorder[Given](Sums(), CUDA)
        taken(recorder, [1.0] * (WARM_UP + 2), "ab")
        pools = {recorder._recorded[kind].graph.pool() for kind in "ab"}
        assert len(pools) == 1
        if cuda_device is not None:
            assert len(cuda_device.captures) == 2

    def test_steps_of_other_shapes_run_as_they_are_and_warm_nothing_up(self) -> None:
        step = Sums()
        recorder = Recorder[Given](step, CUDA)
        taken(recorder, [1.0] * (WARM_UP + 3), fixed=False)
        assert len(step.runs) == WARM_UP + 3
        taken(recorder, [1.0])
        assert len(step.runs) == WARM_UP + 4
        assert step.total() == 9 * (WARM_UP + 4)

    def test_a_record_reads_all_that_is_given_and_leaves_the_callers_alone(self) -> None:
        step = Sums()
        recorder = Recorder[Given](step, CUDA)
        batches = [given(float(n), n / 4) for n in range(WARM_UP + 3)]
        with recorder.running():
            for batch in batches:
                recorder.take(batch, "a", fixed=True)
        assert step.total() == sum(9 * n * n / 4 for n in range(WARM_UP + 3))
        assert [float(batch.value[0]) for batch in batches] == list(range(WARM_UP + 3)), "it was written to"

    def test_where_recording_fails_all_of_the_process_runs_as_it_is_and_it_is_said_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Waiting(Sums):
            def __call__(self, given: Given, kind: object) -> None:
                float(given.value[0])  # which a capture forbids
                super().__call__(given, kind)

        with caplog.at_level(logging.WARNING):
            for _ in range(
                2
            ):  # a second trainer does not try: the allocator would keep what a failed capture took
                step = Waiting()
                taken(Recorder[Given](step, CUDA), [float(n) for n in range(WARM_UP + 3)], "ab")
                assert step.total("a") == step.total("b") == 9 * sum(range(WARM_UP + 3))
        said = [record.getMessage() for record in caplog.records]
        assert len(said) == 1
        assert said[0].startswith("CUDA graphs do not work here (")
        assert said[0].endswith("); training continues without")

    @pytest.mark.parametrize(
        "settings", [{}, {"gamma": None, "beta": 0.5, "anneal_updates": 100}], ids=["rescaled", "annealed"]
    )
    def test_recorded_steps_give_what_steps_that_are_not_recorded_give_to_the_bit(
        self, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # An annealed weight of the KL term changes from step to step: a number of the host would be frozen.
        config = dataclasses.replace(SMALL, **settings)

        def trained() -> dict[str, torch.Tensor]:
            trainer = AlternatingTrainer(config, random_train(), seed=1, device="cuda")
            for _ in range(3):
                trainer.step()
            return trainer.state_dict()

        recorded = trained()
        monkeypatch.setattr(graphs, "WARM_UP", 10**9)
        for name, value in trained().items():
            assert torch.equal(recorded[name], value), name
