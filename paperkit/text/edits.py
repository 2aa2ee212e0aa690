"""Edits of a text as pure functions: ESimCSE's word repetition, EDA's operations, paper A's negatives and their labels.

Every function takes a list of words (or token numbers), leaves it as it is and returns a new one. ``at`` holds the places
that may be changed, in ascending order: the words among the pieces of a text, or the tokens that are not special ones; all
by default. Nothing fails on an empty list. All randomness is drawn from ``rng``; see :func:`paperkit.seeds.python_generator`.
"""

import math
import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from paperkit.text.lexicon import Lexicon

Item = TypeVar("Item")


def repeat(items: Sequence[Item], rate: float, rng: random.Random, at: Sequence[int] | None = None) -> list[Item]:
    """ESimCSE's positive (Wu et al. 2022, eqs (3), (4)): some words twice, each where it stands::

        dup_len ~ U{0, …, max(2, ⌊rate · T⌋)}        T: number of words, rate ``dup_rate``, released .32 and .30

    that many different places are repeated. Differs from the authors' release: dup_len is at most T, where theirs fails on
    texts of fewer words than it draws, and the first word may be repeated (theirs keeps the place of [CLS] out, as ``at``
    does).
    """
    at = _places(items, at)
    longest = min(len(at), max(2, math.floor(rate * len(at))))
    return _twice(items, rng.sample(at, rng.randint(0, longest)))


def repeat_one(items: Sequence[Item], rng: random.Random, at: Sequence[int] | None = None) -> list[Item]:
    """Paper A's prose, literally (§3.2, 一个字词): one word twice, whatever the length of the text."""
    at = _places(items, at)
    return _twice(items, [rng.choice(at)] if at else [])


def swap(items: Sequence[Item], alpha: float, rng: random.Random, at: Sequence[int] | None = None) -> list[Item]:
    """EDA's random swap (Wei & Zou 2019): ⌊alpha · T⌋ times, at least once, two words change places."""
    at, changed = _places(items, at), list(items)
    if len(at) > 1:
        for _ in range(_count(alpha, at)):
            one, other = rng.sample(at, 2)
            changed[one], changed[other] = changed[other], changed[one]
    return changed


def delete(items: Sequence[Item], alpha: float, rng: random.Random, at: Sequence[int] | None = None) -> list[Item]:
    """EDA's random deletion: each word goes with probability ``alpha``. One word, drawn at random, always stays."""
    at = _places(items, at)
    gone = {place for place in at if rng.random() < alpha}
    if at and len(gone) == len(at):
        gone.remove(rng.choice(at))
    return [item for place, item in enumerate(items) if place not in gone]


def insert(
    items: Sequence[str], alpha: float, lexicon: Lexicon, rng: random.Random, at: Sequence[int] | None = None
) -> list[str]:
    """EDA's random insertion: ⌊alpha · T⌋ times, at least once, a synonym of some word is put before or after another.

    Differs from the authors' release: a word that has synonyms is looked for among all, not by ten random tries, and a
    synonym of an inserted word is not inserted.
    """
    at = _places(items, at)
    sources = [place for place in at if lexicon.synonyms(items[place])]
    if not sources:
        return list(items)
    spots = [*at, at[-1] + 1]
    new = defaultdict(list)
    for _ in range(_count(alpha, at)):
        word = rng.choice(lexicon.synonyms(items[rng.choice(sources)]))
        new[rng.choice(spots)].append(word)
    return [word for place in range(len(items) + 1) for word in (*new.get(place, ()), *items[place : place + 1])]


def replace_synonyms(
    items: Sequence[str], alpha: float, lexicon: Lexicon, rng: random.Random, at: Sequence[int] | None = None
) -> list[str]:
    """EDA's synonym replacement: ⌊alpha · T⌋ words, at least one, of those that have synonyms.

    Differs from the authors' release: of a word that occurs twice one occurrence may stay.
    """
    return _replace(items, alpha, lexicon.synonyms, rng, at)


