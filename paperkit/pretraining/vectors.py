"""Word2vec over the tokens of a stream: where the embeddings of ``mini`` start from instead of noise.

With a budget of minutes most of a masked language model's first steps go into learning which tokens resemble each other.
CBOW learns that a hundred times faster per token, and the transformer then starts with it.
"""

from collections.abc import Iterator

import numpy as np

from paperkit.seeds import derive

SENTENCE = 256
"""Tokens that CBOW reads as one text."""


def token_vectors(tokens: np.ndarray, vocabulary: int, width: int, epochs: int, seed: int, std: float) -> np.ndarray:
    """Vectors ``(vocabulary, width)`` float32 with mean 0 and standard deviation ``std`` in every dimension.

    A token that does not occur gets a random one.
    """
    from gensim.models import Word2Vec

    class Sentences:
        """gensim wants words; iterated once per epoch."""

        def __iter__(self) -> Iterator[list[str]]:
            names = [str(number) for number in range(vocabulary)]
            for begin in range(0, len(tokens), SENTENCE):
                yield [names[token] for token in tokens[begin : begin + SENTENCE].tolist()]

    seed = derive(seed, "token vectors") % 2**31
    model = Word2Vec(Sentences(), vector_size=width, window=5, min_count=1, sg=0, negative=5, alpha=0.05, epochs=epochs,
                     workers=1, seed=seed)  # fmt: skip
    known = model.wv.vectors
    vectors = np.random.default_rng(seed).standard_normal((vocabulary, width)).astype(np.float32)
    vectors[[int(name) for name in model.wv.index_to_key]] = (known - known.mean(axis=0)) / known.std(axis=0)
    return vectors * np.float32(std)
