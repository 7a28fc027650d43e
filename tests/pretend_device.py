"""A device that is not there: tensors that say they lie on ``cuda`` or ``mps`` and compute in main memory.

What a real device refuses is refused: operands on different devices, generators of another device, tensors as NumPy arrays,
float64 on ``mps``. What lies there is counted. So the road of code through such a device can be walked to its end on any
machine, with real values. Not shown are the device's own kernels, their rounding and speed, and what they allocate besides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

INDEXING = {Tensor.__getitem__, Tensor.__setitem__}
OF_THE_WRAPPER = {
    getattr(Tensor, name).__get__ for name in ("device", "is_cuda", "is_mps", "is_cpu", "is_meta", "is_xpu", "layout")
} | {Tensor.get_device, Tensor.__repr__}
SET_CONTENT = Tensor.data.__set__  # type: ignore[attr-defined]
# Matters of transfers, which take no time here.
OF_TRANSFERS = {
    Tensor.pin_memory: lambda tensor: tensor,
    Tensor.is_pinned: lambda _: False,
    Tensor.record_stream: lambda *_: None,
}
TO_NUMPY = {Tensor.numpy, Tensor.__array__}


class Elsewhere(Tensor):
    """A tensor on the device; ``held`` are its values."""

    held: Tensor
    lease: _Lease

    def __new__(cls, value: Tensor, requires_grad: bool = False) -> Any:
        """As ``torch.nn.Parameter``, which libraries take a parameter's type to be."""
        return torch.nn.Parameter(value, requires_grad)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        device = PretendDevice.entered
        if device is None:
            raise RuntimeError(f"{func} of a tensor on a device that is pretended no more")
        return device.call(func, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} was called past PyTorch's own functions")

    def __repr__(self, **_: Any) -> str:
        return f"Elsewhere({self.held!r}, {self.device})"


class _Lease:
    """Room on the device, shared by all tensors of one storage, while one of them lives."""

    def __init__(self, device: PretendDevice, storage: torch.UntypedStorage) -> None:
        self.device, self.key, self.size = device, storage.data_ptr(), storage.nbytes()
        device.holders[self.key] = device.holders.get(self.key, 0) + 1
        if device.holders[self.key] == 1:
            device.held_bytes += self.size
            device.peak_bytes = max(device.peak_bytes, device.held_bytes)

    def __del__(self) -> None:
        holders = self.device.holders
        holders[self.key] -= 1
        if not holders[self.key]:
            del holders[self.key]
            self.device.held_bytes -= self.size


class _Stream:
    """A queue of work in which nothing waits."""

    def synchronize(self) -> None:
        pass


