"""TF-IDF replacement against plain loops, and where the authors' release would fail."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperkit.errors import InputError
from paperkit.text.tfidf import TfidfReplacement

TEXTS = [["a", "b", "a", "c"], ["a", "d"], ["a", "b"], [], ["e", "e", "b", "a", "d"]]
WORDS = st.lists(st.sampled_from("abcdex"), max_size=10)


def naive_probabilities(texts, words, p):
    """The formula, a word at a time."""

    def idf(word):
        return math.log(len(texts) / max(1, sum(word in text for text in texts)))

    tfidf = [sum(other == word for other in words) / len(words) * idf(word) for word in words]
    total = sum(max(tfidf) - score for score in tfidf)
    if total == 0:
        return [p] * len(words)
    return [min(1, p * len(words) * (max(tfidf) - score) / total) for score in tfidf]


@given(words=WORDS.filter(len), p=st.floats(0, 1), texts=st.lists(WORDS, min_size=1, max_size=6).filter(any))
def test_probabilities_are_the_formula(words, p, texts):
    found = TfidfReplacement(texts).probabilities(words, p)
    expected = naive_probabilities(texts, words, p)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9) and all(0 <= each <= 1 for each in found)
    if max(found) < 1:
        assert sum(found) == pytest.approx(p * len(words)), "p · n words on average"


def test_probabilities_by_hand():
    table = TfidfReplacement([["a"], ["a", "b"]])  # idf: a 0, b log 2
    assert table.probabilities(["a", "a", "a", "b"], 0.3) == pytest.approx([0.4, 0.4, 0.4, 0])
    assert table.probabilities(["a", "b"], 0.9) == [1, 0], "clipped"
    assert table.probabilities(["a", "new"], 0.3) == [0.6, 0], "an unseen word is as rare as one of a single text"
    assert table.probabilities(["b", "new"], 0.3) == [0.3, 0.3], "equal scores"
    assert table.probabilities([], 0.3) == table.replace([], 0.3, random.Random(0)) == []
    assert table.replace(["x"], 0.0, random.Random(0)) == ["x"]


def test_new_words_are_those_that_say_little():
    table = TfidfReplacement(TEXTS)
    scores = Counter()
    for text in TEXTS:
        for word in text:
            scores[word] += math.log(len(TEXTS) / sum(word in other for other in TEXTS)) / len(text)
    weights = {word: max(scores.values()) - score for word, score in scores.items()}
    drawn = Counter(table.replace(["x"] * 20_000, 1.0, random.Random(0)))
    for word, weight in weights.items():
        share = weight / sum(weights.values())
        assert abs(drawn[word] / 20_000 - share) < 4 * math.sqrt(share * (1 - share) / 20_000) + 1e-12, word
    assert sum(weight == 0 for weight in weights.values()) == 1, "the word that says most is never drawn"


@pytest.mark.parametrize("texts", [[["a"]], [["a", "b"]], [["a"], ["b"], ["c"]]])
def test_words_that_say_equally_much_are_drawn_alike(texts):
    words = {word for text in texts for word in text}
    drawn = Counter(TfidfReplacement(texts).replace(["x"] * 3000, 1.0, random.Random(0)))
    assert set(drawn) == words and all(abs(count - 3000 / len(words)) < 150 for count in drawn.values())


@given(words=WORDS, seed=st.integers(0, 99), texts=st.permutations(TEXTS))
def test_replacement_keeps_the_length_and_follows_the_seed(words, seed, texts):
    table, before = TfidfReplacement(TEXTS), list(words)
    new = table.replace(words, 0.5, random.Random(seed))
    assert len(new) == len(words) and words == before and set(new) <= {*words, *"abcde"}
    assert new == table.replace(words, 0.5, random.Random(seed))
    assert TfidfReplacement(texts).words == table.words


@pytest.mark.parametrize("texts", [[], [[]], [[], []]])
def test_nothing_to_fit_on_is_refused(texts):
    with pytest.raises(InputError, match=r"^TF-IDF replacement was given no words to fit on; expected texts of the"):
        TfidfReplacement(texts)
