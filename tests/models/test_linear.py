"""The reference rows: what they compute, that it is always the same, and what happens with nothing to learn."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from paperkit.models.linear import C_GRID, linear_svm, majority

WORDS = {0: "脏 吵 差 贵 冷", 1: "好 美 值 净 暖", 2: "远 近 山 水 路"}


def reviews(n, classes=(0, 1, 2), seed=0, noise=0.25):
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, n)
    shared = "这里的酒店我们住了两天服务房间"
    texts = []
    for label in labels:
        source = rng.choice(classes) if rng.random() < noise else label
        own = rng.choice(WORDS[source].split(), 3)
        texts.append("".join(rng.permutation(list(own) + list(rng.choice(list(shared), 8)))))
    return texts, labels


def fit(train, dev, texts, n_classes=3, language="zh"):
    (train_texts, train_labels), (dev_texts, dev_labels) = train, dev
    return linear_svm(train_texts, np.asarray(train_labels), dev_texts, np.asarray(dev_labels), texts, n_classes, language)


def test_majority_gives_the_shares_of_the_classes():
    assert majority(np.array([2, 0, 2, 1]), 4, 3).tolist() == [[0.25, 0.25, 0.5, 0.0]] * 3


@pytest.mark.parametrize("classes", [(0, 1), (0, 1, 2)])
def test_it_is_tfidf_and_the_best_c_on_dev(classes):
    train, dev, test = (reviews(n, classes, seed, noise=0.4) for seed, n in enumerate((120, 300, 300)))
    scores = fit(train, dev, test[0], n_classes=len(classes))
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, min_df=2)
    x = vectorizer.fit_transform(train[0])
    models = {c: LinearSVC(C=c, dual=False).fit(x, train[1]) for c in C_GRID}  # another solver, the same optimum
    on_dev = {c: model.score(vectorizer.transform(dev[0]), dev[1]) for c, model in models.items()}
    assert len(set(on_dev.values())) > 1, "the grid must matter for this test to mean something"
    best = models[min(c for c in C_GRID if on_dev[c] == max(on_dev.values()))]
    expected = best.decision_function(vectorizer.transform(test[0]))
    assert (scores if len(classes) > 2 else scores[:, 1]) == pytest.approx(expected, abs=0.02)
    assert np.mean(scores.argmax(axis=1) == best.predict(vectorizer.transform(test[0]))) > 0.98


def test_twice_the_same_to_the_bit_and_whatever_numpys_global_seed():
    train, dev, test = reviews(100), reviews(40, seed=1), reviews(30, seed=2)[0]
    np.random.seed(1)
    first = fit(train, dev, test)
    np.random.seed(2)
    assert first.tobytes() == fit(train, dev, test).tobytes()


def test_it_learns():
    (test, truth), train = reviews(100, seed=2), reviews(200)
    learned = np.mean(fit(train, reviews(60, seed=1), test).argmax(axis=1) == truth)
    assert learned > np.mean(majority(train[1], 3, 100).argmax(axis=1) == truth) + 0.3


def test_classes_may_be_absent_anywhere():
    train, dev, test = reviews(80, (0, 2)), reviews(40, (0, 1), seed=1), reviews(20, seed=2)[0]
    scores = fit(train, dev, test, n_classes=5)
    assert np.isneginf(scores[:, [1, 3, 4]]).all() and np.isfinite(scores[:, [0, 2]]).all()


def test_english_is_cut_into_words():
    train = (["a fine view", "fine view of hills", "a poor road", "poor road to town"], [1, 1, 0, 0])
    assert fit(train, ([], []), ["the view is fine"], 2, "en").argmax(axis=1).tolist() == [1]


def test_texts_that_share_nothing_are_used_one_by_one():
    assert fit((["fine", "poor"], [1, 0]), ([], []), ["fine", "poor"], 2, "en").argmax(axis=1).tolist() == [1, 0]


def test_punctuation_alone_gives_the_majority():
    with pytest.warns(RuntimeWarning, match="no n-gram"):
        scores = fit((["!!!", "?", "…"], [1, 1, 0]), (["!"], [0]), ["fine", "!"], language="en")
    assert scores.tolist() == [[1 / 3, 2 / 3, 0]] * 2


def test_one_class_gives_that_class():
    with pytest.warns(RuntimeWarning, match="only one class"):
        assert fit((["好", "好"], [2, 2]), ([], []), ["差"]).argmax(axis=1).tolist() == [2]
