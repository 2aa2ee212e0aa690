"""Slips of the pen: one letter or character of a word changed, as people mistype (a word stays one word)."""

import random
from collections.abc import Sequence
from itertools import cycle

SHORTEST = {"zh": 2, "en": 4}
"""Characters of the shortest word that is changed: others have no inside, and in Chinese 不 would become another word."""
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
KINDS = {"zh": ("swap", "substitute"), "en": ("swap", "delete", "insert", "key")}
TRIES = 6
"""Draws for each typo wanted: some draws change nothing, or repeat another one."""


def _neighbours() -> dict[str, str]:
    """Of each letter those beside it on a keyboard; the rows are shifted by half a key each."""
    place = {letter: (y, x + y / 2) for y, row in enumerate(ROWS) for x, letter in enumerate(row)}
    return {one: "".join(other for other, (v, u) in place.items()
                         if other != one and abs(v - y) <= 1 and abs(u - x) <= 1)
            for one, (y, x) in place.items()}  # fmt: skip


NEIGHBOURS = _neighbours()


def typos(word: str, language: str, count: int, rng: random.Random, characters: Sequence[str] = ()) -> tuple[str, ...]:
    """Up to ``count`` different typos of a word, each one edit away, their kinds in turn; none of a word that is too short.

    English (Pruthi et al. 2019): two inner letters swapped, one deleted, one inserted, or one replaced by a neighbour on
    the keyboard; first and last letter stay. Chinese: two neighbouring characters swapped, or one replaced by one of
    ``characters``; nothing without any.
    """
    if len(word) < SHORTEST[language]:
        return ()
    kinds = [kind for kind in KINDS[language] if kind != "substitute" or characters]
    found: dict[str, None] = {}
    for kind, _ in zip(cycle(rng.sample(kinds, len(kinds))), range(TRIES * count), strict=False):
        if (new := _changed(word, kind, language, rng, characters)) != word:
            found.setdefault(new)
        if len(found) == count:
            break
    return tuple(found)


def _changed(word: str, kind: str, language: str, rng: random.Random, characters: Sequence[str]) -> str:
    edge = 0 if language == "zh" else 1
    at = rng.randrange(edge, len(word) - edge)
    match kind:
        case "swap":
            at = rng.randrange(edge, len(word) - edge - 1)
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        case "substitute":
            return word[:at] + rng.choice(characters) + word[at + 1 :]
        case "delete":
            return word[:at] + word[at + 1 :]
        case "insert":
            return word[:at] + rng.choice("abcdefghijklmnopqrstuvwxyz") + word[at:]
    near = NEIGHBOURS.get(word[at].lower())
    if not near:
        return word
    new = rng.choice(near)
    return word[:at] + (new.upper() if word[at].isupper() else new) + word[at + 1 :]
