"""Plain text for pretraining: what is undone, left out, and kept."""

import json

import pytest

from paperkit.corpora import plain, public
from paperkit.errors import InputError


def texts(monkeypatch, name="pretraining-zh", **files):
    contents = {key: value if isinstance(value, bytes) else value.encode() for key, value in files.items()}
    monkeypatch.setattr(public, "files", lambda _: contents)
    return list(plain.sentences(name))


def test_tags_and_tokens_are_undone(monkeypatch):
    brown = (
        "\n\n\tThe/at jury/nn said/vbd ,/, ``/`` no/at evidence/nn ''/'' (/( yet/rb )/) ./.\nWhy/wrb ?/. ?/.\n\n\n"
        "\tNext/ap 1\\/2/cd ;/. ;/. it's/pps+bez --/-- so/ql ./.\n"
    )
    assert texts(monkeypatch, **{"brown/ca01": brown, "brown/README": "not this", "brown/cats.txt": "ca01 news"}) == [
        'The jury said, "no evidence" (yet). Why?',
        "Next 1\\/2; it's -- so.",
    ]


def test_a_review_is_one_text(monkeypatch):
    review = 'watch it and " sorta " find out . . . \nwhat\'s the deal ( really ) ? \n'
    found = texts(monkeypatch, **{"movie_reviews/neg/cv0.txt": review, "movie_reviews/README": "not this"})
    assert found == ['watch it and "sorta" find out... what\'s the deal (really)?']


def test_lines_of_the_other_collections(monkeypatch):
    found = texts(
        monkeypatch,
        **{
            "webtext/a.txt": "at \xa320\r\nit\x12s\r\n\r\nDon&#39;t  go\nat £20".encode("cp1252"),
            "state_union/1973-Nixon.txt": b"the President\xa1\xa6s report",
            "__MACOSX/a.txt": "not this",
        },
    )
    assert found == ["the President’s report", "at £20", "it’s", "Don't go"]


def test_json_lines_and_the_cut_out_idiom(monkeypatch):
    rows = [
        {"sentence": "第一句\u2028好", "keywords": "不要"},
        {"abst": "摘要。", "keyword": ["不要"]},
        {"content": "他们#idiom#。留下这句！“也#idiom000#？”还有这句", "candidates": ["不要"]},
        {"sentence": "摘要。"},
        {"label": "不要"},
    ]
    packed = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    assert texts(monkeypatch, **{"x/unlabeled.json": packed}) == ["第一句 好", "摘要。", "留下这句！还有这句"]


def test_both_forms_of_tagged_sentences(monkeypatch):
    tagged = texts(monkeypatch, **{"dh_msra.txt": "中\tB-LOC\r\n国\tI-LOC\r\n\r\n\r\n好\tO\r\n"})
    assert tagged == texts(monkeypatch, **{"dh_msra_sentences.txt": "中国\n好\n"}) == ["中国", "好"]


def test_unknown_source():
    with pytest.raises(InputError, match=r"'lexicon-zh' is no source of text.*pretraining-zh, pretraining-en"):
        plain.sentences("lexicon-zh")


@pytest.mark.parametrize(
    ("name", "number", "characters"), [("pretraining-zh", 106_681, 4.5e6), ("pretraining-en", 80_000, 21e6)]
)
def test_real_texts(real, name, number, characters):
    found = list(plain.sentences(name))
    assert len(found) >= number and sum(map(len, found)) > characters
    assert len(set(found)) == len(found) and all(text == " ".join(text.split()) for text in found)
    assert not any("#idiom" in text or "/nn " in text for text in found)


def test_real_lexicons(real):
    assert set(public.files("lexicon-zh")) == {"dict_synonym.txt", "dict_antonym.txt", "dict_negative.txt"}
    assert set(public.files("lexicon-en")) == {"oewn_antonyms.tsv", "oewn_synsets.tsv"}
