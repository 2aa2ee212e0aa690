"""A text as pieces that give it back: its words, and all that stands between them."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import regex
from safetensors.numpy import load_file, save_file

from paperkit import code
from paperkit.corpora.corpus import Corpus
from paperkit.store import Store
from paperkit.text.words import quiet_jieba

_ENGLISH_PIECE = regex.compile(r"\w+(?:['’]\w+)*|\W+")
_CLAUSES = regex.compile("([，。；：！？、])")
_WORDLIKE = regex.compile(r"\w")
_LETTERS = r"\p{L}[\p{L}\p{M}]*"
_WORD = {"zh": regex.compile(r"\p{Han}+"), "en": regex.compile(rf"{_LETTERS}(?:['’]{_LETTERS})*")}


@lru_cache(maxsize=1 << 15)
def cut(text: str, language: str) -> tuple[str, ...]:
    """All of ``text`` in order: jieba's words in Chinese, in English runs of letters and digits and what parts them.

    Remembered, since jieba takes longer than any change of the words and a text is cut for each of its views.
    """
    if language == "zh":
        return tuple(piece for clause in _CLAUSES.split(text) for piece in _cut_clause(clause))
    return tuple(map(sys.intern, _ENGLISH_PIECE.findall(text)))


@lru_cache(maxsize=1 << 16)
def _cut_clause(clause: str) -> tuple[str, ...]:
    """jieba never joins what punctuation parts, and phrases come again in other texts."""
    return tuple(map(sys.intern, quiet_jieba().cut(clause)))


def word_places(pieces: Sequence[str], language: str) -> list[int]:
    """Which pieces are words: runs of Han characters in Chinese, in English of letters, ``don't`` being one."""
    return [place for place, piece in enumerate(pieces) if _is_word(piece, language)]


def joined(pieces: Sequence[str], language: str) -> str:
    """The text; exactly as it was when no piece has changed.

    In English a blank comes between words that have become neighbours, and of two blanks, once on either side of a word
    that is gone, one stays: the line end if there is one.
    """
    if language == "zh":
        return "".join(pieces)
    parts: list[str] = []
    last = ""
    for piece in pieces:
        after, before = _edges(last)[1], _edges(piece)[0]
        if after == before == "word":
            parts.append(" ")
        elif after == before == "blank":
            if piece[0] == " ":
                piece = piece[1:]
            else:
                parts[-1] = parts[-1][:-1]
        if piece:
            parts.append(piece)
            last = piece
    return "".join(parts)


@lru_cache(maxsize=1 << 16)
def _is_word(piece: str, language: str) -> bool:
    return bool(_WORD[language].fullmatch(piece))


@lru_cache(maxsize=1 << 16)
def _edges(piece: str) -> tuple[str, ...]:
    """What stands at the beginning and the end: part of a word, a blank, or something else."""
    ends = piece[:1], piece[-1:]
    return tuple("word" if _WORDLIKE.match(end) else "blank" if end.isspace() else "" for end in ends)


def pieces_of(corpus: Corpus, rows: Iterable[int], store: Store) -> Iterator[Sequence[str]]:
    """The pieces of some rows' texts; jieba cuts a corpus once."""
    texts = corpus.table.text.tolist()
    if corpus.language != "zh":
        yield from (cut(texts[row], corpus.language) for row in rows)
        return

    def build(folder: Path) -> None:
        lengths = [[len(piece) for piece in cut(text, corpus.language)] for text in texts]
        offsets = np.cumsum([0, *map(len, lengths)], dtype=np.int64)
        flat = np.fromiter((length for each in lengths for length in each), np.int32, int(offsets[-1]))
        save_file({"flat": flat, "offsets": offsets}, folder / "pieces.safetensors")

    identity = {"corpus": corpus.checksum, "code": code.digest("paperkit.text.pieces"),
                "numerics": code.versions("jieba")}  # fmt: skip
    arrays = load_file(store.get("pieces", identity, build) / "pieces.safetensors")
    flat, offsets = arrays["flat"], arrays["offsets"]
    for row in rows:
        ends = np.cumsum(flat[offsets[row] : offsets[row + 1]]).tolist()
        yield [texts[row][start:end] for start, end in zip([0, *ends], ends, strict=False)]
