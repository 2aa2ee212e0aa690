"""The pieces of Chinese and English: what they may hold, and that no character is ever split."""

import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from paperkit.errors import InputError
from paperkit.pretraining import tokenizer
from paperkit.pretraining.tokenizer import BORDER, END, MASK, PAD, SPECIAL, START, UNKNOWN

KNOWN, RARE = "风景服务早餐酒店很美失望导游", "龘鱻饕𠀀"
HAN = st.text(KNOWN + RARE, max_size=12)
MIXED = st.text(KNOWN + RARE + "abcxyz 019,.!?，。！🔥", max_size=20).map(lambda text: regex.sub(" +", " ", text))
"""Several blanks are one token, which has the place of the last of them."""


@given(MIXED)
def test_a_chinese_character_is_never_split(learned, characters, text):
    for each in (learned, characters):
        encoding = each.encode(text, add_special_tokens=False)
        ends = [0, *(end for _, end in encoding.offsets)]
        assert [start for start, _ in encoding.offsets] == ends[:-1] and ends[-1] == len(text), "tokens tile the text"
        assert all(end > start for start, end in encoding.offsets), "and each has a whole character at least"
        for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
            plain = unicodedata.normalize("NFKC", regex.sub(r"\s+", "▁", text[start:end]))
            assert token == plain or (token == "<unk>" and end - start == 1)


@given(HAN)
def test_pieces_may_be_characters(characters, text):
    tokens = characters.encode(text, add_special_tokens=False).tokens
    assert tokens == [character if character in KNOWN else "<unk>" for character in text]


def test_pieces_of_chinese_are_words_and_parts_of_words(learned, characters, lines):
    words = {word for line in lines for word in line.split(BORDER)}
    long = [piece for piece in learned.get_vocab() if regex.fullmatch(r"\p{Han}{2,}", piece)]
    assert (
        {"酒店", "早餐"}
        <= set(long)
        <= {word[i:j] for word in words for i in range(len(word)) for j in range(len(word) + 1)}
    )
    assert not [piece for piece in characters.get_vocab() if regex.search(r"\p{Han}.|.\p{Han}", piece)]
    for each in (learned, characters):
        assert any(regex.fullmatch("▁[a-z]{3,}", piece) for piece in each.get_vocab()), "English words are pieces"
        assert not [piece for piece in each.get_vocab() if regex.search(r"\p{P}.|.\p{P}|.▁|" + BORDER, piece)
                    and piece not in SPECIAL]  # fmt: skip


def test_a_stretch_of_chinese_needs_no_borders(learned):
    assert learned.encode("酒店早餐", add_special_tokens=False).tokens == ["酒店", "早餐"]


@pytest.mark.parametrize(
    ("given", "plain"),
    [("ＩＮＶＯＩＣＥ", "invoice"), ("Invoice", "invoice"), ("酒店，ａ", "酒店,a"), ("a  b\n\tc", "a b c"),
     ("a\u3000b", "a b"), ("a\x00\x1b b", "a b"), ("１2③", "123"), ("ﬁ", "fi")],
)  # fmt: skip
def test_width_case_and_blanks_do_not_matter(learned, given, plain):
    assert learned.encode(given).ids == learned.encode(plain).ids


def test_special_tokens_have_their_numbers(learned, characters, lines):
    assert SPECIAL == ("<pad>", "<s>", "</s>", "<unk>", "<mask>")
    for each in (learned, characters):
        assert [each.token_to_id(token) for token in SPECIAL] == [PAD, START, END, UNKNOWN, MASK] == [0, 1, 2, 3, 4]
        ids = each.encode("酒店").ids
        assert (ids[0], ids[-1]) == (START, END) and min(ids[1:-1]) >= len(SPECIAL)
        assert each.encode("").ids == [START, END]
        assert each.encode("酒店", "早餐").ids == ids + each.encode("早餐").ids[1:]
        assert each.encode("很<mask>美").ids[2] == MASK
        for line in lines:
            plain = line.replace(BORDER, "")
            assert min(each.encode(plain, add_special_tokens=False).ids) >= len(SPECIAL), (
                "nothing trained on is unknown"
            )


def test_what_was_never_seen_is_unknown_one_by_one(learned):
    assert learned.encode("早餐龘鱻🔥!", add_special_tokens=False).ids[1:4] == [UNKNOWN] * 3


@given(st.lists(st.sampled_from(["refund", "please", "the", "invoice,", "charge"]), min_size=1).map(" ".join))
def test_known_text_comes_back(learned, text):
    assert learned.decode(learned.encode(text).ids) == text
    assert learned.decode(learned.encode("早餐酒店" + text).ids) == "早餐酒店" + text


def test_size_and_repetition(lines, learned):
    assert learned.get_vocab_size() <= 300
    assert sorted(learned.get_vocab().values()) == list(range(learned.get_vocab_size())), "numbers without a gap"
    assert tokenizer.train(lines, 300).to_str() == learned.to_str()
    assert tokenizer.train(lines, 150).get_vocab_size() == 150


def test_unknown_pieces_are_refused(lines):
    with pytest.raises(InputError, match=r"^pieces is 'syllables'; accepted are 'words', 'characters'$"):
        tokenizer.train(lines, 300, "syllables")
