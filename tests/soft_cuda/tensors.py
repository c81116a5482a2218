"""Tensors of the soft device, and what a call with them does: checked, counted, recorded, or run on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from tests.soft_cuda.device import MixedDevicesError, SoftDevice

aten = torch.ops.aten
CUDA = torch.device("cuda", 0)

_WAITING = {
    aten.nonzero.default: "nonzero",
    aten._local_scalar_dense.default: "item",
    aten.masked_select.default: "masked_select",
    aten._unique2.default: "unique",
    aten.unique_dim.default: "unique",
    aten.unique_consecutive.default: "unique",
    aten.equal.default: "equal",
    aten.is_nonzero.default: "bool",
}
_INDEXING = {
    aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default,
}  # fmt: skip
_BAGS = {aten._embedding_bag.default, aten._embedding_bag_forward_only.default}

current: SoftDevice | None = None
"""The device that calls go to; `runtime.soft_cuda` sets it."""


def device() -> SoftDevice:
    """Return the device that is switched on."""
    assert current is not None, "the soft device is not switched on"
    return current


class SoftTensor(torch.Tensor):
    """A tensor of the soft device.

    Attributes:
        value: the tensor on the CPU that holds its memory.
    """

    value: torch.Tensor

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, value: torch.Tensor) -> SoftTensor:
        return torch.Tensor._make_wrapper_subclass(
            cls, value.shape, strides=value.stride(), storage_offset=value.storage_offset(), dtype=value.dtype,
            layout=value.layout, device=torch.device("cpu"), requires_grad=False,
        )  # fmt: skip

    def __init__(self, value: torch.Tensor) -> None:
        assert not isinstance(value, SoftTensor)
        self.value = value
        self.block = device().block(value)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"SoftTensor({self.value})"

    device = property(lambda *_: CUDA)
    is_cuda = property(lambda *_: True)
    is_cpu = property(lambda *_: False)

    def numpy(self, **_: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    __array__ = numpy  # type: ignore[assignment]

    def data_ptr(self) -> int:
        return self.value.data_ptr()

    def tolist(self) -> Any:
        device().wait("tolist")
        return self.value.tolist()

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return call(func, args, kwargs or {})


def is_soft(place: Any) -> bool:
    """Tell whether `place` names the device."""
    return place is not None and torch.device(place).type == "cuda"


def bare(part: Any) -> Any:
    """Return the CPU's tensor of a soft one, anything else as it is."""
    return part.value if isinstance(part, SoftTensor) else part


def leaves(part: Any) -> Iterator[Any]:
    """Yield what lies in tuples, lists and dicts: all that operators are given. PyTorch's way took 4/5 of all time."""
    if isinstance(part, list | tuple):
        for inner in part:
            yield from leaves(inner)
    elif isinstance(part, dict):
        for inner in part.values():
            yield from leaves(inner)
    else:
        yield part


def mapped(function: Callable[[Any], Any], part: Any) -> Any:
    """Return the same with `function` of each leaf."""
    if isinstance(part, list | tuple):
        inner = [mapped(function, each) for each in part]
        return inner if isinstance(part, list) else tuple(inner)
    if isinstance(part, dict):
        return {name: mapped(function, each) for name, each in part.items()}
    return function(part)


def call(func: Any, args: Any, kwargs: Any) -> Any:
    """Run an ATen operator by a GPU's rules."""
    tensors = [part for part in leaves((args, kwargs)) if isinstance(part, torch.Tensor)]
    soft = [part for part in tensors if isinstance(part, SoftTensor)]
    onto = is_soft(kwargs.get("device"))
    if not soft and not onto:
        return func(*args, **kwargs)
    gpu, name = device(), str(func)
    gpu.check()
    plain = [part for part in tensors if not isinstance(part, SoftTensor)]
    copying = func in (aten.copy_.default, aten._to_copy.default)
    if soft and plain and not copying:
        _refuse_mixture(func, name, args, plain)
    args_, kwargs_ = mapped(bare, args), mapped(bare, kwargs)
    if onto:
        kwargs_["device"] = torch.device("cpu")
    if func is aten._to_copy.default and not soft:
        gpu.upload()
    if func is aten.copy_.default and plain:
        return _copied_between(args, args_, kwargs_)
    if func in _WAITING:
        gpu.wait(_WAITING[func])
        if func is aten._local_scalar_dense.default:
            return func(*args_, **kwargs_)
    if func in _INDEXING and any(_is_mask(part) for part in args_[1]):
        gpu.wait("boolean index")
    if func is aten.repeat_interleave.Tensor and kwargs_.get("output_size") is None:
        gpu.wait("repeat_interleave")
    run = _run_as_on_a_gpu(func)
    if gpu.capturing is None:
        gpu.calls[name] += 1
    return _finish(func, name, run, args, kwargs, args_, kwargs_)


