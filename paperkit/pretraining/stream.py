"""Pretraining text as one long row of tokens, cut into full sequences, and masked anew every time it is read."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from paperkit.pretraining.tokenizer import BORDER, END, MASK, SPECIAL, START
from paperkit.seeds import numpy_generator

IGNORED = -100
"""Target of a token that is not predicted."""


@dataclass(frozen=True)
class Stream:
    """Tokens of many documents, one after the other, each closed by ``</s>``."""

    tokens: np.ndarray
    """uint16 ``(tokens,)``."""
    words: np.ndarray
    """Which word each token belongs to, int32 ``(tokens,)``, rising; pieces of one word are masked together."""

    def sequences(self, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens and words cut into full sequences of ``length`` with ``<s>`` in front, int64 ``(n, length)``.

        No padding: a sequence may hold the end of one document and the start of the next (RoBERTa's FULL-SENTENCES).
        What is left over at the end is not used. The word of ``<s>`` is −1.
        """
        n = len(self.tokens) // (length - 1)
        tokens = np.full((n, length), START, dtype=np.int64)
        words = np.full((n, length), -1, dtype=np.int64)
        tokens[:, 1:] = self.tokens[: n * (length - 1)].reshape(n, length - 1)
        words[:, 1:] = self.words[: n * (length - 1)].reshape(n, length - 1)
        return tokens, words


def encode(texts: Iterable[str], tokenizer: Tokenizer) -> Stream:
    """The stream of ``texts``, whose Chinese words are parted by ``BORDER`` (see :func:`paperkit.pretraining.text.parted`).

    A word is a word of jieba, or what stands between blanks and punctuation; the tokeniser may merge across jieba's
    border (it is applied without), then the token belongs to the word in which it starts.
    """
    tokens, words, n_words = [], [], 0
    for text in texts:
        plain = text.replace(BORDER, "")
        encoding = tokenizer.encode(plain, add_special_tokens=False)
        starts = _word_starts(text)
        before = -1
        for token, (start, _) in zip(encoding.ids, encoding.offsets, strict=True):
            word = starts[min(start, len(starts) - 1)]
            n_words += word != before
            before = word
            tokens.append(token)
            words.append(n_words)
        n_words += 1
        tokens.append(END)
        words.append(n_words)
    return Stream(np.array(tokens, dtype=np.uint16), np.array(words, dtype=np.int32))


def _word_starts(text: str) -> list[int]:
    """The number of the word to which each character of ``text`` without borders belongs."""
    numbers, number, previous = [], 0, ""
    for character in text:
        # a blank belongs to the word after it, as ▁ does, also where jieba parts them
        if character == BORDER:
            number += not previous.isspace()
        else:
            if character.isspace() or (character.isalnum() != previous.isalnum() and not previous.isspace()):
                number += 1
            numbers.append(number)
        previous = character if character != BORDER else previous
    return numbers


def mask(
    tokens: np.ndarray, words: np.ndarray, vocabulary: int, seed: int, *purpose: str | int, share: float = 0.15
) -> tuple[np.ndarray, np.ndarray]:
    """Hide whole words (RoBERTa: dynamically, other ones each time).

    Each word is chosen with probability ``share``, all its tokens with it; of the chosen tokens 80 % become ``<mask>``,
    10 % another token, 10 % stay. ``<s>``, ``</s>`` are never chosen.

    Returns:
        Input and targets, int64 of the shape of ``tokens``; the target is :data:`IGNORED` where nothing is predicted.
    """
    generator = numpy_generator(seed, "mask", *purpose)
    row = np.arange(len(words))[:, None]
    # words of one sequence differ by less than its length, so this numbers the words of the batch
    local = words - words[:, 1:2] + 1
    draws = generator.random((len(words), int(local.max(initial=0)) + 2))
    chosen = (draws[row, np.maximum(local, 0)] < share) & (tokens >= len(SPECIAL))
    targets = np.where(chosen, tokens, IGNORED)
    fate = generator.random(tokens.shape)
    other = generator.integers(len(SPECIAL), vocabulary, tokens.shape)
    hidden = np.where(fate < 0.8, MASK, np.where(fate < 0.9, other, tokens))
    return np.where(chosen, hidden, tokens), targets
