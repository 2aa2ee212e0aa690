"""Paper A's division of a corpus: what may be in which part, whatever the corpus."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paperkit.corpora.corpus import CONTRADICTING, Corpus, assemble, normalise
from paperkit.corpora.pools import FEWEST, pools
from paperkit.training.execute import labelled_rows


def made(labels, statuses=None) -> Corpus:
    """One text per label (−1: none), split as everywhere."""
    table = pd.DataFrame({"id": [f"t:{n}" for n in range(len(labels))],
                          "text": [f"word {n} about {label}" for n, label in enumerate(labels)],
                          "label": np.array(labels, dtype=np.int64)})  # fmt: skip
    if statuses is not None:
        table["status"] = statuses
    return assemble("made", table, ("a", "b", "c"), "en")


def texts(corpus, rows) -> list[str]:
    return sorted(corpus.table.text.iloc[rows])


PARTS = ("labelled", "uda", "esimcse", "dev", "test", "sa", "ra")
corpora = st.lists(st.tuples(st.integers(-1, 2), st.booleans()), max_size=240).map(
    lambda rows: made([label for label, _ in rows], ["core" if core else "too short" for _, core in rows])
)


@given(corpora, st.sampled_from([0.0, 0.3, 1.0]), st.integers(1, 9), st.booleans())
@settings(max_examples=50)
def test_what_may_be_in_which_part(corpus, share, robustness, paired):
    train = corpus.rows("train").index.to_numpy()
    given_rows = None if share == 1 else labelled_rows(corpus, train, share, seed=0)
    parts = pools(corpus, robustness, given_rows, paired=paired)
    table = corpus.table
    for name in PARTS:
        rows = getattr(parts, name)
        assert rows.dtype == np.int64 and np.array_equal(rows, np.unique(rows)), f"{name} is sorted, no row twice"
        assert (table.status.iloc[rows] == "core").all()
    assert set(parts.test) == set(corpus.rows("test").index) and set(parts.dev) == set(corpus.rows("dev").index)
    for sample in (parts.sa, parts.ra):
        assert len(sample) == min(robustness, len(parts.test)) and set(sample) <= set(parts.test)
    assert not paired or np.array_equal(parts.sa, parts.ra)

    own = set(corpus.rows("unlabelled").index) | (set(train) - set(parts.labelled))
    assert parts.from_corpus + parts.from_training == len(own)
    again = set() if len(own) >= FEWEST else set(parts.labelled)
    assert parts.from_labelled == len(again)
    uda, esimcse = set(parts.uda), set(parts.esimcse)
    assert not uda & esimcse and uda | esimcse == own | again
    assert 0 <= len(uda) - len(esimcse) <= 1
    assert not (uda | esimcse | set(parts.labelled)) & (set(parts.dev) | set(parts.test))


@given(corpora, st.randoms(use_true_random=False), st.integers(1, 9))
@settings(max_examples=50)
def test_neither_the_order_of_the_rows_nor_their_ids_matter(corpus, random, robustness):
    order = random.sample(range(len(corpus)), len(corpus))
    shuffled = replace(corpus, table=corpus.table.iloc[order].reset_index(drop=True).assign(id="x"))
    one, other = pools(corpus, robustness, paired=False), pools(shuffled, robustness, paired=False)
    for name in PARTS:
        assert texts(corpus, getattr(one, name)) == texts(shuffled, getattr(other, name)), name


def test_unlabelled_texts_are_the_pools():
    corpus = made([0, 1] * 40 + [-1] * (FEWEST + 1))
    parts = pools(corpus, 500)
    assert (len(parts.uda), len(parts.esimcse)) == (FEWEST // 2 + 1, FEWEST // 2)
    assert set(corpus.table.label.iloc[parts.uda]) == {-1}
    assert parts.sentence == f"{FEWEST + 1} texts without a label"
    assert np.array_equal(parts.labelled, corpus.rows("train").index)


def test_training_texts_whose_labels_are_not_used_join_them():
    corpus = made([0, 1] * 90 + [-1] * 21)
    train = corpus.rows("train").index.to_numpy()
    parts = pools(corpus, 500, train[:10])
    assert np.array_equal(parts.labelled, train[:10])
    assert len(parts.uda) + len(parts.esimcse) == 21 + len(train) - 10
    assert parts.sentence == f"21 texts without a label and {len(train) - 10} training texts whose labels are not used"
    alone = made([0, 1] * 90)
    train = alone.rows("train").index.to_numpy()
    assert pools(alone, 5, train[:10]).sentence == f"{len(train) - 10} training texts whose labels are not used"


def test_without_any_the_training_texts_are_used_twice_and_it_is_said():
    corpus = made([0, 1] * 40)
    parts = pools(corpus, 5)
    assert parts.from_labelled and set(parts.uda) | set(parts.esimcse) == set(corpus.rows("train").index)
    assert parts.sentence == f"no text without a label: all {len(parts.labelled)} labelled texts are used again " \
                             "without their labels"  # fmt: skip


@pytest.mark.parametrize("count", [1, 3, FEWEST - 1, FEWEST])
def test_a_few_texts_without_a_label_are_no_pool_by_themselves(count):
    corpus = made([0, 1] * 40 + [-1] * count)
    parts = pools(corpus, 5)
    own, again = set(corpus.rows("unlabelled").index), set(corpus.rows("train").index)
    assert set(parts.uda) | set(parts.esimcse) == own | (again if count < FEWEST else set())
    wanted = f"{count} texts without a label"
    if count < FEWEST:
        wanted += f", too few: all {len(again)} labelled texts are used again without their labels"
    assert parts.sentence == wanted


def test_a_contradicting_text_is_in_no_part():
    corpus = made([0, 1] * 40)
    table = corpus.table.copy()
    odd = table.index[table.split == "train"][0]
    table.loc[odd, "status"] = CONTRADICTING
    parts = pools(replace(corpus, table=table), 5)
    assert not any(odd in getattr(parts, name) for name in PARTS)


def test_an_independent_sample_is_another_one():
    corpus = made([0, 1] * 400)
    parts = pools(corpus, 20, paired=False)
    assert len(parts.sa) == len(parts.ra) == 20 and set(parts.sa) != set(parts.ra)
    assert np.array_equal(parts.sa, pools(corpus, 20).sa)
    assert set(parts.sa) < set(pools(corpus, 30).sa), "a larger sample holds the smaller one"


@pytest.mark.parametrize("split", ["dev", "test", "unlabelled"])
def test_only_training_rows_may_be_trained_on(split):
    corpus = made([0, 1] * 40 + [-1] * 20)
    row = corpus.rows(split).index[0]
    with pytest.raises(ValueError, match=f"row {row} of made is to be trained on and is no training row"):
        pools(corpus, 5, [corpus.rows("train").index[0], row])


def test_a_platform_is_divided_by_itself():
    corpus = made([0, 1] * 60)
    table = corpus.table.assign(platform=np.where(np.arange(len(corpus)) % 3, "large", "small"))
    corpus = replace(corpus, table=table)
    mine = corpus.rows("train", "small").index.to_numpy()
    parts = pools(corpus, 5, mine, platform="small")
    assert parts.from_labelled, "what others were trained on is no text of this platform"
    assert set(parts.uda) | set(parts.esimcse) == set(parts.labelled) == set(mine) and len(parts.esimcse)
    assert all((table.platform.iloc[getattr(parts, name)] == "small").all() for name in PARTS)
    with pytest.raises(ValueError, match="is no training row"):
        pools(corpus, 5, corpus.rows("train", "large").index, platform="small")


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(-1, 2), st.sampled_from(["train", "dev", "test", "unlabelled"])),
                min_size=1, max_size=60))  # fmt: skip
@settings(max_examples=50)
def test_no_text_of_dev_or_test_is_in_a_pool_however_it_is_written(rows):
    """The same text may be given in several splits, labelled here and unlabelled there."""
    table = pd.DataFrame(rows, columns=["text", "label", "split"])
    table["text"] = [f"{'Same' if n % 2 else 'SAME'} words{'!' * (n % 3)} {text}" for n, text in enumerate(table.text)]
    table["id"] = [f"t:{n}" for n in range(len(table))]
    corpus = assemble("made", table, ("a", "b", "c"), "en")
    train = corpus.rows("train")
    for labelled in (None, train.index[train.label >= 0][:3]):
        parts = pools(corpus, 5, labelled)
        held_out = {normalise(text) for text in corpus.table.text.iloc[np.concatenate([parts.dev, parts.test])]}
        for name in ("labelled", "uda", "esimcse"):
            assert not held_out & {normalise(text) for text in corpus.table.text.iloc[getattr(parts, name)]}
