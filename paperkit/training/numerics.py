"""Where and in which precision a run is computed, and what of that can change its last digits."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from paperkit import code
from paperkit.errors import InputError
from paperkit.terms import accept

if TYPE_CHECKING:
    import torch


DTYPES = ("float32", "bfloat16")


def resolve_device(device: str) -> str:
    """``"auto"`` is a GPU if there is one.

    Raises:
        InputError: no device of ours, or a GPU where there is none.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda"):
        raise InputError(f"device is {device!r}; accepted are cpu, cuda and auto")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device is 'cuda', but this PyTorch sees no CUDA GPU: accepted are cpu and auto, and TORCH=cuda "
                         "installs the CUDA build")  # fmt: skip
    return device


def resolve_dtype(dtype: str, device: str) -> str:
    """``"auto"`` is bfloat16 where the processor has instructions for it, where it is about twice as fast; else float32."""
    import torch

    if dtype != "auto":
        return dtype
    if resolve_device(device) == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if fast else "float32"


def precision(device: "torch.device", dtype: str) -> "torch.autocast":
    """Mixed precision where ``dtype`` is ``"bfloat16"``; nothing changes with ``"float32"``. Another one is an InputError."""
    import torch

    accept("", dtype=(dtype, DTYPES))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == "bfloat16")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute in ``count`` threads, PyTorch and what NumPy and scikit-learn call, then in as many as before: how a sum is split
    among threads moves its last digits."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    with threadpool_limits(count):
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@lru_cache(maxsize=4)
def numerics(device: str) -> dict[str, str]:
    """What every run computes with, and where: part of its identity. Libraries that made its texts into numbers are named
    beside it, by those who know them: encoders travel to machines that have neither gensim nor jieba."""
    import torch

    device = resolve_device(device)
    chip = torch.cuda.get_device_name() if device == "cuda" else torch.backends.cpu.get_cpu_capability()
    return code.versions("torch", "numpy", "scikit-learn") | {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": device,
        "chip": chip,
    }
