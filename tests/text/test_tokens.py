"""Texts as tokens of an encoder: one tokeniser, one text at a time, and nothing lost but the end of long texts."""

import shutil
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from paperkit import store as storage
from paperkit.corpora.corpus import assemble
from paperkit.errors import InputError
from paperkit.models import backbones
from paperkit.text.batches import collate
from paperkit.text.tokens import Tokenised, TokenOptions, characters_read, tokenise
from tests.encoders import POSITIONS, SAVE

TEXTS = (
    "山水好！",
    "我们的房间很好，早餐很坏。" * 6,
    "The room",
    "good breakfasts ! the bad room " * 5,
    "a",
    "火🔥🔥",
    "room，山",
    "x" * 20_000,
    "很" * 20_000,
)


@pytest.fixture(scope="module")
def corpus():
    table = pd.DataFrame({"text": TEXTS, "label": 0, "split": "train"})
    table["id"] = [f"t:{row}" for row in range(len(table))]
    return assemble("texts", table, ("only",), "zh")


@pytest.fixture(scope="module", params=SAVE)
def folder(request, tmp_path_factory):
    """A saved encoder of each family; do not change it."""
    return SAVE[request.param](tmp_path_factory.mktemp(request.param))


@cache
def loaded(folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def plain(folder, text, max_length) -> list[int]:
    """What the encoder's own tokeniser says, cut by hand: special tokens stand in front and at the end."""
    tokeniser = loaded(folder)
    numbers = tokeniser(text, add_special_tokens=False)["input_ids"][: max_length - 2]
    return [tokeniser.cls_token_id, *numbers, tokeniser.sep_token_id]


@pytest.mark.parametrize("max_length", [3, 12, POSITIONS])
def test_it_is_a_loop_over_texts(folder, corpus, store, max_length):
    tokens = tokenise(corpus, TokenOptions(str(folder), max_length), store)
    expected = [plain(folder, text, max_length) for text in corpus.table.text]
    assert [tokens.texts[row].tolist() for row in range(len(TEXTS))] == expected
    assert tokens.texts.lengths.tolist() == [len(numbers) for numbers in expected]
    assert max(tokens.texts.lengths) == max_length, "long texts are cut, the closing token kept"
    assert tokens.texts.flat.dtype == np.int32
    assert tokens.vocabulary_size == len(backbones.find(str(folder)).tokeniser()[0].get_vocab())
    assert tokens.usable(np.arange(3)).tolist() == [0, 1, 2]


@pytest.mark.parametrize("max_length", [3, 5, 12])
def test_the_characters_that_an_encoder_reads(folder, max_length):
    ends = characters_read(TEXTS, TokenOptions(str(folder), max_length))
    for text, end in zip(TEXTS, ends, strict=True):
        read = plain(folder, text, max_length)[:-1]
        assert plain(folder, text[:end], 999)[: len(read)] == read  # bytes of its last character may stay unread
        long = len(plain(folder, text, 99_999)) > max_length + 4  # a character has four bytes at most
        assert end < len(text) if long else end <= len(text)


def test_padding_is_the_encoders(folder, corpus, store):
    tokens = tokenise(corpus, TokenOptions(str(folder), 12), store)
    pad = {"bert": 0, "roberta": 1}[backbones.find(str(folder)).encoder("eager", 0.1).config.model_type]
    batch = collate(tokens.texts, np.array([1, 4]))
    short = int(batch.lengths[1])
    assert batch.ids[0].tolist() == plain(folder, TEXTS[1], 12)
    assert batch.ids[1].tolist() == plain(folder, "a", 12) + [pad] * (12 - short)
    assert pad not in tokens.texts.flat


def test_a_text_without_a_word_keeps_its_special_tokens(folder, corpus, store):
    table = corpus.table.assign(text=["", " ", "\n", "\u200b", *TEXTS[4:]])
    tokens = tokenise(replace(corpus, table=table), TokenOptions(str(folder), 20), store)
    opening, closing = plain(folder, "", 20)
    for row in range(4):
        numbers = tokens.texts[row].tolist()
        assert (numbers[0], numbers[-1]) == (opening, closing)
        assert numbers == plain(folder, table.text[row], 20)
    assert tokens.texts[0].tolist() == [opening, closing]


def test_it_is_computed_once_and_again_for_another_tokeniser(corpus, store, tmp_path, monkeypatch):
    folder = SAVE["bert"](tmp_path / "bert")
    built = []
    original = storage.Store.get

    def get(self, kind, identity, build):
        return original(self, kind, identity, lambda folder: (built.append(kind), build(folder)))

    monkeypatch.setattr(storage.Store, "get", get)
    options = TokenOptions(str(folder), 12)
    first = tokenise(corpus, options, store)
    again = tokenise(corpus, options, store)
    assert built == ["tokens"] and first.texts.flat.tolist() == again.texts.flat.tolist()
    assert (first.texts.pad, first.vocabulary_size) == (again.texts.pad, again.vocabulary_size)

    tensors = load_file(folder / "model.safetensors")
    save_file({name: value + 1 for name, value in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere")
    for same in (options, replace(options, pooling="cls"), replace(options, backbone=str(elsewhere))):
        tokenise(corpus, same, store)
    assert built == ["tokens"], "neither weights, nor names, nor what becomes of the tokens"

    tokenise(corpus, replace(options, max_length=13), store)
    tokenise(replace(corpus, table=corpus.table[::-1].reset_index(drop=True)), options, store)
    (elsewhere / "tokenizer.json").write_text((elsewhere / "tokenizer.json").read_text().replace("山", "川"))
    others = tokenise(corpus, replace(options, backbone=str(elsewhere)), store)
    assert built == ["tokens"] * 4
    assert others.texts[0].tolist() != first.texts[0].tolist()


def test_our_own_encoders_share_their_tokens(corpus, store):
    for name in ("mini", "mini-random", "tiny"):
        tokenise(corpus, TokenOptions(name, 64), store)
    assert len(list((store.root / "tokens").iterdir())) == 1


@pytest.mark.parametrize("max_length", [-1, 0, 2, POSITIONS + 1])
def test_a_length_that_the_encoder_cannot_take_is_refused(folder, corpus, store, max_length):
    with pytest.raises(
        InputError, match=rf"^tokens.max_length is {max_length}; accepted are 3 to {POSITIONS} tokens, which is what"
    ):
        tokenise(corpus, TokenOptions(str(folder), max_length), store)
    assert not store.root.exists()


def test_a_tokeniser_is_loaded_once_and_again_when_its_files_change(tmp_path, store, monkeypatch):
    folder = SAVE["bert"](tmp_path / "bert")
    loads = []
    original = backbones.Backbone.tokeniser
    monkeypatch.setattr(backbones.Backbone, "tokeniser", lambda self: loads.append(self.name) or original(self))
    for max_length in (5, 12, 5):
        tokens = Tokenised(None, 0, TokenOptions(str(folder), max_length)).encode(TEXTS, store)
        expected = [plain(folder, text, max_length) for text in TEXTS]
        assert [tokens[row].tolist() for row in range(len(TEXTS))] == expected
    assert loads == [str(folder)]
    file = folder / "tokenizer.json"
    file.write_text(file.read_text().replace("山", "川"))
    Tokenised(None, 0, TokenOptions(str(folder), 5)).encode(TEXTS, store)
    assert loads == [str(folder)] * 2


def test_other_texts_are_numbered_once(folder, store, monkeypatch):
    tokens = Tokenised(None, 0, TokenOptions(str(folder), 12))
    first = tokens.encode(TEXTS, store)
    monkeypatch.setattr("paperkit.text.tokens.save_file", lambda *_: pytest.fail("numbered again"))
    again = tokens.encode(list(TEXTS), store)
    assert np.array_equal(first.flat, again.flat) and np.array_equal(first.offsets, again.offsets)
    assert (again.pad, again.special) == (first.pad, first.special)
    monkeypatch.undo()
    assert tokens.encode(TEXTS[::-1], store)[0].tolist() == first[len(TEXTS) - 1].tolist(), "the order is content"
