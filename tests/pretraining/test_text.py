"""What is read for pretraining: nothing that is tested on, everything else once."""

import pandas as pd
import pytest

from paperkit import corpora
from paperkit.corpora.corpus import assemble, normalise
from paperkit.pretraining import text as module
from paperkit.pretraining.text import Text, documents, held_out, parted
from paperkit.pretraining.tokenizer import BORDER

ROWS = {
    "news": [
        ("Profits rose.", "train"),
        ("Profits fell.", "dev"),
        ("A merger!", "test"),
        ("Not labelled", "unlabelled"),
    ],
    "exam": [("三角形的面积", "train"), ("光的折射", "test"), ("细胞分裂", "dev")],
    "hotels": [("房间很干净", "train"), ("早餐很差", "test")],  # a corpus of which nothing is read
}
PLAIN = {
    "plain-zh": ["早餐，很差。", "光的　折射！", "山水很好", "三角形的面积。", "细胞分裂", "山水很好！"],
    "plain-en": ["A MERGER", "profits fell", "An ordinary sentence.", "！？", "Ｐｒｏｆｉｔｓ rose"],
}
READ = {
    "Profits rose.": "en",
    "Not labelled": "en",
    "三角形的面积": "zh",
    "山水很好": "zh",
    "An ordinary sentence.": "en",
}


@pytest.fixture
def sources(monkeypatch):
    """Three small corpora and two sources of plain text."""
    loaded = {}
    for name, rows in ROWS.items():
        table = pd.DataFrame(rows, columns=["text", "split"])
        table["label"] = [-1 if split == "unlabelled" else 0 for split in table.split]
        table["id"] = [f"{name}:{row}" for row in range(len(table))]
        loaded[name] = assemble(name, table, ("only",), "en" if name == "news" else "zh", deduplicate=False)
    monkeypatch.setattr(corpora, "names", lambda: (*corpora.EMBEDDED, *loaded))
    monkeypatch.setattr(corpora, "load", loaded.__getitem__)
    monkeypatch.setattr(module, "CORPORA", ("news", "exam"))
    monkeypatch.setattr(module, "PRETRAINING", {"zh": "plain-zh", "en": "plain-en"})
    monkeypatch.setattr(module, "sentences", lambda name: iter(PLAIN[name]))
    return loaded


def test_no_text_of_dev_or_test_is_read_wherever_it_stands(sources):
    forbidden = {normalise(text) for corpus in sources.values()
                 for text in corpus.table.text[corpus.table.split.isin(["dev", "test"])]}  # fmt: skip
    also_plain = {normalise(text) for texts in PLAIN.values() for text in texts}
    assert len(forbidden & also_plain) == 5, "in another corpus, other widths, other punctuation, other case"
    found = documents()
    assert not {normalise(document.text) for document in found} & forbidden
    assert {document.text: document.language for document in found} == READ
    assert len(found) == len(READ), "each once, texts without a word never"
    assert {document.source for document in found} == {"news", "exam", "plain-zh", "plain-en"}


def test_a_text_of_two_corpora_is_forbidden_if_one_tests_on_it(sources, monkeypatch):
    table = sources["exam"].table
    table.loc[0, "text"] = "房间很干净"  # trained on in both
    assert "房间很干净" in {document.text for document in documents()}
    table.loc[0, "text"] = "早餐很差"
    assert "早餐很差" not in {document.text for document in documents()}


def test_the_order_is_random_and_always_the_same(sources, monkeypatch):
    many = [f"sentence number {number}" for number in range(300)]
    monkeypatch.setattr(module, "sentences", lambda name: iter(many if name == "plain-en" else []))
    order = [document.text for document in documents()]
    assert order == [document.text for document in documents()]
    plain = [text for text in order if text in many]
    assert sorted(plain) == sorted(many) and plain != many


def test_held_out_texts_are_one_in_a_hundred_whatever_their_source():
    texts = [Text(f"sentence number {number}", "en", "a") for number in range(5000)]
    out = [held_out(text) for text in texts]
    assert 25 < sum(out) < 80
    again = [held_out(Text(text.text.upper() + "!", "zh", "b")) for text in texts]
    assert again == out


def test_chinese_is_parted_into_words_and_english_is_not():
    assert parted(Text("我们的房间，ＶＩＰ房！", "zh", "")) == BORDER.join(
        ["我们", "的", "房间", ",", "vip", "房", "!"]
    )
    assert parted(Text(" The  room\n\twas\u3000GOOD ", "en", "")) == "the room was good"
    assert parted(Text(f"the{BORDER}room", "en", "")) == "the room"
    assert parted(Text("", "zh", "")) == ""