def replace_antonyms(
    items: Sequence[str], alpha: float, lexicon: Lexicon, rng: random.Random, at: Sequence[int] | None = None
) -> list[str]:
    """Paper A's antonym replacement: as :func:`replace_synonyms`. EDA itself has none."""
    return _replace(items, alpha, lexicon.antonyms, rng, at)


def eda(
    items: Sequence[str], alpha: float, lexicon: Lexicon, rng: random.Random, at: Sequence[int] | None = None
) -> list[str]:
    """One of EDA's four operations (synonym replacement, random insertion, swap, deletion), as in the authors' release.

    They come in a random order; the first that changes anything is taken. Without one, the words come back as they were.
    """
    ways = [
        lambda: replace_synonyms(items, alpha, lexicon, rng, at),
        lambda: insert(items, alpha, lexicon, rng, at),
        lambda: swap(items, alpha, rng, at),
        lambda: delete(items, alpha, rng, at),
    ]
    return _first_change(items, ways, rng)


def negative(
    items: Sequence[str], lexicon: Lexicon, rng: random.Random, alpha: float = 0.1, at: Sequence[int] | None = None
) -> list[str]:
    """Paper A's negative (§3.2): random insertion, antonym replacement or random deletion, one of them.

    The paper does not say whether a text meets one or all three; one is what EDA does, and what 随机的 suggests. They come
    in a random order and the first that changes anything is taken, so only a text on which none can act comes back as it
    was. Whether it is a negative is decided by its label, :func:`rounded` of its :func:`edit_similarity` to the text.
    """
    ways = [
        lambda: insert(items, alpha, lexicon, rng, at),
        lambda: replace_antonyms(items, alpha, lexicon, rng, at),
        lambda: delete(items, alpha, rng, at),
    ]
    return _first_change(items, ways, rng)


def edit_similarity(a: Sequence[Hashable], b: Sequence[Hashable]) -> float:
    """1 − Levenshtein(a, b) / max(|a|, |b|), in [0, 1]: of characters for strings, else of items; 1 if both are empty."""
    from rapidfuzz.distance import Levenshtein

    if not isinstance(a, str) or not isinstance(b, str):
        numbers: dict[Hashable, int] = {}  # rapidfuzz compares hashes, and those of −1 and −2 are equal
        a, b = ([numbers.setdefault(item, len(numbers)) for item in each] for each in (a, b))
    longest = max(len(a), len(b))
    return 1 - Levenshtein.distance(a, b) / longest if longest else 1.0


def rounded(similarity: float) -> int:
    """Paper A's label of a pair (取整): ⌊s + .5⌋. 0 is a negative, 1 is ignored."""
    return math.floor(similarity + 0.5)


def _places(items: Sequence, at: Sequence[int] | None) -> Sequence[int]:
    return range(len(items)) if at is None else at


def _count(alpha: float, at: Sequence[int]) -> int:
    return max(1, math.floor(alpha * len(at)))


def _twice(items: Sequence[Item], places: Sequence[int]) -> list[Item]:
    chosen = set(places)
    return [item for place, item in enumerate(items) for _ in range(2 if place in chosen else 1)]


def _replace(
    items: Sequence[str],
    alpha: float,
    others: Callable[[str], Sequence[str]],
    rng: random.Random,
    at: Sequence[int] | None,
) -> list[str]:
    at, changed = _places(items, at), list(items)
    sources = [place for place in at if others(items[place])]
    if sources:
        for place in rng.sample(sources, min(len(sources), _count(alpha, at))):
            changed[place] = rng.choice(others(items[place]))
    return changed


def _first_change(items: Sequence[str], ways: list[Callable[[], list[str]]], rng: random.Random) -> list[str]:
    for way in rng.sample(ways, len(ways)):
        if (changed := way()) != list(items):
            return changed
    return list(items)
