"""The trial of a GPU, on the soft device: a sound one is told to be well, and each trouble is found with its remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ResourceError
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.ranking import rank
from distrecvae.search.doctor import gpu
from distrecvae.search.doctor.gpu import Checked, examine_gpu, require_gpu
from distrecvae.training import registry
from distrecvae.training.device import DeviceFacts
from distrecvae.training.schemes import graphs
from distrecvae.training.schemes.alternating import AlternatingTrainer
from distrecvae.training.schemes.update import Update
from tests.soft_cuda import SoftDevice, soft_cuda

SPLIT = synthetic_split(n_users=300, n_items=400, seed=1, held_out_users=60)
CONFIG = RecVAEConfig(hidden_dim=64, latent_dim=16, batch_size=180, encoder_passes=2)
"""One batch a pass, steps of three kinds."""
SUBJECTS = [
    "device", "graphs", "the same again", "not recorded", "resumed", "waits", "memory", "evaluation", "speed",
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is too slow here: the soft device's speed is this machine's."""
    monkeypatch.setattr(gpu, "SLOW_CYCLE_S", None)
    monkeypatch.setattr(gpu, "SLOW_EVALUATION_S", None)
    monkeypatch.setattr(graphs, "_failed", [])


def ill(findings: Iterator[Checked]) -> dict[str, Checked]:
    found = {each.subject: each for each in findings if each.remedy is not None}
    assert all("\n" not in f"{each.text}{each.remedy}" for each in found.values())
    return found


def test_a_sound_gpu_is_well(soft_device: SoftDevice) -> None:
    found = list(examine_gpu(SPLIT, CONFIG))
    assert [each.subject for each in found] == SUBJECTS
    assert [each for each in found if each.remedy is not None] == []
    by_subject = {each.subject: each for each in found}
    assert "bfloat16 products agree with float64" in by_subject["device"].text
    assert by_subject["graphs"].figures["graphs"] == 3
    assert by_subject["waits"].text == "3 in 3 passes, for their losses"
    assert by_subject["memory"].figures["allocated_bytes"] > 1 << 20


def test_where_there_is_no_gpu_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ResourceError, match=r"PyTorch .* finds no GPU here; look at nvidia-smi"):
        require_gpu()
    with pytest.raises(ResourceError, match="no GPU"):
        next(examine_gpu())


@pytest.mark.parametrize(("capability", "remedy"), [((9, 0), True), ((7, 5), False)])
def test_bfloat16_that_should_be_there_and_is_wrong(
    capability: tuple[int, int], remedy: bool, soft_device: SoftDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "device_facts", lambda _: DeviceFacts("a GPU", "float32", 8 << 30))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    found = gpu.of_device()
    assert (found.remedy is not None) is remedy
    assert ("--precision float32" in str(found.remedy)) is remedy


def with_a_host_number_in_each_step(update: Callable[..., Any]) -> Callable[..., Any]:
    """A value that the host works out: a graph keeps the one that it was recorded with."""
    steps = 0

    def step(self: Any, *given: Any) -> Any:
        nonlocal steps
        steps += 1
        losses = update(self, *given)
        with torch.no_grad():
            self._model.decoder.bias.add_(1e-3 * (steps % 5))
        return losses

    return step


def test_a_graph_that_keeps_what_should_change_is_found(
    soft_device: SoftDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Update, "__call__", with_a_host_number_in_each_step(Update.__call__))
    found = ill(gpu.of_states(CONFIG, SPLIT.train, "float32"))
    assert "differs by" in found["not recorded"].text
    assert found["not recorded"].figures["furthest"] > 0


def test_a_state_that_is_not_complete_is_found(
    soft_device: SoftDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = AlternatingTrainer.load_state_dict

    def forgetful(self: AlternatingTrainer, state: Any) -> None:
        load(self, {**state, "cycle": torch.tensor(0)})

    monkeypatch.setattr(AlternatingTrainer, "load_state_dict", forgetful)
    assert set(ill(gpu.of_states(CONFIG, SPLIT.train, "float32"))) == {"resumed"}


def test_steps_that_cannot_be_recorded_are_told(
    soft_device: SoftDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = Update.__call__

    def waiting(self: Any, *given: Any) -> Any:
        losses = update(self, *given)
        losses.tolist()
        return losses

    monkeypatch.setattr(Update, "__call__", waiting)
    found = ill(gpu.of_states(CONFIG, SPLIT.train, "float32"))
    assert "no step was recorded (CUDA graphs do not work here" in found["graphs"].text
    assert set(ill(iter([gpu.of_waits(CONFIG, SPLIT.train, "float32")]))) == {"waits"}


def test_a_wait_is_found_with_its_place(soft_device: SoftDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = AlternatingTrainer._batch

    def waiting(self: AlternatingTrainer, *given: Any, **named: Any) -> Any:
        self._totals.sum().item()
        return batch(self, *given, **named)

    monkeypatch.setattr(AlternatingTrainer, "_batch", waiting)
    found = gpu.of_waits(CONFIG, SPLIT.train, "float32")
    assert found.remedy is not None
    assert found.text.startswith("6 in 3 passes, among them alternating.py:")


def test_memory_beyond_its_estimate_is_found(
    soft_device: SoftDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "memory_bytes", lambda *_, **__: (1 << 20, 0))
    found = gpu.of_memory("recvae", CONFIG, SPLIT.train, "float32")
    assert "--gpus-per-trial" in str(found.remedy)
    assert "of 1 MiB estimated" in found.text


def test_ranks_that_are_not_the_cpus_are_found(
    soft_device: SoftDevice, monkeypatch: pytest.MonkeyPatch
) -> None:

    def untidy(scores: torch.Tensor, *given: Any) -> Any:
        there, items = scores.is_cuda, rank(scores, *given)
        return np.concatenate([items[:1, ::-1], items[1:]]) if there else items

    monkeypatch.setattr(gpu, "rank", untidy)
    model = gpu.trained(CONFIG, SPLIT.train, "float32", 1).model
    found = gpu.of_evaluation(model, SPLIT.valid, limit_s=None)
    assert found.remedy is not None
    assert "1 ranked as the CPU does not" in found.text


def test_what_takes_too_long_is_told(soft_device: SoftDevice) -> None:
    model = gpu.trained(CONFIG, SPLIT.train, "float32", 1).model
    assert "nvidia-smi" in str(gpu.of_evaluation(model, SPLIT.valid, limit_s=0.0).remedy)
    assert "throttled" in str(gpu.of_speed(CONFIG, SPLIT.train, "float32", 0.0).remedy)


def test_a_gpu_that_is_full_is_told_for_each_that_was_tried() -> None:
    with soft_cuda(total_bytes=1 << 20):
        found = list(examine_gpu(SPLIT, CONFIG))
    full = [each.subject for each in found if "out of memory" in each.text]
    assert full == ["states", "waits", "memory", "evaluation", "speed"]


def test_a_gpu_that_is_lost_ends_the_trial(soft_device: SoftDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any) -> Checked:
        soft_device.break_down()
        raise AssertionError

    monkeypatch.setattr(gpu, "of_states", lambda *_: iter(()))
    monkeypatch.setattr(gpu, "of_memory", lost)
    *_, last = examine_gpu(SPLIT, CONFIG)
    assert last.subject == "memory"
    assert "AcceleratorError: CUDA error: device-side assert triggered" in last.text
