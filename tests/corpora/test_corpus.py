"""The rules that every corpus obeys, whatever its source."""

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paperkit.corpora.corpus import (
    DEV_SHARE,
    TEST_SHARE,
    Corpus,
    assemble,
    assign_splits,
    drop_unusable,
    guess_language,
    leaks,
    normalise,
)


def rows(n: int, label=lambda i: i % 2, text="text number {}", **columns) -> pd.DataFrame:
    table = pd.DataFrame({"id": [f"c:{i}" for i in range(n)], "text": [text.format(i) for i in range(n)]})
    return table.assign(label=[label(i) for i in range(n)], **columns)


def made(table: pd.DataFrame, names=("no", "yes"), **options) -> Corpus:
    return assemble("c", table, names, "en", **options)


def reasons(corpus: Corpus) -> dict[str, int]:
    return {note.reason.split(":")[0]: note.count for note in corpus.notes}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Good  hotel!", "good hotel"),
        ("ＡＢＣ１", "abc1"),
        ("房间，不错。", "房间不错"),
        ("a_b", "ab"),
        ("x\ud800y", "xy"),
    ],
)
def test_texts_that_count_as_the_same(one, other):
    assert normalise(one) == normalise(other)


@given(st.text(max_size=30))
def test_normalise_is_idempotent_up_to_case_expansion(text):
    assert normalise(normalise(normalise(text))) == normalise(normalise(text))


def test_language():
    assert guess_language(["房间很好 WiFi good"]) == "zh"
    assert guess_language(["A room in 北京 that was rather good, all in all"]) == "en"
    assert guess_language([]) == "en"


def test_shares_are_kept_in_every_stratum():
    table = rows(2000, label=lambda i: int(i % 4 == 0), platform=["a", "b", "b", "b", "b"] * 400)
    splits = made(table).table.groupby(["platform", "label"]).split.value_counts(normalize=True).unstack()
    assert np.allclose(splits["test"], TEST_SHARE, atol=0.01)
    assert np.allclose(splits["dev"], DEV_SHARE, atol=0.01)


def test_splits_do_not_depend_on_row_order_nor_on_ids():
    table = rows(300)
    shuffled = table.sample(frac=1, random_state=0).assign(id=[f"other:{i}" for i in range(300)])
    first, second = (made(each).table.set_index("text").split for each in (table, shuffled))
    assert first.equals(second[first.index])


def test_added_rows_move_texts_at_the_borders_only():
    before = made(rows(400)).table.set_index("text").split
    same_class_only = made(rows(440, label=lambda i: i % 2 if i < 400 else 1)).table.set_index("text")
    moved = same_class_only.loc[before.index, "split"] != before
    assert not moved[same_class_only.loc[before.index, "label"] == 0].any()
    assert moved.sum() <= 2 * 40 * (TEST_SHARE + DEV_SHARE) + 2


def test_small_class_is_named_and_stays_in_train():
    corpus = made(rows(104, label=lambda i: 2 if i >= 100 else i % 2), names=("a", "b", "rare"))
    assert set(corpus.table[corpus.table.label == 2].split) == {"train"}
    (note,) = corpus.notes
    assert (note.count, note.detail) == (1, "rare")


def test_class_small_on_one_platform_is_named_with_it():
    table = rows(203, platform=["big"] * 200 + ["small"] * 3)
    classes, platform = made(table).notes
    assert classes.detail == "no on small, yes on small" and platform.detail == "small"


def test_smallest_class_that_is_split_has_one_row_in_test_and_one_in_dev():
    corpus = made(rows(10))
    counts = corpus.table[corpus.table.label == 0].split.value_counts()
    assert counts.to_dict() == {"train": 3, "test": 1, "dev": 1}


def test_contradicting_copies_get_the_majority_label_and_stay_out_of_dev_and_test():
    twice = pd.concat([rows(100), rows(100, label=lambda i: 1), rows(100, label=lambda i: 1)])
    corpus = made(twice.assign(id=[f"c:{i}" for i in range(300)]))
    assert len(corpus) == 100
    assert set(corpus.table.label) == {1}
    contradicting = corpus.table[corpus.table.id.str[2:].astype(int) % 2 == 0]
    assert len(contradicting) == 50 and set(contradicting.split) == {"train"}
    assert reasons(corpus)["same text under different labels"] == 50
    assert reasons(corpus)["duplicate text"] == 200


def test_a_tie_goes_to_the_label_seen_first():
    table = pd.DataFrame({"id": ["a", "b"], "text": ["Same", "same!"], "label": [1, 0]})
    kept, _ = drop_unusable(table)
    assert kept.label.tolist() == [1] and kept.id.tolist() == ["a"]


def test_a_labelled_copy_stands_for_an_unlabelled_one():
    table = pd.DataFrame({"id": ["a", "b", "c"], "text": ["same", "Same", "own"], "label": [-1, 1, -1]})
    kept, _ = drop_unusable(table)
    assert kept.id.tolist() == ["b", "c"]
    assert kept.label.tolist() == [1, -1]


