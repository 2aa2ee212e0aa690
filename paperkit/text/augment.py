"""Texts in other words, for consistency training and contrastive learning (paper A §3.1, §3.2).

A text is cut into pieces, some of its words are changed, and it is put together again: what is no word (punctuation,
digits, in Chinese also Latin letters) stays, and a text in which nothing changes comes back as it was. What becomes of a
text depends on the seed, its id and the view, never on the texts around it.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from random import Random

import numpy as np

from paperkit import code
from paperkit.corpora.corpus import CORE, Corpus
from paperkit.errors import InputError
from paperkit.seeds import derive, python_generator
from paperkit.store import Store, write_atomically
from paperkit.text import edits
from paperkit.text.augmentation import WITH_LEXICON, Augmentation
from paperkit.text.lexicon import LANGUAGES, lexicon, match_case
from paperkit.text.pieces import cut, joined, pieces_of, word_places
from paperkit.text.tfidf import TfidfReplacement
from paperkit.text.translate import BackTranslation, Checked, Marian, checked, read_paraphrases


def augment(
    texts: Sequence[str],
    ids: Sequence[str],
    language: str,
    augmentation: Augmentation,
    seed: int,
    view: int,
    fit_on: Sequence[str] | None = None,
) -> list[str]:
    """Every text, changed.

    Args:
        ids: of each text; what it becomes depends on its id, ``seed``, ``view`` and the kind, not on its place.
        language: ``"zh"`` or ``"en"``.
        view: number of the version: an epoch, or 0 and 1 for the two sides of a pair.
        fit_on: texts that word frequencies are taken from, for ``"tfidf"``: of the training and unlabelled split alone.

    Raises:
        InputError: another language, ids of another number, no ``fit_on`` for ``"tfidf"``, or a lexicon, file or model
            that is not here.
    """
    if language not in LANGUAGES:
        raise InputError(f"language is {language!r}; texts are augmented in {', '.join(map(repr, LANGUAGES))}")
    if len(ids) != len(texts):
        raise InputError(f"{len(ids)} ids were given for {len(texts)} texts; accepted is one for each")
    if augmentation.kind == "none":
        return list(texts)
    if augmentation.kind == "back-translation":
        return _back_translated(texts, ids, augmentation, seed, view).texts
    table = None
    if augmentation.kind == "tfidf":
        if fit_on is None:
            raise InputError("augmentation 'tfidf' was given no fit_on; expected are texts of the training split")
        table = TfidfReplacement(_words(cut(text, language), language) for text in fit_on)
    return _all_changed((cut(text, language) for text in texts), ids, language, augmentation, seed, view, table)


def augmented(
    corpus: Corpus, rows: Iterable[int], augmentation: Augmentation, seed: int, view: int, store: Store
) -> list[str]:
    """:func:`augment` of some rows of a corpus (numbers of rows of its table), computed once.

    Word frequencies are those of all core texts of the training and unlabelled splits, whichever rows are asked for.

    Raises:
        InputError: as :func:`augment`; or a file of paraphrases has none for any of these rows.
    """
    rows = np.asarray(list(rows), dtype=np.int64)
    texts, ids = corpus.table.text.iloc[rows].tolist(), corpus.table.id.iloc[rows].tolist()
    if augmentation.kind == "none":
        return texts

    def build(folder: Path) -> None:
        if augmentation.kind == "back-translation":
            new = _back_translated(texts, ids, augmentation, seed, view, some=True).texts
        else:
            table = _fitted(corpus, store) if augmentation.kind == "tfidf" else None
            pieces = pieces_of(corpus, rows.tolist(), store)
            new = _all_changed(pieces, ids, corpus.language, augmentation, seed, view, table)
        write_atomically(folder / "texts.json", json.dumps(new))

    identity = {"corpus": corpus.checksum, "rows": hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest(),
                "seed": seed, "view": view, **rests_on(augmentation, corpus.language)}  # fmt: skip
    return json.loads((store.get("augmented", identity, build) / "texts.json").read_text(encoding="utf-8"))


def rests_on(augmentation: Augmentation, language: str) -> dict:
    """The kind and its numbers; of a lexicon, a file or models the content; the libraries that it passes through."""
    numbers = {"kind": augmentation.kind, "rate": augmentation.strength}
    content, libraries = None, ("jieba",) if language == "zh" else ()
    if augmentation.kind in WITH_LEXICON:
        content = lexicon(language, augmentation.lexicon).checksum
    elif augmentation.paraphrases is not None:
        content, libraries = read_paraphrases(augmentation.paraphrases).checksum, ()
    elif augmentation.kind == "back-translation":
        numbers |= {"temperature": augmentation.temperature, "beams": augmentation.beams}
        content = [each.identity for each in _models(augmentation)]
        libraries = ("torch", "transformers", "tokenizers")
    return {"options": numbers, "content": content, "code": code.digest("paperkit.text.augment"),
            "numerics": code.versions(*libraries)}  # fmt: skip


def _all_changed(
    texts: Iterable[Sequence[str]],
    ids: Sequence[str],
    language: str,
    augmentation: Augmentation,
    seed: int,
    view: int,
    table: TfidfReplacement | None,
) -> list[str]:
    changed = []
    for pieces, each in zip(texts, ids, strict=True):
        rng = python_generator(seed, "augmentation", augmentation.kind, each, view)
        text = joined(_changed(pieces, language, augmentation, table, rng), language)
        # where an English text has lost its first word
        changed.append(text if not pieces or pieces[0][0].isspace() else text.lstrip())
    return changed


def _changed(
    pieces: Sequence[str], language: str, augmentation: Augmentation, table: TfidfReplacement | None, rng: Random
) -> Sequence[str]:
    at, rate = word_places(pieces, language), augmentation.strength
    words = lexicon(language, augmentation.lexicon) if augmentation.kind in WITH_LEXICON else None
    match augmentation.kind:
        case "tfidf":
            return _replaced(pieces, at, rate, table, rng)
        case "repetition":
            return edits.repeat(pieces, rate, rng, at)
        case "repetition-one":
            return edits.repeat_one(pieces, rng, at)
        case "eda":
            return edits.eda(pieces, rate, words, rng, at)
        case "eda-negative":
            return edits.negative(pieces, words, rng, rate, at)
        case "synonyms":
            return edits.replace_synonyms(pieces, rate, words, rng, at)
        case "antonyms":
            return edits.replace_antonyms(pieces, rate, words, rng, at)
        case "insert":
            return edits.insert(pieces, rate, words, rng, at)
        case "swap":
            return edits.swap(pieces, rate, rng, at)
    return edits.delete(pieces, rate, rng, at)


def _words(pieces: Sequence[str], language: str) -> list[str]:
    """What word frequencies are taken of: capitals do not make another word."""
    return [pieces[place].lower() for place in word_places(pieces, language)]


def _replaced(
    pieces: Sequence[str], at: Sequence[int], p: float, table: TfidfReplacement, rng: Random
) -> Sequence[str]:
    words = [pieces[place].lower() for place in at]
    new = list(pieces)
    for place, word, other in zip(at, words, table.replace(words, p, rng), strict=True):
        if other != word:
            new[place] = match_case(other, pieces[place])
    return new


@lru_cache(maxsize=1)
def _fitted(corpus: Corpus, store: Store) -> TfidfReplacement:
    """Kept for the next view of the same corpus: it takes longer than the replacement."""
    table = corpus.table
    mine = np.flatnonzero((table.status == CORE) & table.split.isin(["train", "unlabelled"]))
    return TfidfReplacement(_words(pieces, corpus.language) for pieces in pieces_of(corpus, mine.tolist(), store))


def _models(augmentation: Augmentation) -> tuple[Marian, Marian]:
    names = (augmentation.forward, augmentation.backward)
    forward, backward = (Marian(name, augmentation.temperature, augmentation.beams) for name in names)
    return forward, backward


def _back_translated(
    texts: Sequence[str], ids: Sequence[str], augmentation: Augmentation, seed: int, view: int, some: bool = False
) -> Checked:
    """``some``: refuse a file in which nothing is found."""
    purpose = ("augmentation", augmentation.kind)
    if augmentation.paraphrases is None:
        seeds = [derive(seed, *purpose, each, view) for each in ids]
        return checked(texts, BackTranslation(*_models(augmentation))(texts, seeds))
    file = read_paraphrases(augmentation.paraphrases)
    found = [file.of(text, each, python_generator(seed, *purpose, each, view))
             for text, each in zip(texts, ids, strict=True)]  # fmt: skip
    if some and texts and not any(each is not None for each in found):
        raise InputError(f"{file.path} has a paraphrase of none of the {len(texts)} texts: expected their {file.key} in the "
                         f"column {file.key!r}, such as {ids[0] if file.key == 'id' else 'the text itself'}")  # fmt: skip
    return checked(texts, [text if new is None else new for text, new in zip(texts, found, strict=True)])
