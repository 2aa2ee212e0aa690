"""Seeds: known values, and that two purposes have nothing in common."""

import hashlib
import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from paperkit.seeds import derive, numpy_generator, python_generator

SEEDS = st.integers(0, 2**32)
PURPOSE = st.lists(st.integers(0, 999) | st.text("abc", max_size=3), max_size=3)


def test_the_values_never_change():
    # what sha256sum says; the runs of every reader rest on it
    assert derive(0, "init") == 0x19AF614EF3B583AC >> 1
    assert derive(7, "dropout", 3) == 0x99A955FE853D7C87 >> 1
    assert python_generator(0, "x").random() == random.Random(derive(0, "x")).random()
    assert numpy_generator(0, "x").integers(2**62) == np.random.default_rng(derive(0, "x")).integers(2**62)


@given(SEEDS, PURPOSE)
def test_a_seed_is_the_start_of_a_hash(seed, purpose):
    text = str(seed) + "".join("\x1f" + str(part) for part in purpose)
    expected = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) // 2
    assert derive(seed, *purpose) == expected
    assert 0 <= expected < 2**63


@given(st.tuples(SEEDS, PURPOSE), st.tuples(SEEDS, PURPOSE))
def test_another_seed_or_purpose_is_another_stream(one, other):
    as_text = [[str(part) for part in (seed, *purpose)] for seed, purpose in (one, other)]
    assert (derive(one[0], *one[1]) == derive(other[0], *other[1])) == (as_text[0] == as_text[1])


def test_streams_of_neighbouring_purposes_are_not_correlated():
    draws = np.array([numpy_generator(0, "order", epoch).normal(size=2000) for epoch in range(5)])
    between = np.corrcoef(draws)[np.triu_indices(5, 1)]
    assert np.abs(between).max() < 0.1


def test_the_generators_of_the_process_are_neither_read_nor_moved():
    random.seed(1), np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].copy()
    first = numpy_generator(3, "a").random(), python_generator(3, "a").random()
    assert random.getstate() == before[0] and (np.random.get_state()[1] == before[1]).all()
    random.seed(2), np.random.seed(2)
    assert (numpy_generator(3, "a").random(), python_generator(3, "a").random()) == first
