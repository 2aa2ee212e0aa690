"""Synonyms and antonyms: our own short lists, or the public ones that the manifest names.

Our lists (``data/lexicon/``) hold words of the embedded corpora and of everyday Chinese and English; they can be edited.
A line of ``synonyms_*.txt`` is a group of words of which each may stand for any other; a line of ``antonyms_*.txt`` has two
such groups with ``|`` between them, each word of the one opposed to each of the other; ``#`` starts a comment.
"""

import hashlib
import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

import regex

from paperkit import paths
from paperkit.errors import InputError
from paperkit.text.augmentation import LEXICONS
from paperkit.text.words import stop_words

LANGUAGES = ("zh", "en")

_HAN_WORD = regex.compile(r"\p{Han}+")
_PAIR = regex.compile(r"(\p{Han}+)[―—─-]+(\p{Han}+)")  # a line of the public Chinese list; other lines are damaged
_SAME = "="  # after the code of a public Chinese group: synonyms; # are words of one kind, @ a word of its own

Groups = Iterable[tuple[list[str], list[str]]]


@dataclass(frozen=True, eq=False)
class Lexicon:
    """What may stand for a word, and what says the opposite. Single words only, function words left out."""

    name: str
    """``source-language``, e.g. ``"embedded-zh"``."""
    checksum: str
    """sha256 of what it was read from."""
    _synonyms: dict[str, tuple[str, ...]] = field(repr=False)
    _antonyms: dict[str, tuple[str, ...]] = field(repr=False)

    def synonyms(self, word: str) -> tuple[str, ...]:
        """Words for the same, written as ``word`` is: ``Rose`` gives ``Climbed``. Empty for an unknown word."""
        return _written_as(word, self._synonyms)

    def antonyms(self, word: str) -> tuple[str, ...]:
        """Words for the opposite, in the same way."""
        return _written_as(word, self._antonyms)


def match_case(word: str, model: str) -> str:
    """``word`` in capitals or with a capital, as ``model`` is."""
    if model == model.lower():
        return word
    return word.upper() if len(model) > 1 and model.isupper() else word[:1].upper() + word[1:]


def _written_as(word: str, table: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    key = word.lower()
    found = table.get(key, ())
    return found if key == word else tuple(match_case(other, word) for other in found)


@cache
def lexicon(language: str, source: str = "embedded") -> Lexicon:
    """The lexicon of a language.

    Args:
        language: ``"zh"`` or ``"en"``.
        source: ``"embedded"``, ours; or ``"public"``, the manifest's ``lexicon-zh`` (of its groups those of synonyms, not
            those of related words) or ``lexicon-en`` (the Open English WordNet: all senses, base forms alone, so that
            ``prices`` is unknown).

    Raises:
        InputError: another language or source, a line that cannot be read, or public files that are not here.
    """
    if language not in LANGUAGES:
        raise InputError(f"language is {language!r}; there are lexicons of {', '.join(map(repr, LANGUAGES))}")
    if source not in LEXICONS:
        raise InputError(f"lexicon is {source!r}; accepted are {', '.join(map(repr, LEXICONS))}")
    if source == "public":
        # not an import: what downloads and checks files is no part of what a result rests on, their content is
        contents = importlib.import_module("paperkit.corpora.public").files(f"lexicon-{language}")
        synonyms, antonyms = {"zh": _public_zh, "en": _public_en}[language](contents)
    else:
        names = [f"{kind}_{language}.txt" for kind in ("synonyms", "antonyms")]
        contents = {name: (paths.DATA / "lexicon" / name).read_bytes() for name in names}
        synonyms, antonyms = (_embedded(name, contents[name]) for name in names)
    left_out = stop_words(language)
    rests_on = [*(contents[name] for name in sorted(contents)), "\n".join(sorted(left_out)).encode()]
    digest = hashlib.sha256(b"\0".join(rests_on)).hexdigest()
    return Lexicon(f"{source}-{language}", digest, _table(synonyms, left_out), _table(antonyms, left_out))


def _table(groups: Groups, left_out: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Both sides of each pair of groups are looked up; what is found is in the order of the file."""
    found: dict[str, dict[str, None]] = {}
    for left, right in groups:
        for words, others in ((left, right), (right, left)):
            for word in words:
                found.setdefault(word, {}).update(dict.fromkeys(others))
    table = {
        word: tuple(other for other in others if other != word and other not in left_out)
        for word, others in found.items()
        if word not in left_out
    }
    return {word: others for word, others in table.items() if others}


def _embedded(name: str, content: bytes) -> Groups:
    for number, line in enumerate(content.decode("utf-8").splitlines(), start=1):
        sides = [side.split() for side in line.partition("#")[0].split("|")]
        if sides == [[]]:
            continue
        wanted = 1 if name.startswith("synonyms") else 2
        if len(sides) != wanted or not all(sides) or (wanted == 1 and len(sides[0]) < 2):
            expected = "two words or more" if wanted == 1 else "words | their opposites"
            raise InputError(f"data/lexicon/{name}, line {number}: found {line.strip()!r}, expected {expected}")
        yield sides[0], sides[-1]


def _public_zh(contents: dict[str, bytes]) -> tuple[Groups, Groups]:
    def synonyms() -> Iterator[tuple[list[str], list[str]]]:
        for line in contents["dict_synonym.txt"].decode("utf-8").splitlines():
            code, *words = line.split()
            if code.endswith(_SAME):
                words = [word for word in words if _HAN_WORD.fullmatch(word)]
                yield words, words

    def antonyms() -> Iterator[tuple[list[str], list[str]]]:
        for line in contents["dict_antonym.txt"].decode("utf-8").splitlines():
            if pair := _PAIR.fullmatch(line.strip()):
                yield [pair[1]], [pair[2]]

    return synonyms(), antonyms()


def _public_en(contents: dict[str, bytes]) -> tuple[Groups, Groups]:
    def rows(name: str) -> Iterator[list[str]]:
        return (line.split("\t") for line in contents[name].decode("utf-8").splitlines())

    def single(words: Iterable[str]) -> list[str]:
        return [word.lower() for word in words if word.isalpha()]

    synonyms = ((words, words) for row in rows("oewn_synsets.tsv") if len(words := single(row[2].split("|"))) > 1)
    antonyms = ((single(row[:1]), single(row[2:])) for row in rows("oewn_antonyms.tsv"))
    return synonyms, antonyms
