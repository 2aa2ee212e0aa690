"""Typos: one edit inside a word, of the kinds that are promised, decided by the seed alone."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperkit.evaluate.typos import KINDS, NEIGHBOURS, SHORTEST, _changed, typos

ENGLISH = st.text("abcdeXYZ'é", max_size=9)
CHINESE = st.text("酒店房间很好", max_size=6)


def one_edit(a: str, b: str) -> bool:
    """Whether b is a with one character deleted, inserted or replaced, or two neighbours swapped: by trying all of them."""
    places = range(len(a))
    made = {a[:i] + a[i + 1 :] for i in places} | {a[:i] + a[i + 1] + a[i] + a[i + 2 :] for i in places[:-1]}
    made |= {a[:i] + c + a[i:] for i in range(len(a) + 1) for c in set(b)}
    made |= {a[:i] + c + a[i + 1 :] for i in places for c in set(b)}
    return b in made


@given(word=ENGLISH, count=st.integers(1, 6), seed=st.integers(0, 2**32))
def test_english_typos_are_one_edit_away_and_keep_both_ends(word, count, seed):
    found = typos(word, "en", count, random.Random(seed))
    assert len(found) <= count and len(set(found)) == len(found) and word not in found
    assert found == typos(word, "en", count, random.Random(seed))
    assert not found or len(word) >= SHORTEST["en"]
    for each in found:
        assert one_edit(word, each) and each[0] == word[0] and each[-1] == word[-1]


@given(word=CHINESE, count=st.integers(1, 4), seed=st.integers(0, 2**32))
def test_chinese_typos_swap_neighbours_or_take_a_character_of_the_corpus(word, count, seed):
    for each in typos(word, "zh", count, random.Random(seed), "山水"):
        differing = [i for i in range(len(word)) if word[i] != each[i]]
        assert len(each) == len(word) >= SHORTEST["zh"] and one_edit(word, each)
        if len(differing) == 1:
            assert each[differing[0]] in "山水"
        else:
            assert Counter(each) == Counter(word) and differing == [differing[0], differing[0] + 1]


def test_what_cannot_be_changed_has_no_typos():
    rng = random.Random(0)
    assert typos("", "en", 3, rng) == typos("cat", "en", 3, rng) == typos("不", "zh", 3, rng, "山") == ()
    assert typos("人人", "zh", 3, rng) == (), "equal neighbours, and no characters to take"
    assert set(typos("天天", "zh", 4, rng, "天地")) == {"地天", "天地"}


@pytest.mark.parametrize(("language", "word"), [("en", "billing"), ("zh", "酒店")])
def test_every_kind_changes_what_it_says(language, word):
    lengths = {"swap": 0, "delete": -1, "insert": 1, "key": 0, "substitute": 0}
    for kind in KINDS[language]:
        for seed in range(20):
            new = _changed(word, kind, language, random.Random(seed), "山水")
            assert len(new) - len(word) == lengths[kind]
            if kind == "key":
                (at,) = (i for i in range(len(word)) if word[i] != new[i])
                assert new[at] in NEIGHBOURS[word[at]]
    first = {typos(word, language, 1, random.Random(seed), "山水")[0] for seed in range(40)}
    assert len(first) > 3, "kinds and places vary"


def test_the_keyboard():
    assert set(NEIGHBOURS["g"]) == set("tyfhvb") and set(NEIGHBOURS["q"]) == set("wa")
    assert all(one in NEIGHBOURS[other] for one, others in NEIGHBOURS.items() for other in others)
    assert _changed("LOUD", "key", "en", random.Random(0), "")[1:3].isupper()