def _refuse_mixture(func: Any, name: str, args: Any, plain: list[torch.Tensor]) -> None:
    """A number's tensor may come from the host; an index of the host is uploaded, for which it waits."""
    if func in _INDEXING and isinstance(args[0], SoftTensor):
        if any(isinstance(part, torch.Tensor) and not isinstance(part, SoftTensor) for part in args[1]):
            device().upload()
        plain = [part for part in plain if not any(part is index for index in args[1])]
    if any(part.dim() for part in plain):
        raise MixedDevicesError(
            f"Expected all tensors to be on the same device, but found cuda:0 and cpu: {name}"
        )


def _copied_between(args: Any, args_: Any, kwargs_: Any) -> Any:
    gpu = device()
    host = args[1] if isinstance(args[0], SoftTensor) else args[0]
    if not (len(args_) > 2 and args_[2] and host.untyped_storage()._cdata in gpu.pinned):
        gpu.wait("copy to the device" if isinstance(args[0], SoftTensor) else "copy to the host")
    torch.ops.aten.copy_.default(*args_, **kwargs_)
    return args[0]


def _is_mask(part: Any) -> bool:
    return isinstance(part, torch.Tensor) and part.dtype in (torch.bool, torch.uint8)


def _run_as_on_a_gpu(func: Any) -> Callable[..., Any]:
    """Return what does on the CPU what `func` does on a GPU."""
    if func in _BAGS:
        return _walked_bags(func)
    if func is aten.mm.dtype:
        # There is no such kernel for CPUs: factors of low precision, the result in float32.
        return lambda a, b, out: torch.mm(a.float(), b.float()).to(out)
    if func is aten.cholesky_inverse.default:
        return _inverted(func)
    return func  # type: ignore[no-any-return]


def _inverted(func: Any) -> Callable[..., Any]:
    """cuSOLVER inverts by solving for the identity: a third matrix beside the factor and the result."""

    def run(factor: torch.Tensor, *args: Any) -> Any:
        n_bytes = factor.numel() * factor.itemsize
        device().take(2 * n_bytes, device().capturing)
        device().give_back(2 * n_bytes, device().capturing)
        return func(factor, *args)

    return run


def _walked_bags(func: Any) -> Callable[..., Any]:
    """CUDA's kernel ends the last bag where the indices end, whatever the last offset says (EmbeddingBag.cu)."""

    def run(*args: Any, **kwargs: Any) -> Any:
        gpu, parts = device(), list(args)
        if len(parts) > 7 and parts[7]:
            offsets = parts[2].clone()
            offsets[-1] = parts[1].numel()
            parts[2] = offsets
            if gpu.capturing is None and offsets.numel() > 1:
                gpu.longest_bag = max(gpu.longest_bag, int((offsets[1:] - offsets[:-1]).max()))
        return func(*parts, **kwargs)

    return run


def _finish(func: Any, name: str, run: Any, args: Any, kwargs: Any, args_: Any, kwargs_: Any) -> Any:
    """Run the call, or record it; return its results as tensors of the device.

    While a graph is recorded nothing is written: a call that makes a tensor is run for its shape, and run again at each
    replay with the same arguments, into the same memory. So a value that the host worked out stays what it was.
    """
    gpu = device()
    written = [part for part in _written(func, args, kwargs) if part is not None]
    if written:
        if gpu.capturing is None:
            _guarded(run, args_, kwargs_)
        else:
            gpu.capturing.calls.append((run, args_, kwargs_, None))
            gpu.capturing.names.append(name)
        count = len(func._schema.returns)
        return None if not count else written[0] if count == 1 else tuple(written)
    out = _guarded(run, args_, kwargs_)
    if gpu.capturing is not None:
        given = {
            part.untyped_storage()._cdata
            for part in leaves((args_, kwargs_))
            if isinstance(part, torch.Tensor)
        }
        made = [p for p in leaves(out) if isinstance(p, torch.Tensor)]
        if any(
            part.untyped_storage()._cdata not in given for part in made
        ):  # a view is no call on the device
            gpu.capturing.calls.append((run, args_, kwargs_, out))
            gpu.capturing.names.append(name)
    known = {id(bare(part)): part for part in leaves((args, kwargs)) if isinstance(part, SoftTensor)}
    return mapped(
        lambda part: (known.get(id(part)) or SoftTensor(part)) if isinstance(part, torch.Tensor) else part,
        out,
    )


def _storages(parts: Any) -> set[int]:
    return {part.untyped_storage()._cdata for part in leaves(parts) if isinstance(part, torch.Tensor)}


def _guarded(run: Any, args_: Any, kwargs_: Any) -> Any:
    """An index out of range is a kernel's failed assertion: the device is broken from then on."""
    try:
        return run(*args_, **kwargs_)
    except IndexError:
        device().break_down()


def _written(func: Any, args: Any, kwargs: Any) -> list[Any]:
    found: list[Any] = []
    for position, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            default = args[position] if position < len(args) else None
            part = kwargs.get(argument.name, default)
            found += part if isinstance(part, list | tuple) else [part]
    return found
