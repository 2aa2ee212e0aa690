"""Edits as pure functions: what they keep, what they change, and the formulas against plain loops."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperkit.text import edits
from paperkit.text.edits import edit_similarity, rounded
from paperkit.text.lexicon import Lexicon

LEXICON = Lexicon("test", "", {"b": ("B",), "c": ("C", "K")}, {"a": ("z",), "c": ("y",)})
ITEMS = st.lists(st.sampled_from("abcd"), max_size=12)
RATES = st.floats(0, 1)
SEEDS = st.integers(0, 2**32)

EVERY = {
    "repeat": lambda items, rate, rng, at=None: edits.repeat(items, rate, rng, at),
    "repeat_one": lambda items, rate, rng, at=None: edits.repeat_one(items, rng, at),
    "swap": lambda items, rate, rng, at=None: edits.swap(items, rate, rng, at),
    "delete": lambda items, rate, rng, at=None: edits.delete(items, rate, rng, at),
    "insert": lambda items, rate, rng, at=None: edits.insert(items, rate, LEXICON, rng, at),
    "synonyms": lambda items, rate, rng, at=None: edits.replace_synonyms(items, rate, LEXICON, rng, at),
    "antonyms": lambda items, rate, rng, at=None: edits.replace_antonyms(items, rate, LEXICON, rng, at),
    "eda": lambda items, rate, rng, at=None: edits.eda(items, rate, LEXICON, rng, at),
    "negative": lambda items, rate, rng, at=None: edits.negative(items, LEXICON, rng, rate, at),
}


def subsequence(short, long):
    rest = iter(long)
    return all(item in rest for item in short)


@pytest.mark.parametrize("name", EVERY)
@given(items=ITEMS, rate=RATES, seed=SEEDS)
def test_nothing_fails_nothing_is_changed_in_place_and_a_seed_decides(name, items, rate, seed):
    before = list(items)
    once, again = (EVERY[name](items, rate, random.Random(seed)) for _ in range(2))
    assert once == again and items == before and once is not items and type(once) is list
    assert EVERY[name](tuple(items), rate, random.Random(seed)) == once
    assert (once == []) == (items == [])


@pytest.mark.parametrize("name", EVERY)
@given(items=ITEMS, rate=RATES, seed=SEEDS, data=st.data())
def test_only_the_given_places_change(name, items, rate, seed, data):
    at = sorted(data.draw(st.sets(st.sampled_from(range(len(items)))) if items else st.just(set())))
    fixed = [f"<{place}>" if place not in at else item for place, item in enumerate(items)]
    changed = EVERY[name](fixed, rate, random.Random(seed), at)
    marks = [item for item in fixed if item.startswith("<")]
    assert [item for item in changed if item.startswith("<")] == marks
    assert at or changed == fixed


@given(items=ITEMS, rate=RATES, seed=SEEDS)
def test_repetition(items, rate, seed):
    numbered = list(enumerate(items))
    changed = edits.repeat(numbered, rate, random.Random(seed))
    counts = Counter(changed)
    assert set(counts) == set(numbered) and set(counts.values()) <= {1, 2}, "different places, none lost"
    assert sorted(changed) == changed, "each stands beside itself"
    assert len(changed) - len(items) <= min(len(items), max(2, math.floor(rate * len(items))))


@pytest.mark.parametrize(
    ("length", "rate", "longest"), [(0, 0.3, 0), (1, 0.3, 1), (2, 0.3, 2), (5, 0.1, 2), (20, 0.32, 6)]
)
def test_the_number_of_repeated_words_is_uniform_up_to_its_largest(length, rate, longest):
    counts = Counter(len(edits.repeat(range(length), rate, random.Random(seed))) - length for seed in range(1400))
    assert set(counts) == set(range(longest + 1))
    expected = 1400 / (longest + 1)
    assert all(abs(count - expected) < 5 * math.sqrt(expected) for count in counts.values())


def test_every_place_is_repeated_alike():
    doubled = Counter()
    for seed in range(3000):
        doubled += Counter(edits.repeat_one(range(4), random.Random(seed))) - Counter(range(4))
    assert doubled.total() == 3000 and all(abs(doubled[place] - 750) < 130 for place in range(4))


@given(items=ITEMS, rate=RATES, seed=SEEDS)
def test_swapping_is_a_permutation_and_deletion_a_subsequence(items, rate, seed):
    assert sorted(edits.swap(items, rate, random.Random(seed))) == sorted(items)
    assert subsequence(edits.delete(items, rate, random.Random(seed)), items)


def test_deletion_takes_its_share_and_leaves_one():
    left = [len(edits.delete(range(50), 0.2, random.Random(seed))) for seed in range(400)]
    assert abs(sum(left) / 400 - 40) < 0.6
    assert {tuple(edits.delete("abc", 1.0, random.Random(seed))) for seed in range(40)} == {("a",), ("b",), ("c",)}
    assert edits.delete("abc", 0.0, random.Random(0)) == ["a", "b", "c"]


@given(items=ITEMS, rate=RATES, seed=SEEDS)
def test_insertion_adds_synonyms_of_what_is_there(items, rate, seed):
    changed = edits.insert(items, rate, LEXICON, random.Random(seed))
    added = len(changed) - len(items)
    assert added == (max(1, math.floor(rate * len(items))) if {"b", "c"} & set(items) else 0)
    assert [item for item in changed if item.islower()] == items
    assert {item.lower().replace("k", "c") for item in changed if item.isupper()} <= set(items)


def test_a_word_is_inserted_anywhere():
    outcomes = {"".join(edits.insert("ab", 0.1, LEXICON, random.Random(seed))) for seed in range(60)}
    assert outcomes == {"Bab", "aBb", "abB"}


@pytest.mark.parametrize(
    ("name", "others"), [("synonyms", {"b": "B", "c": "CK"}), ("antonyms", {"a": "z", "c": "y"})]
)  # fmt: skip
@given(items=ITEMS, rate=RATES, seed=SEEDS)
def test_replacement_keeps_places_and_takes_what_the_lexicon_has(name, others, items, rate, seed):
    changed = EVERY[name](items, rate, random.Random(seed))
    pairs = [(old, new) for old, new in zip(items, changed, strict=True) if old != new]
    assert all(new in others[old] for old, new in pairs)
    possible = sum(item in others for item in items)
    assert len(pairs) == min(possible, max(1, math.floor(rate * len(items))))


def test_one_operation_is_taken_and_another_where_it_can_do_nothing():
    outcomes = {"".join(edits.negative("ab", LEXICON, random.Random(seed))) for seed in range(200)}
    assert outcomes == {"Bab", "aBb", "abB", "zb", "a", "b"}, "insertion, antonym, deletion: one of them"
    assert edits.negative("d", LEXICON, random.Random(0)) == ["d"], "none can act"
    assert {"".join(edits.negative("a", LEXICON, random.Random(seed), 0.5)) for seed in range(40)} == {"z"}
    outcomes = {"".join(edits.eda("db", 0.1, LEXICON, random.Random(seed))) for seed in range(200)}
    assert outcomes == {"dB", "Bdb", "dBb", "dbB", "bd", "d", "b"}, "no antonyms among EDA's own"


def levenshtein(a, b):
    """The table, cell by cell."""
    table = [[max(i, j) for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            change = table[i - 1][j - 1] + (a[i - 1] != b[j - 1])
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, change)
    return table[-1][-1]


TEXTS = st.text(st.sampled_from("好坏ab，👍"), max_size=9)


@given(TEXTS | st.lists(st.integers(-2, 1), max_size=7), TEXTS | st.lists(st.integers(-2, 1), max_size=7))
def test_similarity_is_the_plain_table(a, b):
    longest = max(len(a), len(b))
    expected = 1 - levenshtein(a, b) / longest if longest else 1.0
    assert edit_similarity(a, b) == expected == edit_similarity(b, a)
    assert rounded(expected) == (2 * levenshtein(a, b) <= longest)


def test_labels():
    assert edit_similarity("", "") == 1 and edit_similarity("", "好") == 0
    assert edit_similarity("好酒店", "坏酒店") == pytest.approx(2 / 3)
    assert edit_similarity(["好", "酒店"], ["坏", "酒店"]) == 0.5, "of words: one of two"
    assert edit_similarity([-1], [-2]) == 0, "equal hashes are not equal items"
    assert [rounded(similarity) for similarity in (0, 0.49, 0.5, 0.51, 1)] == [0, 0, 1, 1, 1]
