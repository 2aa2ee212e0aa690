"""How far annotators agree beyond chance."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray


def single_votes(written: Iterable[str], n_classes: int) -> NDArray[np.int64] | None:
    """Votes written one digit per annotator, ``"001"``, as class numbers (texts, annotators).

    None if that is not what they are: lists of topics (``"grain|wheat"``), one annotator, or not the same number of
    annotators for each text.
    """
    written = list(written)
    digits = all(each.isascii() and each.isdigit() and len(each) == len(written[0]) >= 2 for each in written)
    votes = np.array([[int(vote) for vote in each] for each in written]) if written and digits else None
    return votes if votes is not None and votes.max() < n_classes else None


def fleiss_kappa(votes: ArrayLike, n_classes: int) -> float:
    """Fleiss' κ (1971): 1 is perfect agreement, 0 is chance.

    ``votes`` holds class numbers, shape (texts, annotators), at least two annotators. If every vote is the same class,
    chance alone agrees perfectly and κ is 0/0: nan.
    """
    votes = np.asarray(votes)
    if votes.ndim != 2 or votes.shape[1] < 2 or not len(votes):
        raise ValueError(
            f"votes have shape {votes.shape}; accepted are (texts, annotators) with two annotators or more."
        )
    n = votes.shape[1]
    counts = np.stack([(votes == k).sum(axis=1) for k in range(n_classes)], axis=1)
    observed = ((counts**2).sum(axis=1) - n) / (n * (n - 1))
    expected = ((counts.sum(axis=0) / counts.sum()) ** 2).sum()
    return float((observed.mean() - expected) / (1 - expected)) if expected < 1 else float("nan")
