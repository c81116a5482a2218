"""The soft device itself: what a GPU would refuse, make the host wait for, or freeze into a graph is found."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from tests.soft_cuda import ForbiddenWaitError, MixedDevicesError, SoftDevice, SoftTensor, soft_cuda

KIB = 1 << 10


def recorded(step: Any, pool: Any = None) -> Any:
    """Return the graph of `step`, which was not run."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        step()
    return graph


def test_a_tensor_says_that_it_is_on_the_device_and_calculates(soft_device: SoftDevice) -> None:
    x = torch.arange(4.0, device="cuda")
    assert isinstance(x, SoftTensor)
    assert (str(x.device), x.is_cuda, x.is_cpu) == ("cuda:0", True, False)
    assert (x * 2 + 1).sum().item() == 16.0
    for there in (torch.ones(2).to("cuda"), torch.ones(2).cuda(), torch.zeros_like(x), x.new_zeros(3), x[1:]):
        assert there.is_cuda
    assert type(x.cpu()) is torch.Tensor
    assert torch.cuda.is_available()
    assert soft_device.live_bytes > 0


def test_outside_there_is_no_such_device() -> None:
    with soft_cuda():
        pass
    with pytest.raises((RuntimeError, AssertionError)):
        torch.zeros(1, device="cuda:7")


def test_tensors_of_two_devices_are_refused(soft_device: SoftDevice) -> None:
    there, here = torch.ones(3, device="cuda"), torch.ones(3)
    for call in (
        lambda: there + here,
        lambda: torch.cat([there, here]),
        lambda: there.index_add_(0, here.long(), there),
    ):
        with pytest.raises(MixedDevicesError, match="to be on the same device"):
            call()  # type: ignore[no-untyped-call]
    assert (there + torch.tensor(1.0)).is_cuda, "a number of the host is an argument of the kernel"


def test_numpy_is_refused(soft_device: SoftDevice) -> None:
    with pytest.raises(TypeError, match="can't convert cuda:0"):
        torch.ones(3, device="cuda").numpy()


@pytest.mark.parametrize(
    ("kind", "wait"),
    [
        ("item", lambda x: x.sum().item()),
        ("item", lambda x: bool(x.any())),
        ("item", lambda x: int(x[0])),
        ("tolist", lambda x: x.tolist()),
        ("copy to the host", lambda x: x.cpu()),
        ("copy to the host", lambda x: torch.empty(4).copy_(x)),
        ("upload", lambda x: torch.ones(4).to(x.device)),
        ("upload", lambda x: x[torch.tensor([1, 2])]),
        ("nonzero", lambda x: x.nonzero()),
        ("boolean index", lambda x: x[x > 1]),
        ("boolean index", lambda x: x.__setitem__(x > 1, 0.0)),
        ("repeat_interleave", lambda x: x.repeat_interleave(x.long())),
        ("unique", lambda x: x.unique()),
        ("equal", lambda x: torch.equal(x, x)),
        ("synchronize", lambda _: torch.cuda.synchronize()),
    ],
)
def test_what_waits_is_counted_and_can_be_forbidden(kind: str, wait: Any, soft_device: SoftDevice) -> None:
    x = torch.arange(4.0, device="cuda")
    soft_device.reset_counts()
    wait(x)
    assert [place.rpartition(" [")[2] for place in soft_device.waits] == [f"{kind}]"]
    assert next(iter(soft_device.waits)).startswith("test_soft_cuda.py:")
    torch.cuda.set_sync_debug_mode("error")
    with pytest.raises(ForbiddenWaitError, match="synchronizing"):
        wait(x)
    torch.cuda.set_sync_debug_mode("default")


def test_what_does_not_wait_is_not_counted(soft_device: SoftDevice) -> None:
    x = torch.arange(4.0, device="cuda")
    x[x.long()].where(x > 1, 0.0).masked_fill_(x < 2, 3.0).sort()
    x.repeat_interleave(x.long(), output_size=6)
    torch.full((), 2.0, device="cuda")
    torch.ones(4).pin_memory().to("cuda", non_blocking=True)
    torch.empty(4, pin_memory=True).copy_(x, non_blocking=True)
    assert soft_device.n_waits == 0


def test_a_graph_is_not_run_while_recorded_and_runs_on_the_same_memory(soft_device: SoftDevice) -> None:
    x, total = torch.ones(3, device="cuda"), torch.zeros(3, device="cuda")
    graph = recorded(lambda: total.add_(x * 2))
    assert total.tolist() == [0.0] * 3
    for value in (1.0, 5.0):
        x.fill_(value)
        graph.replay()
    assert total.tolist() == [12.0] * 3
    assert soft_device.captures[0].names == ["aten.mul.Tensor", "aten.add_.Tensor"]


