"""Length-bucketed batches: texts of about equal length travel together, so hardly any padding is computed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from paperkit.seeds import numpy_generator
from paperkit.text.vocabulary import Encoded


@dataclass(frozen=True)
class Batch:
    """Texts that are computed together."""

    ids: torch.Tensor
    """Word numbers, int64 ``(N, T)``, padded on the right; T is the longest text of the batch, at least 1."""
    lengths: torch.Tensor
    """Words per text, int64 ``(N,)``; may be 0."""
    rows: torch.Tensor
    """Which texts of the corpus these are, int64 ``(N,)``."""

    def to(self, device: torch.device | str) -> "Batch":
        return Batch(self.ids.to(device), self.lengths.to(device), self.rows.to(device))


def collate(texts: Encoded, rows: np.ndarray) -> Batch:
    """The batch of the texts numbered ``rows``."""
    rows = np.array(rows, dtype=np.int64)  # a copy: torch warns of arrays that cannot be written to
    lengths = texts.lengths[rows]
    columns = np.arange(max(int(lengths.max(initial=0)), 1))
    inside = columns < lengths[:, None]
    ids = np.full(inside.shape, texts.pad, dtype=np.int64)
    ids[inside] = texts.flat[(texts.offsets[rows][:, None] + columns)[inside]]
    return Batch(torch.from_numpy(ids), torch.from_numpy(lengths), torch.from_numpy(rows))


def training_batches(
    texts: Encoded, rows: np.ndarray, batch_size: int, seed: int, epoch: int, pool: int = 50
) -> Iterator[Batch]:
    """One epoch over ``rows``, each once: random, yet every batch of texts of about equal length.

    Rows are shuffled, sorted by length within pools of ``pool`` batches, and the batches are shuffled again. The order
    depends on (seed, epoch) alone, so an epoch that was interrupted repeats itself.
    """
    generator = numpy_generator(seed, "order", epoch)
    shuffled = generator.permutation(rows)
    batches = []
    for start in range(0, len(shuffled), pool * batch_size):
        chunk = shuffled[start : start + pool * batch_size]
        chunk = chunk[np.argsort(texts.lengths[chunk], kind="stable")]
        batches += [chunk[i : i + batch_size] for i in range(0, len(chunk), batch_size)]
    for i in generator.permutation(len(batches)):
        yield collate(texts, batches[i])


def evaluation_batches(texts: Encoded, rows: np.ndarray, batch_size: int = 64) -> Iterator[Batch]:
    """``rows`` once each, sorted by length; ``Batch.rows`` tells where each result belongs."""
    by_length = np.asarray(rows)[np.argsort(texts.lengths[rows], kind="stable")]
    for start in range(0, len(by_length), batch_size):
        yield collate(texts, by_length[start : start + batch_size])