class PretendDevice(TorchFunctionMode):
    """Computes for one device while it is entered.

    Attributes:
        memory: bytes that fit; as many as there are, by default.
        held_bytes: of all tensors that lie there now.
        peak_bytes: of all that lay there together, at most, since it was last set.
        calls: how many were computed there.
        brought_bytes: of all tensors that were copied from there to main memory.
    """

    entered: PretendDevice | None = None

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.memory = math.inf
        self.device = torch.device(kind, 0)
        self.held_bytes = self.peak_bytes = self.calls = self.brought_bytes = 0
        self.holders: dict[int, int] = {}

    def __enter__(self) -> PretendDevice:
        PretendDevice.entered = self
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        PretendDevice.entered = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.call(func, args, kwargs or {})

    def call(self, func: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        with torch._C.DisableTorchFunction():
            if func in OF_THE_WRAPPER:
                return func(*args, **kwargs)
            flat = _leaves((args, kwargs), [])
            there = [value for value in flat if isinstance(value, Elsewhere)]
            if func == SET_CONTENT and any(isinstance(value, Elsewhere) for value in args):
                return self._bring(*args)
            if func in OF_TRANSFERS:
                return OF_TRANSFERS[func](*args)
            if func in (Tensor.to, Tensor.cuda, Tensor.cpu, Tensor.type_as):
                return self._moved(func, args, kwargs)
            target = kwargs.get("device")
            target = (self.device if there else torch.device("cpu")) if target is None else torch.device(target)
            if not there and target.type != self.device.type:
                return func(*args, **kwargs)
            if there and func in TO_NUMPY:
                raise TypeError(f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() first.")
            if func is torch._has_compatible_shallow_copy_type:
                return True
            self._refuse_generators(flat, target)
            if func in INDEXING:
                self._refuse_indices(*args)
            elif func is not Tensor.copy_:
                self._refuse_mixtures(func, flat)
            self.calls += 1
            wrappers = {id(value.held): value for value in there}
            args, kwargs = _unwrapped(args), _unwrapped(kwargs)
            if kwargs.get("device") is not None:
                kwargs["device"] = torch.device("cpu") if target.type == self.device.type else target
            result = func(*args, **kwargs)
            if target.type != self.device.type:
                return result
            return self._wrapped(result, wrappers)

    def _moved(self, func: Any, args: tuple, kwargs: dict[str, Any]) -> Tensor:
        """``Tensor.to`` in all its forms."""
        value, *rest = args
        here, dtype = value.device, value.dtype
        options: dict[str, Any] = {}
        if func is Tensor.cpu:
            wanted = torch.device("cpu")
        elif func is Tensor.cuda:
            wanted = torch.device("cuda", 0)
        elif isinstance(rest[0] if rest else kwargs.get("other"), Tensor):
            like = rest[0] if rest else kwargs["other"]
            wanted, dtype = like.device, like.dtype
        else:
            options["copy"] = kwargs.pop("copy", False)
            wanted, given, _, memory_format = torch._C._nn._parse_to(*rest, **kwargs)
            wanted, dtype = wanted or here, given or dtype
            options |= {} if memory_format is None else {"memory_format": memory_format}
        held = value.held if isinstance(value, Elsewhere) else value
        if wanted.type != self.device.type:
            self.brought_bytes += held.nbytes if isinstance(value, Elsewhere) else 0
            return held.to(wanted, dtype, **options | {"copy": isinstance(value, Elsewhere) or options.get("copy", False)})
        moved = held.to("cpu", dtype, **options | {"copy": not isinstance(value, Elsewhere) or options.get("copy", False)})
        return value if moved is held else self._placed(moved)

    def _bring(self, tensor: Tensor, content: Tensor) -> None:
        """Gives a tensor another content, that may lie on another device, as modules do with parameters that are moved."""
        learnt = tensor.held.requires_grad if isinstance(tensor, Elsewhere) else tensor.requires_grad
        other: Tensor
        if isinstance(content, Elsewhere):
            other = self._placed(content.held.detach().requires_grad_(learnt))
            other._is_param = isinstance(tensor, torch.nn.Parameter)  # type: ignore[attr-defined]
        elif isinstance(tensor, torch.nn.Parameter):
            other = torch.nn.Parameter(content.detach(), learnt)
        else:
            other = content.detach()
        torch.utils.swap_tensors(tensor, other)

    def _wrapped(self, result: Any, wrappers: dict[int, Elsewhere]) -> Any:
        """A call's result on the device; what was changed in place is the tensor that it was."""
        if isinstance(result, Tensor):
            known = wrappers.get(id(result))
            return self._placed(result) if known is None else known
        if isinstance(result, torch.Size) or not isinstance(result, tuple | list):
            return result
        values = [self._wrapped(value, wrappers) for value in result]
        named = type(result).__module__ == "torch.return_types"  # such as of Tensor.max
        return type(result)(values) if named or type(result) in (tuple, list) else values

    def _placed(self, held: Tensor) -> Elsewhere:
        if held.device.type != "cpu":
            return held  # type: ignore[return-value]
        if self.device.type == "mps" and held.dtype == torch.float64:
            raise TypeError(
                "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64. Please use float32 "
                "instead."
            )
        storage = held.untyped_storage()
        if storage.data_ptr() not in self.holders and self.held_bytes + storage.nbytes() > self.memory:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {storage.nbytes()} bytes.")
        wrapper = torch.Tensor._make_wrapper_subclass(
            Elsewhere, held.shape, strides=held.stride(), dtype=held.dtype, device=self.device
        )
        wrapper.held = held
        wrapper.lease = _Lease(self, storage)
        return wrapper

    def _refuse_generators(self, flat: list[Any], target: torch.device) -> None:
        for value in flat:
            if isinstance(value, torch.Generator) and value.device.type != target.type:
                raise RuntimeError(f"Expected a '{target.type}' device type for generator but found '{value.device.type}'")

    def _refuse_indices(self, tensor: Tensor, index: Any, value: Any = None) -> None:
        """Indices in main memory pass, on a device they serve the tensors of that device; what is put there must lie there."""
        indices = [leaf for leaf in _leaves((index,), []) if isinstance(leaf, Tensor)]
        if any(i.ndim and i.device not in (torch.device("cpu"), tensor.device) for i in indices):
            raise RuntimeError(f"indices should be either on cpu or on the same device as the indexed tensor ({tensor.device})")
        if indices and isinstance(value, Tensor):
            self._refuse_mixtures(Tensor.__setitem__, [tensor, value])

    def _refuse_mixtures(self, func: Any, flat: list[Any]) -> None:
        """As the device's own kernels do: numbers in main memory pass, whole tensors do not."""
        devices = {value.device for value in flat if isinstance(value, Tensor) and (value.ndim or isinstance(value, Elsewhere))}
        if len(devices) > 1:
            raise RuntimeError(f"Expected all tensors to be on the same device, but found {sorted(map(str, devices))}: {func}")


def _leaves(value: Any, found: list[Any]) -> list[Any]:
    """All that lies in nested tuples, lists and dictionaries."""
    for part in value.values() if isinstance(value, dict) else value:
        if isinstance(part, tuple | list | dict):
            _leaves(part, found)
        else:
            found.append(part)
    return found


def _unwrapped(value: Any) -> Any:
    """The values of tensors instead of these, in nested tuples, lists and dictionaries."""
    if isinstance(value, Elsewhere):
        return value.held
    if isinstance(value, dict):
        return {key: _unwrapped(part) for key, part in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_unwrapped(part) for part in value)
    return value


@contextmanager
def pretended(kind: str) -> Iterator[PretendDevice]:
    """A machine that has the device, as PyTorch's own questions for it tell."""
    device = PretendDevice(kind)

    def reset() -> None:
        device.peak_bytes = device.held_bytes

    with pytest.MonkeyPatch.context() as patch:
        if kind == "cuda":
            answers = {
                "is_available": lambda: True, "device_count": lambda: 1, "current_device": lambda: 0,
                "is_bf16_supported": lambda including_emulation=True: True, "empty_cache": lambda: None,
                "reset_peak_memory_stats": lambda *_: reset(), "max_memory_allocated": lambda *_: device.peak_bytes,
                "Stream": _Stream, "current_stream": lambda *_: _Stream(), "stream": nullcontext,
            }  # fmt: skip
            for name, answer in answers.items():
                patch.setattr(torch.cuda, name, answer)
        else:
            patch.setattr(torch.backends.mps, "is_available", lambda: True)
            patch.setattr(torch.backends.mps, "is_macos_or_newer", lambda major, minor: major <= 14)
            patch.setattr(torch.mps, "empty_cache", lambda: None)
        with device:
            yield device
