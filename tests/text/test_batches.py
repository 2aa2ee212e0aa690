"""Batches: every text once, little padding, an order that depends on nothing but the seed and the epoch."""

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paperkit.text.batches import collate, endless_batches, evaluation_batches, training_batches
from paperkit.text.vocabulary import Encoded, Vocabulary


def texts_of(lengths) -> Encoded:
    """Text ``i`` holds the numbers 2, 3, … of its own."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Encoded(np.arange(2, 2 + offsets[-1], dtype=np.int32), offsets)


LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=40)


@given(LENGTHS, st.data())
def test_collate_is_a_loop(lengths, data):
    texts = texts_of(lengths)
    rows = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=8))
    batch = collate(texts, np.array(rows))
    width = max(1, *(lengths[row] for row in rows))
    assert batch.ids.tolist() == [texts[row].tolist() + [0] * (width - lengths[row]) for row in rows]
    assert batch.lengths.tolist() == [lengths[row] for row in rows]
    assert batch.rows.tolist() == rows
    assert {batch.ids.dtype, batch.lengths.dtype, batch.rows.dtype} == {torch.int64}


def test_texts_of_real_words():
    texts = Vocabulary(("<pad>", "<unk>", "山", "水")).encode([["山"], [], ["水", "桥", "山"]], 9)
    batch = collate(texts, [2, 1, 0])
    assert batch.ids.tolist() == [[3, 1, 2], [0, 0, 0], [2, 0, 0]]
    assert batch.lengths.tolist() == [3, 0, 1]
    assert collate(texts, [1]).ids.tolist() == [[0]], "a batch is never zero words wide"


@given(LENGTHS, st.integers(1, 7), st.integers(1, 3), st.integers(0, 3), st.integers(0, 2**40), st.data())
def test_an_epoch_has_every_row_once(lengths, size, pool, epoch, seed, data):
    texts = texts_of(lengths)
    rows = np.array(data.draw(st.lists(st.integers(0, len(lengths) - 1), unique=True)), dtype=np.int64)
    batches = list(training_batches(texts, rows, size, seed, epoch, pool))
    seen = [row for batch in batches for row in batch.rows.tolist()]
    assert sorted(seen) == sorted(rows.tolist())
    assert len(batches) == -(-len(rows) // size), "as many as the learning rate is planned for"
    assert sorted(len(batch.rows) for batch in batches)[1:] == [size] * (len(batches) - 1), "one is short, at most"
    for batch in batches:
        expected = collate(texts, batch.rows.numpy())
        assert torch.equal(batch.ids, expected.ids) and torch.equal(batch.lengths, expected.lengths)


@given(st.integers(1, 40), st.integers(1, 7), st.integers(0, 2**40))
def test_every_text_is_read_in_the_long_run(n, size, seed):
    """The longest too: sorted by length it would otherwise be what never fills a batch."""
    texts = texts_of(np.arange(n))
    full = min(size, n)
    batches = list(islice(endless_batches(texts, np.arange(n), size, seed, 0, "test"), 60 * max(1, n // full)))
    assert {len(batch) for batch in batches} == {full}
    assert all(len(set(batch.rows.tolist())) == full for batch in batches), "no text is in a batch twice"
    times = np.bincount(np.concatenate([batch.rows for batch in batches]), minlength=n)
    assert times.min() > 0 and times.sum() == 60 * max(1, n // full) * full


def test_the_short_batch_is_no_longer_than_the_others():
    """Its texts weigh more than those of a full one, so it must not be always the longest."""
    texts, lengths = texts_of(np.arange(1, 51)), []
    for epoch in range(200):
        lengths += [batch.lengths.double().mean() for batch in training_batches(texts, np.arange(50), 8, 0, epoch)
                    if len(batch) == 2]  # fmt: skip
    assert len(lengths) == 200 and np.mean(lengths) == pytest.approx(25.5, abs=2.5)


@given(LENGTHS, st.integers(1, 7), st.data())
def test_evaluation_has_every_row_once_by_length(lengths, size, data):
    texts = texts_of(lengths)
    rows = data.draw(st.lists(st.integers(0, len(lengths) - 1), unique=True))
    batches = list(evaluation_batches(texts, np.array(rows, dtype=np.int64), size))
    seen = [row for batch in batches for row in batch.rows.tolist()]
    assert seen == sorted(rows, key=lambda row: lengths[row])  # both sorts are stable
    assert len(batches) == -(-len(rows) // size)


@pytest.fixture
def skewed():
    """Lengths as of reviews: most short, some long."""
    return texts_of(np.random.default_rng(0).geometric(0.05, 2000))


def padding(batches) -> float:
    cells, words = map(sum, zip(*((batch.ids.numel(), int(batch.lengths.sum())) for batch in batches), strict=True))
    return 1 - words / cells


def test_hardly_any_padding(skewed):
    rows = np.arange(2000)
    shuffled = np.random.default_rng(1).permutation(rows)
    at_random = padding([collate(skewed, shuffled[i : i + 32]) for i in range(0, 2000, 32)])
    assert at_random > 0.5
    batches = list(training_batches(skewed, rows, 32, 0, 0))
    assert padding([batch for batch in batches if len(batch) == 32]) < 0.15
    assert padding(batches) < 0.16, "the one that is not full is of any lengths"
    assert padding(evaluation_batches(skewed, rows, 32)) < 0.15


def order(texts, *arguments, **options):
    return [batch.rows.tolist() for batch in training_batches(texts, np.arange(2000), *arguments, **options)]


def test_the_order_depends_on_seed_and_epoch_alone(skewed):
    first = order(skewed, 32, 0, 0)
    np.random.seed(99)
    torch.manual_seed(99)
    order(skewed, 32, 1, 5)
    assert order(skewed, 32, 0, 0) == first
    assert order(skewed, 32, 0, 1) != first
    assert order(skewed, 32, 1, 0) != first


def test_the_generators_of_the_process_are_not_moved(skewed):
    torch.manual_seed(1)
    np.random.seed(1)
    order(skewed, 32, 0, 0)
    drawn = torch.rand(1), np.random.rand()
    torch.manual_seed(1)
    np.random.seed(1)
    assert drawn == (torch.rand(1), np.random.rand())


def test_it_is_random_all_the_same(skewed):
    epochs = [order(skewed, 32, 0, epoch) for epoch in range(2)]
    lengths = np.array([skewed.lengths[batch].mean() for batch in epochs[0]])
    assert np.abs(np.corrcoef(lengths, np.arange(len(lengths)))[0, 1]) < 0.3, "not from short to long"
    together = [{frozenset((a, b)) for batch in epoch for a in batch for b in batch if a < b} for epoch in epochs]
    assert len(together[0] & together[1]) < 0.5 * len(together[0]), "a text meets others every time"
    same_length = texts_of([3] * 2000)
    assert order(same_length, 32, 0, 0) != order(same_length, 32, 0, 1)


def test_a_batch_moves_to_a_device_whole():
    batch = collate(texts_of([2, 1]), [0, 1]).to("meta")
    assert {batch.ids.device.type, batch.lengths.device.type, batch.rows.device.type} == {"meta"}
