"""word2vec vectors for a vocabulary (paper B §2.2.1), trained by gensim."""

from collections.abc import Sequence

import numpy as np

from paperkit.errors import InputError
from paperkit.seeds import derive
from paperkit.text.vocabulary import PAD, UNKNOWN, Vocabulary

ALGORITHMS = ("cbow", "skip-gram")


def train(
    sentences: Sequence[Sequence[str]],
    vocabulary: Vocabulary,
    *,
    size: int = 100,
    algorithm: str = "cbow",
    window: int = 5,
    epochs: int = 10,
    negative: int = 5,
    seed: int = 0,
) -> np.ndarray:
    """float32 vectors ``(len(vocabulary), size)``.

    CBOW predicts a word from its context and suits small data (the paper's choice), skip-gram predicts the context from
    the word. ``sentences`` must be training or unlabelled text, never test text. One gensim worker: with more, results
    differ from the first digit.

    The padding row is zero. The row of the unknown word, and of words gensim did not see, is the mean of all vectors:
    an unseen word is an average word, not an outlier.
    """
    if algorithm not in ALGORITHMS:
        raise InputError(f"word vectors: algorithm is {algorithm!r}; accepted are {', '.join(map(repr, ALGORITHMS))}")
    from gensim.models import Word2Vec

    known = vocabulary.numbers
    model = Word2Vec(vector_size=size, sg=int(algorithm == "skip-gram"), window=window, negative=negative, min_count=1,
                     seed=derive(seed, "word2vec") % 2**31, workers=1, epochs=epochs)  # fmt: skip
    corpus = [[word for word in sentence if word in known] for sentence in sentences]
    vectors = np.zeros((len(vocabulary), size), dtype=np.float32)
    if any(corpus):
        model.build_vocab(corpus)
        model.train(corpus, total_examples=model.corpus_count, epochs=epochs)
        vectors[:] = model.wv.vectors.mean(axis=0)
        rows = [known[word] for word in model.wv.index_to_key]
        vectors[rows] = model.wv.vectors
    vectors[PAD] = 0
    return vectors


def neighbours(word: str, vocabulary: Vocabulary, vectors: np.ndarray, k: int = 8) -> list[tuple[str, float]]:
    """The ``k`` words nearest to ``word`` by cosine, nearest first, with the cosine in [−1, 1]; [] if it is unknown."""
    number = vocabulary.numbers.get(word)
    if number is None or number <= UNKNOWN:
        return []
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit[number]
    cosine[[PAD, UNKNOWN, number]] = -np.inf
    order = np.argsort(-cosine, kind="stable")[:k]
    return [(vocabulary.words[i], float(cosine[i])) for i in order if np.isfinite(cosine[i])]
