"""Cleaning and segmentation: the order of the steps, what is kept and what goes."""

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from paperkit import paths
from paperkit.errors import InputError
from paperkit.text import words
from paperkit.text.words import read_lines, segment, stop_words, word_list, write_lines

HAN = regex.compile(r"\p{Han}+")


def cleaned(text, which="none", language="zh"):
    return segment([text], language, which)[0]


def test_jieba_comes_first_and_the_filter_second():
    text = "早餐好吃不。错就错在前台"
    assert cleaned(text) == ["早餐", "好吃", "不", "错", "就", "错", "在", "前台"]
    filtered_first = cleaned("".join(HAN.findall(text)))
    assert "不错" in filtered_first, "clauses that are glued together read as praise"


def test_emoji_punctuation_digits_and_latin_letters_go():
    assert cleaned("WiFi很快👍🏻，住了2晚：OK！！！ＶＩＰ①ℌカ\u3000(^_^)\n") == ["很快", "住", "了", "晚"]
    assert cleaned("买了T恤，AA制") == ["买", "了"], "a word that is Han in part is not a Han word"


def test_negations_are_kept_unless_the_list_is_taken_literally():
    text = "房间的早餐不好，没有热水"
    kept, literal, everything = (cleaned(text, which) for which in ("keep-negations", "literal", "none"))
    assert everything == ["房间", "的", "早餐", "不好", "没有", "热水"]
    assert kept == ["房间", "早餐", "不好", "没有", "热水"]
    assert literal == ["房间", "早餐", "不好", "热水"]
    assert cleaned("不 没 的", "keep-negations") == ["不", "没"]
    assert cleaned("不 没 的", "literal") == []
    assert segment([text], "zh") == [kept], "the default keeps them"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_two_lists_differ_by_negations_alone(language):
    literal, kept = stop_words(language, "literal"), stop_words(language, "keep-negations")
    negations = word_list(f"negations_{language}")
    assert kept < literal
    assert literal - kept <= negations and not kept & negations
    assert stop_words(language, "none") == frozenset()
    assert stop_words(language) == kept


def test_english():
    text = "I don't LIKE it; it isn’t clean, and NOT near: 5* wi-fi 👎"
    everything = ["i", "don't", "like", "it", "it", "isn't", "clean", "and", "not", "near", "wi", "fi"]
    assert cleaned(text, "none", "en") == everything
    left_out = {"i", "it", "and"}
    assert cleaned(text, "keep-negations", "en") == [word for word in everything if word not in left_out]
    assert "not" not in cleaned(text, "literal", "en")
    assert cleaned("can't won't o'clock", "none", "en") == ["can't", "won't", "o'clock"]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_text_may_come_out_empty(language):
    texts = ["", "  \n", "!!!", "12345", "👍", "的" if language == "zh" else "the"]
    assert segment(texts, language) == [[]] * len(texts)
    assert segment([], language) == []


@settings(max_examples=50)
@given(
    st.text(
        st.characters(max_codepoint=0x2FFFF, exclude_categories=["Cs"]) | st.sampled_from("房间不错很干净的，！a1 "),
        max_size=30,
    )
)
def test_words_are_han_in_the_order_of_the_text(text):
    result = cleaned(text)
    assert all(HAN.fullmatch(word) for word in result)
    rest = iter(text)
    assert all(character in rest for word in result for character in word), "a subsequence of the text"
    assert cleaned(text, "literal") == [word for word in result if word not in stop_words("zh", "literal")]


def test_an_unknown_list_is_refused():
    with pytest.raises(InputError, match=r"^stop_words is 'some'; accepted are 'none', 'keep-negations', 'literal'$"):
        stop_words("zh", "some")


def test_a_word_list_may_hold_comments_and_blank_lines(tmp_path, monkeypatch):
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "mine.txt").write_text("# words\n\n 的 # a particle\n不\n不\n", encoding="utf-8")
    monkeypatch.setattr(paths, "DATA", tmp_path)
    assert word_list("mine") == {"的", "不"}


def test_jieba_keeps_its_cache_in_our_store():
    words.quiet_jieba.cache_clear()
    assert words.quiet_jieba().dt.tmp_dir == str(paths.store() / "jieba")


LINES = st.lists(
    st.lists(
        st.text(st.sampled_from("好坏a\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\u3000\xa0\ufeff#"), min_size=1), max_size=4
    )
)


@given(LINES)
def test_lines_come_back_as_they_were(tmp_path_factory, sentences):
    path = tmp_path_factory.mktemp("lines") / "words.txt"
    write_lines(path, sentences)
    assert read_lines(path) == sentences


def test_empty_texts_are_lines_of_their_own(tmp_path):
    for sentences in ([], [[]], [[], []], [["好"], [], ["坏", "坏"], []]):
        write_lines(tmp_path / "words.txt", sentences)
        assert read_lines(tmp_path / "words.txt") == sentences
