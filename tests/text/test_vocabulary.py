"""Words to numbers and back, against loops."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from paperkit.text.vocabulary import PAD, UNKNOWN, Vocabulary

SENTENCES = st.lists(st.lists(st.sampled_from("山水路桥"), max_size=6), max_size=6)


def test_most_frequent_first_ties_by_code_point():
    vocabulary = Vocabulary.build([["水", "山", "水"], [], ["路", "山", "桥"]])
    assert vocabulary.words == ("<pad>", "<unk>", "山", "水", "桥", "路")
    assert len(vocabulary) == 6
    assert vocabulary.numbers == {"<pad>": PAD, "<unk>": UNKNOWN, "山": 2, "水": 3, "桥": 4, "路": 5}
    assert (PAD, UNKNOWN) == (0, 1)


def test_min_count():
    sentences = [["水", "山", "水"], ["路", "山", "水"]]
    assert Vocabulary.build(sentences, 2).words[2:] == ("水", "山")
    assert Vocabulary.build(sentences, 3).words[2:] == ("水",)
    assert Vocabulary.build(sentences, 4).words[2:] == ()


@given(SENTENCES, st.integers(1, 4), st.randoms(use_true_random=False))
def test_it_depends_on_counts_alone(sentences, min_count, chance):
    vocabulary = Vocabulary.build(sentences, min_count)
    flat = [word for sentence in sentences for word in sentence]
    chance.shuffle(flat)
    assert Vocabulary.build([flat], min_count) == vocabulary
    assert set(vocabulary.words[2:]) == {word for word in flat if flat.count(word) >= min_count}
    ranks = [(-flat.count(word), word) for word in vocabulary.words[2:]]
    assert ranks == sorted(ranks)


@given(SENTENCES, SENTENCES, st.integers(1, 7))
def test_encoding_is_a_loop(known, sentences, longest):
    vocabulary = Vocabulary.build(known)
    encoded = vocabulary.encode(sentences, longest)
    expected = []
    for sentence in sentences:
        numbers = []
        for word in sentence:
            if len(numbers) < longest:
                numbers.append(vocabulary.words.index(word) if word in vocabulary.words else UNKNOWN)
        expected.append(numbers)
    assert [text.tolist() for text in (encoded[i] for i in range(len(encoded)))] == expected
    assert encoded.lengths.tolist() == [len(numbers) for numbers in expected]
    assert len(encoded) == len(sentences)
    assert encoded.flat.dtype == np.int32 and encoded.offsets.dtype == np.int64
    assert PAD not in encoded.flat, "padding belongs to batches"
