"""Tokens in a row, the words they belong to, and masks over whole words."""

import random
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paperkit.pretraining.stream import IGNORED, Stream, encode, mask
from paperkit.pretraining.text import Text, parted
from paperkit.pretraining.tokenizer import BORDER, END, MASK, PAD, SPECIAL, START


def runs_of(words: list[str]) -> list[int]:
    """The number of the word of each character: jieba's words, each cut at punctuation, blanks with what follows."""
    glued, blanks = [], ""
    for word in words:
        if word == " ":
            blanks += word
        else:
            glued, blanks = [*glued, blanks + word], ""
    glued += [blanks] if blanks else []
    runs = [run for word in glued for run in re.findall(r" *[^\W_]+| *(?:[^\w ]|_)+| +$", word)]
    assert "".join(runs) == "".join(words)
    return [number for number, run in enumerate(runs) for _ in run]


def plain_words(documents: list[list[str]], tokeniser) -> tuple[list[int], list[int]]:
    tokens, words, number = [], [], 0
    for document in documents:
        owners, last = runs_of(document), None
        encoding = tokeniser.encode("".join(document), add_special_tokens=False)
        for token, (start, _) in zip(encoding.ids, encoding.offsets, strict=True):
            number += owners[start] != last
            last = owners[start]
            tokens, words = [*tokens, token], [*words, number]
        number += 1
        tokens, words = [*tokens, END], [*words, number]
    return tokens, words


PIECE = st.one_of(st.just(" "), st.text("风景服务早餐酒店龘", min_size=1, max_size=3), st.sampled_from(
    ["refund", "invoice", "please", "x9", "3.5", "!", "，", "...", "don't", "a_b"]))  # fmt: skip


def single_blanks(words: list[str]) -> list[str]:
    return [word for at, word in enumerate(words) if word != " " or (at and words[at - 1] != " ")]


@settings(max_examples=50)
@given(st.lists(st.lists(PIECE, max_size=8).map(single_blanks), max_size=4))
def test_words_are_a_loop(learned, documents):
    stream = encode([BORDER.join(document) for document in documents], learned)
    tokens, words = plain_words(documents, learned)
    assert stream.tokens.tolist() == tokens and stream.words.tolist() == words
    assert stream.tokens.dtype == np.uint16 and stream.words.dtype == np.int32


def numbered(text, language, tokeniser) -> list[list[str]]:
    """The tokens of one document, word by word, without its end."""
    stream = encode([parted(Text(text, language, "test"))], tokeniser)
    groups: dict[int, list[str]] = {}
    for token, word in zip(stream.tokens.tolist(), stream.words.tolist(), strict=True):
        groups.setdefault(word, []).append(tokeniser.id_to_token(token))
    *words, end = groups.values()
    assert end == ["</s>"]
    return words


def test_pieces_of_one_word_go_together(learned):
    assert numbered("导游失望", "zh", learned) == [["导游"], ["失望"]]
    words = numbered("Please REFUND my Chargenet, i-me, the", "en", learned)
    assert ["".join(word) for word in words] == [
        "please", "▁refund", "▁my", "▁chargenet", ",", "▁i", "<unk>", "me", ",", "▁the"]  # fmt: skip
    assert len(words[3]) > 1


def test_english_among_chinese_is_whole(learned):
    """A blank before a word is part of its first piece, though jieba parts the two."""
    words = numbered("酒店 unchargeable 早餐refundnet，失望", "zh", learned)
    assert list(map("".join, words)) == [
        "酒店", "▁unchargeable", "▁早餐", "refundnet", ",", "失望"]  # fmt: skip
    assert len(words[1]) > 1 and len(words[3]) > 1


def test_a_piece_over_a_border_belongs_to_the_word_in_which_it_starts(learned):
    # 酒店 is one piece; here somebody parted it
    stream = encode([BORDER.join(["很酒", "店早餐", "美"])], learned)
    assert [learned.id_to_token(token) for token in stream.tokens] == ["很", "酒店", "早餐", "美", "</s>"]
    assert stream.words.tolist() == [1, 1, 2, 3, 4]


