"""Both kinds of network small enough for tests, and batches of random texts that they read."""

import copy
from functools import cache

import numpy as np
import torch
from torch import nn

from paperkit.models import backbones
from paperkit.models.bilstm import BiLSTM
from paperkit.models.encoder import Encoder
from paperkit.text.batches import Batch, collate
from paperkit.text.vocabulary import Encoded

WORDS, CLASSES = 40, 3
OPEN, CLOSE = 1, 2
"""Numbers of the tokens around each text of an encoder."""
KINDS = ("bilstm", "encoder")


def network(kind: str, dropout: float = 0.0) -> BiLSTM | Encoder:
    """A network in eval mode, always with the same weights."""
    model = copy.deepcopy(_made(kind))
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = dropout
    return model


@cache
def _made(kind: str) -> BiLSTM | Encoder:
    torch.manual_seed(0)
    if kind == "bilstm":
        vectors = torch.randn(WORDS, 8)
        vectors[0] = 0
        model = BiLSTM(vectors, CLASSES)
        nn.init.normal_(model.output.weight)
    else:
        model = Encoder(backbones.find("tiny"), CLASSES)
        nn.init.normal_(model.output.weight, std=0.2)  # so that it is sure of some texts and not of others
    return model.eval()


def batch(kind: str, lengths: tuple[int, ...], seed: int = 0, rows: tuple[int, ...] | None = None) -> Batch:
    """Texts of so many words; those of an encoder are opened and closed by special tokens besides."""
    rng = np.random.default_rng(seed)
    texts = [rng.integers(3, WORDS, n) for n in lengths]
    if kind == "encoder":
        texts = [np.r_[OPEN, text, CLOSE] for text in texts]
    offsets = np.cumsum([0, *map(len, texts)])
    special = (OPEN, CLOSE) if kind == "encoder" else ()
    made = collate(Encoded(np.concatenate(texts).astype(np.int32), offsets, special=special), np.arange(len(lengths)))
    return made if rows is None else Batch(made.ids, made.lengths, torch.tensor(rows), made.inside)


def labels(n: int, seed: int = 0) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).integers(0, CLASSES, n))


def snapshot(model: nn.Module) -> dict:
    """Copies of everything of a model that an attack could leave changed, and of the random state."""
    state = {"random": torch.get_rng_state()}
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        state[name] = value.detach().clone()
    for name, value in model.named_parameters():
        state[f"{name}.grad"] = None if value.grad is None else value.grad.clone()
    for name, part in model.named_modules():
        state[f"{name} "] = part.training, len(part._forward_hooks), len(part._forward_pre_hooks)
    return state


def changed(before: dict, after: dict) -> set[str]:
    """Names of what differs by a bit."""

    def same(a, b) -> bool:
        return torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a is b or a == b

    assert before.keys() == after.keys()
    return {name for name in before if not same(before[name], after[name])}
