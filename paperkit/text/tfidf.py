"""UDA's word replacement: words that say little about a text give way to other words that say little."""

import math
import random
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate

from paperkit.errors import InputError


class TfidfReplacement:
    """TF-IDF word replacement (Xie et al. 2020, appendix A.2), fitted on texts that may be trained on.

    A word ``i`` of a text of ``n`` words is replaced with probability ::

        p_i = min(1, p · n · (max_j tfidf_j − tfidf_i) / Σ_k (max_j tfidf_j − tfidf_k))

    so ``p · n`` words on average, unless clipped; the new word is drawn from all words of the fitted texts with
    probability ∝ max S − S(w), where S(w) is the sum of the tf-idf of ``w`` over all texts, as in the authors' release
    (their paper writes frequency · idf). tf is the share of the text's words, idf the logarithm of texts per text with
    the word.

    Where the release divides by zero or fails: of words with equal scores each is replaced with probability p; words with
    equal S are drawn alike; an unseen word has the idf of one seen in a single text.
    """

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        """``texts``: the words of each; training and unlabelled ones, never dev or test.

        Raises:
            InputError: they hold no word.
        """
        containing: Counter[str] = Counter()
        shares: defaultdict[str, float] = defaultdict(float)
        n_texts = 0
        for words in texts:
            n_texts += 1
            for word, count in Counter(words).items():
                containing[word] += 1
                shares[word] += count / len(words)
        if not shares:
            raise InputError("TF-IDF replacement was given no words to fit on; expected texts of the training split")
        self.idf = {word: math.log(n_texts / count) for word, count in containing.items()}
        self._unseen = math.log(n_texts)
        scores = {word: share * self.idf[word] for word, share in shares.items()}
        self.words = tuple(sorted(scores))
        highest = max(scores.values())
        weights = [highest - scores[word] for word in self.words]
        self.cumulative = list(accumulate(weights if any(weights) else [1.0] * len(weights)))

    def probabilities(self, words: Sequence[str], p: float) -> list[float]:
        """p_i of each word."""
        n = len(words)
        counts = Counter(words)
        tfidf = {word: count / n * self.idf.get(word, self._unseen) for word, count in counts.items()}
        highest = max(tfidf.values(), default=0.0)
        total = sum(count * (highest - tfidf[word]) for word, count in counts.items())
        if not total > 0:
            return [p] * n
        scale = p * n / total
        return [min(1.0, scale * (highest - tfidf[word])) for word in words]

    def replace(self, words: Sequence[str], p: float, rng: random.Random) -> list[str]:
        """``words``, some of them replaced; a word may be drawn for itself."""
        return [
            self._draw(rng) if rng.random() < probability else word
            for word, probability in zip(words, self.probabilities(words, p), strict=True)
        ]

    def _draw(self, rng: random.Random) -> str:
        # the product may round up to the total
        return self.words[min(bisect(self.cumulative, rng.random() * self.cumulative[-1]), len(self.words) - 1)]
