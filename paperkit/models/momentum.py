"""What ESimCSE and Mean Teacher remember: a slow copy of a model, and a queue of its embeddings (He et al. 2020)."""

import copy

import torch
from torch import Tensor, nn

from paperkit.errors import InputError
from paperkit.terms import STARTS, accept


class MomentumCopy(nn.Module):
    """A copy whose parameters follow those of the original: θ_m ← m·θ_m + (1 − m)·θ, after each optimizer step.

    It starts as an exact copy. ESimCSE's release starts it from random weights, which fills the queue with noise until it
    has forgotten them: ``start="random"``, each layer as PyTorch starts it.
    """

    def __init__(self, source: nn.Module, momentum: float, start: str = "copy"):
        super().__init__()
        if not 0 <= momentum <= 1:
            raise InputError(f"momentum is {momentum}; accepted is a number from 0 to 1 (ESimCSE: 0.995)")
        accept("momentum encoder: ", start=(start, STARTS))
        self.momentum = momentum
        self.module = copy.deepcopy(source).requires_grad_(False)
        if start == "random":
            for part in self.module.modules():
                if hasattr(part, "reset_parameters"):
                    part.reset_parameters()

    @torch.no_grad()
    def update(self, source: nn.Module) -> None:
        """One step towards ``source``; its buffers are taken over."""
        mine, theirs = list(self.module.parameters()), list(source.parameters())
        torch._foreach_mul_(mine, self.momentum)
        torch._foreach_add_(mine, theirs, alpha=1 - self.momentum)
        for own, other in zip(self.module.buffers(), source.buffers(), strict=True):
            own.copy_(other)

    def forward(self, *args) -> Tensor:
        return self.module(*args)


class Queue(nn.Module):
    """The last ``size`` embeddings and whose they are, first in, first out; empty at the start, kept with a checkpoint."""

    def __init__(self, size: int, width: int):
        super().__init__()
        if size < 1:
            raise InputError(f"queue: size is {size}; accepted is a whole number from 1")
        self.register_buffer("storage", torch.zeros(size, width))
        self.register_buffer("rows", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("pointer", torch.tensor(0))
        self.register_buffer("fill", torch.tensor(0))

    def contents(self) -> Tensor:
        """``(fill, d)``, in no particular order."""
        return self.storage[: int(self.fill)]

    def holds(self, rows: Tensor) -> Tensor:
        """Which of the contents are earlier embeddings of the texts ``rows`` ``(N,)`` themselves, bool ``(N, fill)``."""
        return rows[:, None] == self.rows[: int(self.fill)]

    @torch.no_grad()
    def push(self, embeddings: Tensor, rows: Tensor) -> None:
        """Append ``(N, d)`` of the texts ``rows`` ``(N,)``, dropping the oldest; of more than ``size`` the last ones stay."""
        size = len(self.storage)
        kept = embeddings[-size:].to(self.storage)
        places = (self.pointer + torch.arange(len(kept), device=self.storage.device)) % size
        self.storage[places] = kept
        self.rows[places] = rows[-size:]
        self.pointer.copy_((self.pointer + len(kept)) % size)
        self.fill.copy_((self.fill + len(kept)).clamp(max=size))
