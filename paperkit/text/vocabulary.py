"""Words to numbers (paper B §3.2, steps 3 to 5)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

PAD, UNKNOWN = 0, 1
SPECIAL = ("<pad>", "<unk>")


@dataclass(frozen=True)
class Encoded:
    """Texts as one flat array of word numbers; text ``i`` is ``flat[offsets[i]:offsets[i + 1]]``."""

    flat: np.ndarray
    """int32, ``(total words,)``."""
    offsets: np.ndarray
    """int64, ``(texts + 1,)``."""
    pad: int = PAD
    """What fills up a batch."""
    special: tuple[int, ...] = ()
    """Numbers that stand for no part of the text: an encoder's opening and closing tokens."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> np.ndarray:
        """Words per text, int64 ``(texts,)``."""
        return np.diff(self.offsets)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.flat[self.offsets[index] : self.offsets[index + 1]]

    def at(self, rows: np.ndarray, n: int) -> "Encoded":
        """These texts as the ``rows``, rising, of a corpus of ``n``, whose other texts are empty."""
        lengths = np.zeros(n, dtype=np.int64)
        lengths[rows] = self.lengths
        return replace(self, offsets=np.concatenate([[0], np.cumsum(lengths)]))


@dataclass(frozen=True)
class Vocabulary:
    """The known words. Number 0 is padding, 1 stands for every unknown word."""

    words: tuple[str, ...]

    @classmethod
    def build(cls, sentences: Iterable[Sequence[str]], min_count: int = 1) -> "Vocabulary":
        """Words seen at least ``min_count`` times, most frequent first, ties in code point order.

        The paper's dictionary holds every word of the data; ours is built from training texts only, since a word of
        the test set cannot be known (pass all sentences for the literal reading).
        """
        counts = Counter(word for sentence in sentences for word in sentence)
        kept = (word for word, count in counts.items() if count >= min_count)
        return cls(SPECIAL + tuple(sorted(kept, key=lambda word: (-counts[word], word))))

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    def encode(self, sentences: Sequence[Sequence[str]], max_length: int) -> Encoded:
        """Numbers of the first ``max_length`` words of each text (the paper: 169)."""
        kept = [[self.numbers.get(word, UNKNOWN) for word in sentence[:max_length]] for sentence in sentences]
        offsets = np.zeros(len(kept) + 1, dtype=np.int64)
        np.cumsum([len(numbers) for numbers in kept], out=offsets[1:])
        flat = np.fromiter((number for numbers in kept for number in numbers), dtype=np.int32, count=int(offsets[-1]))
        return Encoded(flat, offsets)
