"""Word vectors: the same on every machine, sane for words that were never seen, and really trained."""

import os
import subprocess
import sys

import gensim.models
import numpy as np
import pytest

from paperkit import paths
from paperkit.errors import InputError
from paperkit.text import vectors
from paperkit.text.vocabulary import PAD, UNKNOWN, Vocabulary

HOUSE, FOOD = ("房间", "床单", "空调", "窗户"), ("早餐", "米饭", "面条", "咖啡")


def two_topics(n=300):
    """Sentences about the house and sentences about food."""
    rng = np.random.default_rng(0)
    return [rng.choice(HOUSE if i % 2 else FOOD, 5).tolist() for i in range(n)]


SENTENCES = two_topics()
VOCABULARY = Vocabulary.build(SENTENCES)
OPTIONS = {"size": 8, "epochs": 2}


def trained(sentences=SENTENCES, vocabulary=VOCABULARY, **options):
    return vectors.train(sentences, vocabulary, **OPTIONS | options)


def test_shape_and_special_rows():
    result = trained()
    assert result.shape == (10, 8) and result.dtype == np.float32
    assert (result[PAD] == 0).all()
    assert result[UNKNOWN] == pytest.approx(result[2:].mean(axis=0), abs=1e-7)
    assert len(np.unique(result[2:], axis=0)) == 8, "every word has a vector of its own"


def test_a_word_that_was_not_in_the_sentences_is_an_average_word():
    larger = Vocabulary((*VOCABULARY.words, "泳池"))
    result = trained(vocabulary=larger)
    assert (result[-1] == result[UNKNOWN]).all()
    assert (result[:-1] == trained()).all()


def test_a_word_that_is_not_known_is_left_out():
    with_more = [[word for known in sentence for word in (known, "泳池")] for sentence in SENTENCES]
    assert (trained(with_more) == trained()).all()


@pytest.mark.parametrize("sentences", [[], [[]], [["泳池"]]])
def test_nothing_to_learn_from(sentences):
    assert (trained(sentences) == np.zeros((10, 8), dtype=np.float32)).all()


def test_one_word_suffices():
    result = trained([["房间"]])
    assert np.isfinite(result).all() and (result[1:] == result[VOCABULARY.numbers["房间"]]).all()


def test_every_option_counts():
    def differs(**options):
        return not np.allclose(trained(**options), trained())

    assert differs(algorithm="skip-gram") and differs(window=1) and differs(epochs=3) and differs(negative=2)
    assert differs(seed=1)
    assert not differs(algorithm="cbow", window=5, negative=5, seed=0)
    assert trained(size=3).shape == (10, 3)


@pytest.mark.parametrize(("algorithm", "skip_gram"), [("cbow", 0), ("skip-gram", 1)])
def test_the_names_are_the_papers(monkeypatch, algorithm, skip_gram):
    """CBOW predicts the word from its context, skip-gram the context from the word; for gensim that is one flag."""
    made = []

    class Recorded(gensim.models.Word2Vec):
        def __init__(self, **options):
            super().__init__(**options)
            made.append((self.sg, self.workers, self.min_count))

    monkeypatch.setattr(gensim.models, "Word2Vec", Recorded)
    trained(algorithm=algorithm)
    assert made == [(skip_gram, 1, 1)]


def test_an_unknown_algorithm_is_refused():
    with pytest.raises(InputError, match=r"^word vectors: algorithm is 'glove'; accepted are 'cbow', 'skip-gram'$"):
        trained(algorithm="glove")


@pytest.mark.parametrize("algorithm", vectors.ALGORITHMS)
def test_words_of_one_topic_are_neighbours(algorithm):
    result = trained(algorithm=algorithm, epochs=30)
    for topic in (HOUSE, FOOD):
        near = [word for word, _ in vectors.neighbours(topic[0], VOCABULARY, result, k=3)]
        assert set(near) == set(topic[1:])


def test_the_same_bytes_in_another_process():
    script = "import sys; from tests.text.test_vectors import trained; sys.stdout.buffer.write(trained().tobytes())"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(paths.ROOT)}
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment)
    assert other.stdout == trained().tobytes()
    np.random.seed(3)
    assert other.stdout == trained().tobytes()


def test_neighbours_are_a_loop_over_cosines():
    vocabulary = Vocabulary(("<pad>", "<unk>", "山", "水", "路", "桥", "无"))
    rows = np.array([[0, 0], [3, 1], [3, 0], [1, 1], [-2, 0.1], [9, 0.1], [0, 0]], dtype=np.float32)

    def cosine(a, b):
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    expected = [(word, cosine(rows[2], rows[i])) for word, i in (("桥", 5), ("水", 3), ("路", 4))]
    expected.insert(2, ("无", 0.0))  # no direction, no similarity
    result = vectors.neighbours("山", vocabulary, rows)
    assert [word for word, _ in result] == [word for word, _ in expected], "neither itself nor padding nor unknown"
    assert [value for _, value in result] == pytest.approx([value for _, value in expected], abs=1e-6)
    assert vectors.neighbours("山", vocabulary, rows, k=2) == result[:2]
    for word in ("海", "<pad>", "<unk>"):
        assert vectors.neighbours(word, vocabulary, rows) == []
