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


def scores(train, dev, texts, n_classes=3, language="zh"):
    return linear_svm(*train, *dev, texts, n_classes, language)


NO_DEV = ([], np.array([], dtype=int))


def test_majority_is_the_shares_of_the_classes():
    assert majority(np.array([2, 0, 2, 1]), 4, 3).tolist() == [[0.25, 0.25, 0.5, 0]] * 3
    assert majority(np.array([1]), 2, 0).shape == (0, 2)


@pytest.mark.parametrize("classes", [(0, 1), (0, 1, 2)])
def test_it_is_tfidf_and_the_best_c_on_dev(classes):
    train, dev, test = (reviews(n, classes, seed, noise=0.4) for seed, n in enumerate((120, 300, 300)))
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, min_df=2)
    x = vectorizer.fit_transform(train[0])
    models = {c: LinearSVC(C=c, dual=False).fit(x, train[1]) for c in C_GRID}  # another solver, the same optimum
    on_dev = {c: model.score(vectorizer.transform(dev[0]), dev[1]) for c, model in models.items()}
    best = min(c for c in C_GRID if on_dev[c] == max(on_dev.values()))
    assert len(set(on_dev.values())) > 1, "the grid must matter for this test to mean something"
    margin = models[best].decision_function(vectorizer.transform(test[0]))
    expected = margin if len(classes) > 2 else np.stack([-margin, margin], axis=1)
    result = scores(train, dev, test[0], len(classes))
    assert result == pytest.approx(expected, abs=0.02)
    for other in set(C_GRID) - {best}:
        theirs = models[other].decision_function(vectorizer.transform(test[0]))
        assert np.abs(margin - theirs).max() > 0.05, "the tolerance above tells one C from another"


def test_a_text_is_scored_alone():
    train, dev, test = reviews(100), reviews(40, seed=1), reviews(30, seed=2)[0]
    assert scores(train, dev, []).shape == (0, 3)
    assert np.array_equal(scores(train, dev, test)[7:8], scores(train, dev, test[7:8]))


def test_twice_the_same_to_the_bit_and_whatever_numpys_global_seed():
    train, dev, test = reviews(100), reviews(40, seed=1), reviews(30, seed=2)[0]
    np.random.seed(1)
    first = scores(train, dev, test)
    np.random.seed(2)
    assert first.tobytes() == scores(train, dev, test).tobytes()


def test_it_learns():
    (test, truth), train = reviews(100, seed=2), reviews(200)
    learned = np.mean(scores(train, reviews(60, seed=1), test).argmax(axis=1) == truth)
    assert learned > np.mean(majority(train[1], 3, 100).argmax(axis=1) == truth) + 0.3


def test_classes_may_be_absent_anywhere():
    train, dev, test = reviews(80, (0, 2)), reviews(40, (0, 1), seed=1), reviews(20, seed=2)[0]
    result = scores(train, dev, test, n_classes=5)
    assert set(result.argmax(axis=1)) <= {0, 2}
    assert np.isneginf(result[:, [1, 3, 4]]).all() and np.isfinite(result[:, [0, 2]]).all()


def test_without_dev_texts_c_is_one():
    train, test = reviews(60, (0, 1)), reviews(20, (0, 1), seed=2)[0]
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, min_df=2)
    model = LinearSVC(C=1.0, dual=False).fit(vectorizer.fit_transform(train[0]), train[1])
    expected = model.decision_function(vectorizer.transform(test))
    assert scores(train, NO_DEV, test, 2)[:, 1] == pytest.approx(expected, abs=0.01)


def test_english_is_words():
    train = (["a fine view", "fine view of hills", "a poor road", "poor road to town"], np.array([1, 1, 0, 0]))
    result = scores(train, NO_DEV, ["the view is fine", "a poor view road", "iew oor"], 2, "en")
    assert result.argmax(axis=1).tolist()[:2] == [1, 0]
    assert result[2, 1] == pytest.approx(scores(train, NO_DEV, ["nothing known"], 2, "en")[0, 1]), "not characters"


def test_texts_that_share_nothing_are_used_one_by_one():
    result = scores((["fine", "poor"], np.array([1, 0])), NO_DEV, ["fine", "poor"], 2, "en")
    assert result.argmax(axis=1).tolist() == [1, 0]


def test_punctuation_alone_gives_the_majority():
    train, dev = (["!!!", "?", "…"], np.array([1, 1, 0])), (["!"], np.array([0]))
    with pytest.warns(RuntimeWarning, match="^linear SVM: no n-gram in the training texts; the majority") as caught:
        result = scores(train, dev, ["fine", "!"], 3, "en")
    assert len(caught) == 1 and caught[0].filename == __file__
    assert result.tolist() == [[1 / 3, 2 / 3, 0]] * 2


def test_one_class_gives_that_class():
    with pytest.warns(RuntimeWarning, match="^linear SVM: only one class in the training texts"):
        assert scores((["好", "好"], np.array([2, 2])), NO_DEV, ["差"]).argmax(axis=1).tolist() == [2]