def test_texts_without_a_word_are_dropped_and_counted():
    corpus = made(rows(20).assign(text=["", "  ", "!!!", *(f"word {i}" for i in range(17))]))
    assert len(corpus) == 17
    assert reasons(corpus) == {"no letter or digit in the text": 3}


@pytest.mark.parametrize("deduplicate", [True, False])
def test_an_empty_table(deduplicate):
    corpus = made(rows(0), deduplicate=deduplicate)
    assert len(corpus) == 0 and leaks(corpus).empty and corpus.platforms == ()
    assert len(corpus.checksum) == 64


def test_nothing_labelled():
    corpus = made(rows(30, label=lambda i: -1))
    assert set(corpus.table.split) == {"unlabelled"}


@given(
    st.lists(
        st.tuples(st.text("ab好!  ", max_size=3), st.integers(-1, 2), st.sampled_from(["p", "q"]), st.booleans()),
        max_size=60,
    )
)
@settings(deadline=None, max_examples=60)
def test_every_text_is_in_one_split_once(cases):
    table = pd.DataFrame(
        {
            "id": [str(i) for i in range(len(cases))],
            "text": [case[0] for case in cases],
            "label": np.array([case[1] for case in cases], dtype=np.int64),
            "platform": [case[2] for case in cases],
            "status": ["core" if case[3] else "too short" for case in cases],
        }
    )
    corpus = made(table, names=("a", "b", "c"))
    keys = corpus.table.text.map(normalise)
    assert leaks(corpus).empty and keys.is_unique
    assert set(keys) == {normalise(case[0]) for case in cases} - {""}
    assert ((corpus.table.split == "unlabelled") == (corpus.table.label < 0)).all()


def test_leaks_finds_a_text_in_two_splits():
    table = rows(4).assign(text=["One", "one!", "two", "three"], split=["train", "test", "dev", "train"])
    found = leaks(made(table, deduplicate=False))
    assert found.to_dict("records") == [{"ids": "c:0 c:1", "splits": "test train"}]


def test_platforms_that_can_be_trained_on_by_size():
    table = rows(90, label=lambda i: -1 if i < 50 else i % 2, platform=["none"] * 50 + ["s"] * 10 + ["l"] * 30)
    assert made(table).platforms == ("l", "s")


def test_a_platform_of_few_texts_or_one_class_is_not_trained_on_and_that_is_said():
    platform = ["l"] * 40 + ["few"] * 9 + ["one"] * 20
    corpus = made(rows(69, label=lambda i: i % 2 if i < 49 else 1, platform=platform))
    assert corpus.platforms == ("l",) and corpus.tested_platforms == ("l", "one")
    (note,) = (note for note in corpus.notes if "too small" in note.reason and "platform" in note.reason)
    assert (note.count, note.detail) == (1, "few")
    alone = made(rows(8, platform=["only"] * 8))
    assert alone.platforms == alone.tested_platforms == ("only",), "there is always one"


def test_rows_are_core_unless_asked():
    corpus = made(rows(40, status=["core"] * 30 + ["too short"] * 10, platform="p"))
    assert len(corpus.rows("train")) + 6 == len(corpus.rows("train", core_only=False))
    assert corpus.rows("train", platform="q").empty


def test_checksum_changes_with_content_only():
    table = rows(30)
    assert made(table).checksum == made(table.copy()).checksum
    assert made(table).checksum != made(table, names=("no", "Yes")).checksum
    assert made(table).checksum != made(table.assign(label=1)).checksum
    changed = table.text.where(table.index > 0, "another")
    assert made(table).checksum != made(table.assign(text=changed)).checksum


def test_checksum_keeps_cells_apart():
    a = pd.DataFrame({"id": ["x\x1fy"], "text": ["z"], "label": [0]})
    b = pd.DataFrame({"id": ["x"], "text": ["y\x1fz"], "label": [0]})
    assert made(a).checksum != made(b).checksum


def test_a_given_split_is_respected():
    table = rows(12, split=["test"] * 6 + ["train"] * 6)
    assert made(table).table.split.tolist() == table.split.tolist()


def test_assign_splits_wants_no_normalised_key():
    table = rows(40, platform="p", status="core")
    with_key, _ = assign_splits(table.assign(key=table.text.map(normalise)), ("no", "yes"))
    without, _ = assign_splits(table, ("no", "yes"))
    assert with_key.equals(without)


def test_25_000_rows_take_less_than_two_seconds():
    table = rows(25_000, text="房间 不错，位置好，早餐也不错，下次还来 {}", label=lambda i: i % 7)
    start = time.process_time()
    corpus = made(table, names=tuple("abcdefg"))
    assert time.process_time() - start < 2
    assert len(corpus) == 25_000
