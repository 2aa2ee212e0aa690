"""A text as pieces: nothing is lost, words are found, and the joints of English hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paperkit.text import pieces as module
from paperkit.text.pieces import cut, joined, pieces_of, word_places
from paperkit.text.words import quiet_jieba

TEXTS = st.text(
    st.characters(max_codepoint=0x2FFFF, exclude_categories=["Cs"])
    | st.sampled_from("房间不错，！👍 \n\u3000aB1_'’.²①é\u0301")
    | st.sampled_from("don't rose\n  WiFi的"),
    max_size=30,
)


@pytest.mark.parametrize("language", ["zh", "en"])
@settings(max_examples=200)
@given(text=TEXTS)
def test_a_text_comes_back_byte_by_byte(language, text):
    pieces = cut(text, language)
    assert "".join(pieces) == joined(pieces, language) == text
    assert all(pieces)
    assert word_places(pieces, language) == sorted(set(word_places(pieces, language)))


@settings(max_examples=200)
@given(text=st.text(st.sampled_from("房间不错，。；：！？、\r\n a1-.很干净研究生命起源"), max_size=20))
def test_chinese_words_are_those_of_jieba(text):
    assert list(cut(text, "zh")) == list(quiet_jieba().cut(text))


def words(text, language):
    pieces = cut(text, language)
    return [pieces[place] for place in word_places(pieces, language)]


def test_what_is_a_word():
    assert words("WiFi很快👍🏻，住了2晚：OK！T恤\n", "zh") == ["很快", "住", "了", "晚"]
    english = "Don't say “it’s” the 3rd o'clock: 161.74 dlrs_x café, rock'n'roll 好 x2 👍"
    assert words(english, "en") == ["Don't", "say", "it’s", "the", "o'clock", "café", "rock'n'roll", "好"]
    for text in ("", "  \n", "!!!", "12 345", "👍"):
        assert words(text, "zh") == words(text, "en") == []


def test_the_joints_of_english():
    pieces = cut("The price rose, 3 times.\nIt fell.", "en")
    price, rose, it = (pieces.index(word) for word in ("price", "rose", "It"))

    def with_(place, *new):
        return joined([*pieces[:place], *new, *pieces[place + 1 :]], "en")

    assert with_(price, "price", "price") == "The price price rose, 3 times.\nIt fell."
    assert with_(price) == "The rose, 3 times.\nIt fell."
    assert with_(rose) == "The price , 3 times.\nIt fell."
    assert with_(it) == "The price rose, 3 times.\nfell."
    assert joined(["a", " ", "\n", "b"], "en") == "a\nb", "the line end stays"
    assert joined(["a", " ", " ", " ", "b"], "en") == "a b"
    assert joined(["不", "不", " ", " ", "好"], "zh") == "不不  好", "Chinese has no blanks to mend"


def test_chinese_is_cut_once_for_a_corpus(tiny, store, monkeypatch):
    rows = np.arange(len(tiny))[::-3]
    first = list(pieces_of(tiny, rows.tolist(), store))
    assert first == [list(cut(tiny.table.text[row], "zh")) for row in rows]

    def never(*_):
        raise AssertionError("cut again")

    monkeypatch.setattr(module, "cut", never)
    assert list(pieces_of(tiny, rows[:2].tolist(), store)) == first[:2]
