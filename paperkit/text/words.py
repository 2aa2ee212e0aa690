"""Cleaning and segmentation (paper B §3.2, step 2).

jieba cuts first, then everything but Han words goes: emoji, punctuation, digits, Latin letters and stop words. The order
matters: cutting a text whose punctuation is already gone glues the end of one clause to the start of the next.

Texts in Latin letters, which paper B does not have but a user's table may, are lower-cased and cut into words.
"""

import logging
from collections.abc import Iterable, Sequence
from functools import cache

import regex

from paperkit import paths
from paperkit.errors import InputError

STOP_WORDS = ("none", "keep-negations", "literal")
_HAN_WORD = regex.compile(r"\p{Han}+")
_LETTERS = r"\p{Latin}[\p{Latin}\p{M}]*"  # a mark alone, such as behind an emoji, is no word
_LATIN_WORD = regex.compile(rf"{_LETTERS}(?:'{_LETTERS})?")


@cache
def word_list(name: str) -> frozenset[str]:
    """The words of ``data/words/<name>.txt``, one a line; ``#`` starts a comment."""
    lines = (paths.DATA / "words" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if (word := line.partition("#")[0].strip()))


def stop_words(language: str, which: str = "keep-negations") -> frozenset[str]:
    """Words to leave out.

    ``"keep-negations"`` is the stop list without the negations in it; ``"literal"`` is the stop list as the paper's
    sentence reads, which also deletes 不 and 没; ``"none"`` keeps every word.
    """
    if which not in STOP_WORDS:
        raise InputError(f"stop_words is {which!r}; accepted are {', '.join(map(repr, STOP_WORDS))}")
    if which == "none":
        return frozenset()
    words = word_list(f"stop_{language}")
    return words if which == "literal" else words - word_list(f"negations_{language}")


@cache
def quiet_jieba():
    """jieba, silenced, with its cache in our own store: the default one is shared by all users of the machine."""
    import jieba

    jieba.setLogLevel(logging.WARNING)
    folder = paths.store() / "jieba"
    folder.mkdir(parents=True, exist_ok=True)
    jieba.dt.tmp_dir = str(folder)
    return jieba


def cut(text: str, language: str) -> list[str]:
    """All words of one text in order, before stop words are taken out."""
    if language == "zh":
        return [word for word in quiet_jieba().cut(text) if _HAN_WORD.fullmatch(word)]
    return _LATIN_WORD.findall(text.lower().replace("’", "'"))


def segment(texts: Iterable[str], language: str, which: str = "keep-negations") -> list[list[str]]:
    """Words of each text, cleaned. A text may come out empty; callers report and drop it, they never crash."""
    left_out = stop_words(language, which)
    return [[word for word in cut(text, language) if word not in left_out] for text in texts]


def write_lines(path, sentences: Sequence[Sequence[str]]) -> None:
    """One text a line, words separated by blanks (no word holds one)."""
    path.write_text("".join(" ".join(words) + "\n" for words in sentences), encoding="utf-8")


def read_lines(path) -> list[list[str]]:
    """What :func:`write_lines` wrote. Split on ``\\n`` alone: Unicode knows more line ends than we write."""
    return [line.split(" ") if line else [] for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
