"""Length-bucketed batches: texts of about equal length travel together, so hardly any padding is computed."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import count

import numpy as np
import torch

from paperkit.seeds import derive, numpy_generator
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
    inside: torch.Tensor
    """Which positions hold a part of the text, neither padding nor a special token, bool ``(N, T)``."""

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device | str) -> "Batch":
        return Batch(*(getattr(self, part.name).to(device, non_blocking=True) for part in fields(self)))


def collate(texts: Encoded, rows: np.ndarray) -> Batch:
    """The batch of the texts numbered ``rows``."""
    rows = np.array(rows, dtype=np.int64)  # a copy: torch warns of arrays that cannot be written to
    lengths = texts.lengths[rows]
    columns = np.arange(max(int(lengths.max(initial=0)), 1))
    inside = columns < lengths[:, None]
    ids = np.full(inside.shape, texts.pad, dtype=np.int64)
    ids[inside] = texts.flat[(texts.offsets[rows][:, None] + columns)[inside]]
    words = inside & ~np.isin(ids, texts.special)
    return Batch(*map(torch.from_numpy, (ids, lengths, rows, words)))


def training_batches(
    texts: Encoded, rows: np.ndarray, batch_size: int, seed: int, epoch: int, pool: int = 50
) -> Iterator[Batch]:
    """One epoch over ``rows``, each once: random, yet every batch of texts of about equal length.

    Rows are shuffled, sorted by length within pools of ``pool`` batches, and the batches are shuffled again. What does not
    fill a batch is one of its own, of any lengths: each of its texts weighs more than those of a full one, and that must not
    fall to the longest. The order depends on (seed, epoch) alone, so an epoch that was interrupted repeats itself.
    """
    generator = numpy_generator(seed, "order", epoch)
    short, full = np.split(generator.permutation(rows), [len(rows) % batch_size])
    batches = [short] if len(short) else []
    for start in range(0, len(full), pool * batch_size):
        chunk = full[start : start + pool * batch_size]
        chunk = chunk[np.argsort(texts.lengths[chunk], kind="stable")]
        batches += np.split(chunk, len(chunk) // batch_size)
    for i in generator.permutation(len(batches)):
        yield collate(texts, batches[i])


def endless_batches(
    texts: Encoded, rows: np.ndarray, batch_size: int, seed: int, epoch: int, purpose: str
) -> Iterator[Batch]:
    """Batches of ``rows`` in ever new orders, for texts that accompany the epochs of others.

    What an epoch sees depends on (seed, purpose, epoch) alone, so it repeats itself after an interruption. Every batch is
    full, unless there are fewer rows than that; which texts are left over is drawn anew in each turn.

    Raises:
        ValueError: no rows.
    """
    if not len(rows):
        raise ValueError(f"there are no texts for {purpose}")
    for turn in count():
        for batch in training_batches(texts, rows, batch_size, derive(seed, purpose, epoch), turn):
            if len(batch) == min(batch_size, len(rows)):
                yield batch


def evaluation_batches(texts: Encoded, rows: np.ndarray, batch_size: int = 64) -> Iterator[Batch]:
    """``rows`` once each, sorted by length; ``Batch.rows`` tells where each result belongs."""
    by_length = np.asarray(rows)[np.argsort(texts.lengths[rows], kind="stable")]
    for start in range(0, len(by_length), batch_size):
        yield collate(texts, by_length[start : start + batch_size])