def test_a_value_that_the_host_worked_out_stays_in_the_graph(soft_device: SoftDevice) -> None:
    x, out, factor = torch.ones(3, device="cuda"), torch.zeros(3, device="cuda"), [2.0]
    graph = recorded(lambda: out.copy_(x * factor[0]))
    factor[0] = 9.0
    graph.replay()
    assert out.tolist() == [2.0] * 3


def test_a_wait_in_a_graph_is_refused(soft_device: SoftDevice) -> None:
    x = torch.ones(3, device="cuda")
    with pytest.raises(ForbiddenWaitError, match="not permitted when stream is capturing"):
        recorded(lambda: x.sum().item())
    x += 1
    assert x.tolist() == [2.0] * 3, "the device works on"


def test_memory_is_counted_as_long_as_it_is_held(soft_device: SoftDevice) -> None:
    before = soft_device.live_bytes
    x = torch.zeros(KIB, device="cuda")
    view = x[:7]
    assert soft_device.live_bytes - before == 4 * KIB
    y = x + 1
    del x, y
    assert soft_device.live_bytes - before == 4 * KIB, "a view holds all of it"
    assert soft_device.peak_bytes - before == 8 * KIB
    del view
    assert soft_device.live_bytes == before


def test_graphs_of_one_pool_share_its_memory(soft_device: SoftDevice) -> None:
    x, out = torch.zeros(KIB, device="cuda"), torch.zeros(KIB, device="cuda")

    def step() -> None:
        out.copy_(x * 2 + 1)

    first = recorded(step)
    alone = soft_device.pool_bytes
    assert alone == 8 * KIB
    recorded(step, first.pool())
    assert soft_device.pool_bytes == alone
    recorded(step)
    assert soft_device.pool_bytes == 2 * alone


def test_beyond_a_processs_share_memory_is_out(soft_device: SoftDevice) -> None:
    soft_device.total_bytes = 64 * KIB
    torch.cuda.set_per_process_memory_fraction(0.25)
    kept = torch.zeros(3 * KIB, device="cuda")
    with pytest.raises(torch.OutOfMemoryError):
        torch.zeros(2 * KIB, device="cuda")
    del kept
    assert torch.zeros(3 * KIB, device="cuda").sum().item() == 0.0


def test_an_inverse_takes_three_matrices(soft_device: SoftDevice) -> None:
    factor = torch.eye(32, device="cuda")
    before, size = soft_device.live_bytes, 4 * 32 * 32
    inverse = torch.cholesky_inverse(factor)
    assert inverse.shape == (32, 32)
    assert soft_device.peak_bytes - before == 2 * size, (
        "the identity and a copy of the factor, then the result"
    )


def test_the_last_bag_ends_where_the_indices_end(soft_device: SoftDevice) -> None:
    weight, places = torch.ones(5, 2, device="cuda"), torch.zeros(10, dtype=torch.int64, device="cuda")
    offsets = torch.tensor([0, 2, 4], device="cuda")
    bags = F.embedding_bag(places, weight, offsets, mode="sum", include_last_offset=True)
    assert bags[:, 0].tolist() == [2.0, 8.0]
    assert soft_device.longest_bag == 8


def test_an_index_out_of_range_breaks_the_device_for_good(soft_device: SoftDevice) -> None:
    x = torch.ones(3, device="cuda")
    for call in (lambda: x[torch.full((1,), 7, device="cuda")], lambda: x + 1, torch.cuda.empty_cache):
        with pytest.raises(torch.AcceleratorError, match="device-side assert"):
            call()


def test_autograd_and_adam_work(soft_device: SoftDevice) -> None:
    layer = torch.nn.Linear(4, 2)
    torch.nn.init.ones_(
        layer.weight
    )  # what is drawn depends on the tests before, and may begin near the minimum
    layer = layer.to("cuda")
    assert layer.weight.is_cuda
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1, fused=True, capturable=True)
    x = torch.ones(3, 4, device="cuda")
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = layer(x).square().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


def test_threads_work_on_it_too(soft_device: SoftDevice) -> None:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(torch.ones(2, device="cuda").is_cuda))
    thread.start()
    thread.join()
    assert found == [True]


def test_threads_that_run_in_a_way_of_their_own_work_on_it_too(soft_device: SoftDevice) -> None:
    # Tune's do, in which a worker's trials run: they found no device.
    found: list[bool] = []

    class Own(threading.Thread):
        def run(self) -> None:
            found.append(torch.ones(2, device="cuda").is_cuda)

    thread = Own()
    thread.start()
    thread.join()
    assert found == [True]


def test_a_wait_can_be_warned_of(soft_device: SoftDevice) -> None:
    x = torch.ones(2, device="cuda")
    torch.cuda.set_sync_debug_mode("warn")
    with pytest.warns(UserWarning, match="called a synchronizing CUDA operation"):
        x.tolist()
    torch.cuda.synchronize()  # asked for: PyTorch says nothing of it
    torch.cuda.set_sync_debug_mode("default")
    x.tolist()
