"""A corpus as numbers: computed once, from training text alone, and again when anything it rests on changes."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from paperkit import code, paths
from paperkit.corpora.corpus import assemble
from paperkit.errors import InputError
from paperkit.text import prepare as module
from paperkit.text import words
from paperkit.text.prepare import TextOptions, prepare, vector_texts, words_of
from tests.tiny import ONLY_IN, tiny_table

OPTIONS = TextOptions(vector_size=4, vector_epochs=1)


@pytest.fixture
def calls(monkeypatch):
    """How often the two costly steps were taken."""
    count = Counter()

    def spy(owner, name):
        original = getattr(owner, name)

        def counting(*arguments, **options):
            count[name] += 1
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, counting)

    spy(module, "segment")
    spy(module.word2vec, "train")
    return count


def test_every_row_has_its_words_and_numbers(tiny, store):
    prepared = prepare(tiny, "ctrip", OPTIONS, store)
    assert prepared.words == words.segment(tiny.table.text, "zh")
    assert len(prepared.texts) == len(tiny)
    assert prepared.vectors.shape == (len(prepared.vocabulary), 4) and prepared.vectors.dtype == np.float32
    known = prepared.vocabulary.words
    for row, text in enumerate(prepared.words):
        assert prepared.texts[row].tolist() == [known.index(word) if word in known else 1 for word in text]


def test_computed_once(tiny, store, monkeypatch):
    first = prepare(tiny, "ctrip", OPTIONS, store)

    def never(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr(module, "segment", never)
    monkeypatch.setattr(module.word2vec, "train", never)
    again = prepare(tiny, "ctrip", OPTIONS, store)
    assert again.words == first.words and again.vocabulary == first.vocabulary
    assert again.vectors.tobytes() == first.vectors.tobytes()
    assert again.texts.flat.tobytes() == first.texts.flat.tobytes()
    shorter = prepare(tiny, "ctrip", replace(OPTIONS, max_length=2), store)  # nothing rests on the length
    assert shorter.texts.lengths.max() == 2 < first.texts.lengths.max()
    assert shorter.texts[0].tolist() == first.texts[0].tolist()[:2]


def test_what_the_vectors_rest_on_is_a_loop(tiny):
    expected = [
        row
        for row, each in enumerate(tiny.table.itertuples())
        if each.platform == "ctrip" and each.split in ("train", "unlabelled") and each.status == "core"
    ]
    assert vector_texts(tiny, "ctrip").tolist() == expected
    assert {"train", "unlabelled"} == set(tiny.table.split[expected])


def test_nothing_of_dev_test_or_the_other_platform_is_known(tiny, store):
    def known(**options):
        return set(prepare(tiny, "ctrip", replace(OPTIONS, **options), store).vocabulary.words)

    table = tiny.table
    mine = [row for row in range(len(tiny)) if table.platform[row] == "ctrip" and table.status[row] == "core"]
    everywhere = words_of(tiny, "keep-negations", store)
    training = {w for row in mine if table.split[row] in ("train", "unlabelled") for w in everywhere[row]}
    assert known() == training | {"<pad>", "<unk>"}
    assert {ONLY_IN["train"], ONLY_IN["unlabelled"], "酒店"} <= known()
    assert not {ONLY_IN["dev"], ONLY_IN["test"], "客栈", "毁誉参半", "默认"} & known()
    assert {ONLY_IN["dev"], ONLY_IN["test"], "客栈"} <= known(vocabulary="all"), "the paper's dictionary has them"
    assert len(known(min_count=5)) < len(known())


def test_word2vec_sees_training_text_alone(tiny, store, monkeypatch):
    seen = []
    original = module.word2vec.train

    def spy(sentences, vocabulary, **options):
        seen.append((sentences, options))
        return original(sentences, vocabulary, **options)

    monkeypatch.setattr(module.word2vec, "train", spy)
    for vocabulary in ("train", "all"):
        options = replace(OPTIONS, vocabulary=vocabulary, algorithm="skip-gram", window=3, vector_epochs=2)
        prepared = prepare(tiny, "qunar", options, store)
        sentences, given = seen.pop()
        assert sentences == [prepared.words[row] for row in vector_texts(tiny, "qunar")]
        assert given == {"size": 4, "algorithm": "skip-gram", "window": 3, "epochs": 2}


@pytest.mark.parametrize(
    ("change", "segmented", "trained"),
    [
        ({}, 0, 0),
        ({"max_length": 5}, 0, 0),
        ({"stop_words": "literal"}, 1, 1),
        ({"min_count": 2}, 0, 1),
        ({"vocabulary": "all"}, 0, 1),
        ({"vector_size": 5}, 0, 1),
        ({"algorithm": "skip-gram"}, 0, 1),
        ({"window": 2}, 0, 1),
        ({"vector_epochs": 2}, 0, 1),
    ],
)
def test_a_change_computes_what_depends_on_it(tiny, store, calls, change, segmented, trained):
    prepare(tiny, "ctrip", OPTIONS, store)
    assert calls == {"segment": 1, "train": 1}
    prepare(tiny, "ctrip", replace(OPTIONS, **change), store)
    assert calls == {"segment": 1 + segmented, "train": 1 + trained}


def test_another_platform_or_another_corpus(tiny, store, calls):
    prepare(tiny, "ctrip", OPTIONS, store)
    prepare(tiny, "qunar", OPTIONS, store)
    assert calls == {"segment": 1, "train": 2}
    other = assemble("other", tiny_table(), ("negative", "positive"), "zh")
    prepare(other, "ctrip", OPTIONS, store)
    assert calls == {"segment": 2, "train": 3}


def test_another_stop_list(tiny, store, calls, tmp_path, monkeypatch):
    first = prepare(tiny, "ctrip", OPTIONS, store)
    assert "酒店" in first.vocabulary.numbers
    (tmp_path / "words").mkdir()
    for file in (paths.DATA / "words").iterdir():
        text = file.read_text(encoding="utf-8") + ("酒店\n" if file.name == "stop_zh.txt" else "")
        (tmp_path / "words" / file.name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(paths, "DATA", tmp_path)
    words.word_list.cache_clear()
    try:
        assert "酒店" not in prepare(tiny, "ctrip", OPTIONS, store).vocabulary.numbers
        assert calls == {"segment": 2, "train": 2}
    finally:
        words.word_list.cache_clear()


@pytest.mark.parametrize(
    ("changed", "segmented", "trained"), [("words", 1, 1), ("vectors", 0, 1), ("vocabulary", 0, 1), ("prepare", 0, 1)]
)
def test_other_code(tiny, store, calls, monkeypatch, changed, segmented, trained):
    prepare(tiny, "ctrip", OPTIONS, store)
    original = code.digest

    def digest(name):
        reached = f"paperkit.text.{changed}" in code.closure(name)
        return original(name) + ("changed" if reached else "")

    monkeypatch.setattr(code, "digest", digest)
    prepare(tiny, "ctrip", OPTIONS, store)
    assert calls == {"segment": 1 + segmented, "train": 1 + trained}


def test_a_text_without_words_is_not_usable(tiny, store):
    prepared = prepare(tiny, "ctrip", OPTIONS, store)
    rows = np.arange(len(tiny))[::-1]
    expected = [row for row in rows if prepared.words[row]]
    assert prepared.usable(rows).tolist() == expected
    left_out = tiny.table.text[sorted(set(rows) - set(expected))]
    assert left_out.tolist() == ["ctrip wifi ok", "ctrip ok", "qunar wifi ok", "qunar ok"]


def test_an_unknown_vocabulary_is_refused(tiny, store):
    with pytest.raises(InputError, match=r"^vocabulary is 'test'; accepted are 'train', 'all'$"):
        prepare(tiny, "ctrip", replace(OPTIONS, vocabulary="test"), store)
    assert not store.root.exists()


def test_nothing_kept_is_a_pickle(tiny, store):
    prepare(tiny, "ctrip", OPTIONS, store)
    files = [file for kind in ("words", "vectors") for file in (store.root / kind).rglob("*") if file.is_file()]
    assert {file.name for file in files} == {"words.txt", "vocabulary.txt", "vectors.safetensors", "manifest.json"}
    assert all(load_file(file) for file in files if file.suffix == ".safetensors")