@given(st.integers(0, 60), st.integers(2, 9))
def test_sequences_are_full(size, length):
    stream = Stream(np.arange(10, 10 + size, dtype=np.uint16), np.arange(size, dtype=np.int32) // 2)
    tokens, words = stream.sequences(length)
    body = length - 1
    assert tokens.tolist() == [[START, *range(10 + i, 10 + i + body)] for i in range(0, size - body + 1, body)]
    assert words.tolist() == [[-1, *(j // 2 for j in range(i, i + body))] for i in range(0, size - body + 1, body)]
    assert PAD not in tokens and tokens.shape == words.shape == (size // body, length)
    assert tokens.dtype == words.dtype == np.int64


VOCABULARY = 50


def random_stream(size: int, seed: int = 0) -> Stream:
    """Words of one to four tokens, here and there the end of a document or an unknown character."""
    draw = random.Random(seed)
    tokens, words, number = [], [], 0
    while len(tokens) < size:
        number += 1
        if draw.random() < 0.1:
            tokens, words = [*tokens, END], [*words, number]
            continue
        for _ in range(draw.randint(1, 4)):
            tokens.append(draw.choice([3, *range(5, VOCABULARY)] if draw.random() < 0.2 else range(5, VOCABULARY)))
            words.append(number)
    return Stream(np.array(tokens, dtype=np.uint16), np.array(words, dtype=np.int32))


@settings(max_examples=50)
@given(st.integers(20, 200), st.integers(3, 20), st.integers(0, 2**40), st.floats(0, 1))
def test_words_are_masked_whole_and_special_tokens_never(size, length, seed, share):
    tokens, words = random_stream(size, seed).sequences(length)
    hidden, targets = mask(tokens, words, VOCABULARY, seed, 7, share=share)
    chosen = targets != IGNORED
    special = tokens < len(SPECIAL)
    assert hidden.dtype == targets.dtype == np.int64 and hidden.shape == targets.shape == tokens.shape
    assert not chosen[special].any() and (hidden[~chosen] == tokens[~chosen]).all()
    assert (targets[chosen] == tokens[chosen]).all()
    assert ((hidden[chosen] == MASK) | (hidden[chosen] >= len(SPECIAL))).all() and hidden.max(initial=0) < VOCABULARY
    for row in range(len(tokens)):
        for word in set(words[row].tolist()):
            mine = (words[row] == word) & ~special[row]
            assert chosen[row][mine].all() or not chosen[row][mine].any()


@pytest.fixture(scope="module")
def many():
    return random_stream(40_000).sequences(100)


def test_shares(many):
    tokens, words = many
    hidden, targets = mask(tokens, words, VOCABULARY, 0, "shares")
    chosen = targets != IGNORED
    assert chosen[tokens >= len(SPECIAL)].mean() == pytest.approx(0.15, abs=0.01)
    fates = Counter(np.where(hidden == MASK, "mask", np.where(hidden == tokens, "same", "other"))[chosen].tolist())
    n = chosen.sum()
    assert fates["mask"] / n == pytest.approx(0.8, abs=0.015)
    assert fates["same"] / n == pytest.approx(0.1 + 0.1 / (VOCABULARY - 5), abs=0.015)
    others = Counter(hidden[chosen & (hidden != MASK) & (hidden != tokens)].tolist())
    assert set(others) == set(range(5, VOCABULARY)), "any token that is not special"
    double, _ = mask(tokens, words, VOCABULARY, 0, "shares", share=0.3)
    assert (double == MASK).mean() == pytest.approx(2 * (hidden == MASK).mean(), rel=0.1)


def test_every_word_of_a_sequence_has_its_own_chance(many):
    """The k-th word is hidden as often as the first, and two neighbours no more often than chance says."""
    tokens, words = many
    chosen = mask(tokens, words, VOCABULARY, 0, "places")[1] != IGNORED
    for part in np.array_split(chosen[:, 1:], 3, axis=1):
        assert part.mean() == pytest.approx(chosen[:, 1:].mean(), abs=0.015)
    border = (words[:, 1:-1] != words[:, 2:]) & (tokens[:, 1:-1] > 4) & (tokens[:, 2:] > 4)
    assert (chosen[:, 1:-1] & chosen[:, 2:])[border].mean() == pytest.approx(0.15**2, abs=0.01)


def test_a_mask_depends_on_seed_and_purpose_alone(many):
    tokens, words = (each[:50] for each in many)

    def masked(*purpose):
        np.random.rand(3)
        return mask(tokens, words, VOCABULARY, *purpose)

    first = masked(0, 5)
    assert all(np.array_equal(one, other) for one, other in zip(first, masked(0, 5), strict=True))
    for other in ((1, 5), (0, 6), (0, "held out")):
        assert not np.array_equal(first[1], masked(*other)[1])
    before = tokens.copy()
    masked(0, 5)
    assert np.array_equal(tokens, before), "what is masked is a copy"
