"""What attacks are tried on: a network of doubles, texts of different lengths, and the loss of each."""

import math

import torch
import torch.nn.functional as F

from tests.networks import batch, labels, network

LENGTHS = (5, 3, 7, 1)
N = len(LENGTHS)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def setting(kind: str, lengths=LENGTHS):
    """A network of doubles, a batch, its embeddings, its labels, and the loss of each example."""
    model, texts, y = network(kind).double(), batch(kind, lengths), labels(len(lengths))
    embedded = model.embed(texts.ids).detach()
    return model, texts, embedded, y, lambda x: F.cross_entropy(model.classify(x, texts.lengths), y, reduction="none")


def norm(x: torch.Tensor) -> float:
    return math.sqrt(sum(value * value for value in x.flatten().tolist()))
