"""Reference rows: the majority class, and a linear SVM on TF-IDF n-grams. Both are deterministic."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

C_GRID = (0.1, 0.3, 1.0, 3.0)
C_WITHOUT_DEV = 1.0


def majority(train_labels: NDArray[np.int64], n_classes: int, n: int) -> NDArray[np.float64]:
    """The shares of the classes in training, once for each of ``n`` texts ``(n, K)``: the largest is the prediction."""
    share = np.bincount(train_labels, minlength=n_classes) / len(train_labels)
    return np.tile(share, (n, 1))


def linear_svm(
    train_texts: Sequence[str],
    train_labels: NDArray[np.int64],
    dev_texts: Sequence[str],
    dev_labels: NDArray[np.int64],
    texts: Sequence[str],
    n_classes: int,
    language: str,
) -> NDArray[np.float64]:
    """Scores of ``texts`` ``(texts, K)``, largest at the prediction; −inf for classes never trained on.

    TF-IDF (sublinear, n-grams of at least 2 training texts) of 1-3 characters for Chinese, 1-2 words for English. C is the
    one of :data:`C_GRID` with the best dev accuracy, the smallest on a tie, 1 without dev texts. Dev texts are never
    trained on: a network learns from no more. The scores are margins, not probabilities.

    If no n-gram is shared by two training texts, those of single texts count. No n-gram at all, or one class only: the
    majority class, with a RuntimeWarning.
    """
    vectorizer, x_train = _fit_tfidf(train_texts, language)
    if vectorizer is None or len(np.unique(train_labels)) < 2:
        reason = "no n-gram in the training texts" if vectorizer is None else "only one class in the training texts"
        warnings.warn(f"linear SVM: {reason}; the majority class stands in.", RuntimeWarning, stacklevel=2)
        return majority(train_labels, n_classes, len(texts))
    # the dual problem, for there are far more n-grams than texts; it draws an order, hence random_state
    best, best_accuracy = None, -1.0
    x_dev = vectorizer.transform(dev_texts) if len(dev_texts) else None
    for c in C_GRID if len(dev_texts) else (C_WITHOUT_DEV,):
        with warnings.catch_warnings():  # hundreds of classes with a text or two each are what is meant here
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            model = LinearSVC(C=c, dual=True, random_state=0, max_iter=10_000).fit(x_train, train_labels)
        accuracy = model.score(x_dev, dev_labels) if len(dev_texts) else 0.0
        if accuracy > best_accuracy:  # hundreds of classes make a model large: only the best one is kept
            best, best_accuracy = model, accuracy
    scores = np.full((len(texts), n_classes), -np.inf)
    if len(texts):
        margin = best.decision_function(vectorizer.transform(texts))
        # two trained classes share one margin, positive for the second
        scores[:, best.classes_] = np.stack([-margin, margin], axis=1) if margin.ndim == 1 else margin
    return scores


def _fit_tfidf(texts: Sequence[str], language: str):
    analyzer, ngrams = ("char", (1, 3)) if language == "zh" else ("word", (1, 2))
    for min_df in (2, 1):
        vectorizer = TfidfVectorizer(analyzer=analyzer, ngram_range=ngrams, sublinear_tf=True, min_df=min_df)
        try:
            return vectorizer, vectorizer.fit_transform(texts)
        except ValueError:  # scikit-learn's way of saying that no n-gram is left
            continue
    return None, None
