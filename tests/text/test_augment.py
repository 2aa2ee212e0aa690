"""Texts in other words: by id and seed alone, within the ranges, computed once from training text."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paperkit import code, paths
from paperkit.errors import InputError
from paperkit.text import augment as module
from paperkit.text import edits
from paperkit.text.augment import augment, augmented
from paperkit.text.augmentation import KINDS, RATES, Augmentation
from paperkit.text.lexicon import lexicon
from tests.tiny import ONLY_IN

ZH = ["房间很干净，服务热情！附近有WiFi👍🏻", "用户2月3日投诉，要求退款。", "不值得", "", " \n", "👍", "OK123", "好"]
EN = ["Prices rose 3 pct.\nThe group said profit fell.", "RISE IN OIL OUTPUT", "don't", "", "\n\t", "👍", "161.74", "x"]
TEXTS = {"zh": ZH, "en": EN}
ALL = [kind for kind in KINDS if kind != "back-translation"]


def run(texts, language, kind, seed=0, view=0, rate=None, ids=None):
    ids = [f"c:{number}" for number in range(len(texts))] if ids is None else ids
    return augment(texts, ids, language, Augmentation(kind, rate), seed, view, fit_on=TEXTS[language])


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("kind", ALL)
def test_a_text_depends_on_seed_id_and_view_alone(kind, language):
    texts = TEXTS[language] * 3
    ids = [f"c:{number}" for number in range(len(texts))]
    together = run(texts, language, kind)
    order = np.random.default_rng(0).permutation(len(texts))
    assert run([texts[i] for i in order], language, kind, ids=[ids[i] for i in order]) == [together[i] for i in order]
    assert [run([text], language, kind, ids=[each])[0] for text, each in zip(texts, ids, strict=True)] == together
    assert run([], language, kind) == []
    if kind != "none":
        others = [run(texts, language, kind, **change) for change in ({"seed": 1}, {"view": 1}, {"ids": ids[::-1]})]
        assert all(other != together for other in others), "each of them matters"


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("kind", ALL)
def test_what_is_no_word_stays(kind, language):
    for view in range(20):
        changed = run(TEXTS[language], language, kind, view=view, rate=1 if kind in RATES else None)
        # a lone word may be repeated or replaced; a text without words comes back as it was
        assert changed[3:7] == TEXTS[language][3:7]
        digits = ["".join(c for c in text if c.isdigit()) for text in TEXTS[language]]
        assert ["".join(c for c in text if c.isdigit()) for text in changed] == digits


@pytest.mark.parametrize("language", TEXTS)
@settings(max_examples=30)
@given(
    text=st.text(st.characters(max_codepoint=0x2FFFF, exclude_categories=["Cs"]) | st.sampled_from("房间好 a\n"), max_size=12),
    view=st.integers(0, 3),
)  # fmt: skip
def test_any_text_is_safe(language, text, view):
    for kind in ALL:
        (changed,) = run([text], language, kind, view=view)
        assert isinstance(changed, str) and bool(changed) == bool(text)
    assert run([text], language, "tfidf", view=view, rate=0) == [text]


def test_what_each_kind_does_to_a_text():
    text = "用户投诉宽带故障，要求退款。"
    every = {kind: {run([text], "zh", kind, view=view)[0] for view in range(40)} for kind in ALL}
    assert every["none"] == {text}
    assert every["repetition-one"] >= {"用户用户投诉宽带故障，要求退款。", "用户投诉宽带故障，要求退款退款。"}
    assert all(len(each) > len(text) for each in every["repetition-one"])
    assert all(sorted(each) == sorted(text) and each != text for each in every["swap"])
    assert any(each.startswith(("客户", "顾客")) for each in every["synonyms"])
    assert "用户表扬宽带故障，要求退款。" in every["antonyms"] or "用户投诉宽带故障，要求充值。" in every["antonyms"]
    assert "用户宽带故障，要求退款。" in {run([text], "zh", "delete", view=view, rate=0.2)[0] for view in range(200)}
    assert all(each.endswith("。") and "，" in each for kind in ALL for each in every[kind])


def test_english_is_rejoined_with_its_blanks_and_capitals():
    text = "Prices rose, the group said."
    assert run([text], "en", "repetition-one")[0].count(" ") == text.count(" ") + 1
    deleted = {run([text], "en", "delete", view=view, rate=0.5)[0] for view in range(100)}
    assert "rose, the group said." in deleted and not any("  " in each or each[0] == " " for each in deleted)
    antonyms = {run([text], "en", "antonyms", view=view)[0] for view in range(20)}
    assert "Prices fell, the group said." in antonyms
    assert {run(["RISE IN OUTPUT"], "en", "antonyms", view=view)[0] for view in range(30)} == {
        "FALL IN OUTPUT", "DROP IN OUTPUT", "DECLINE IN OUTPUT"}  # fmt: skip
    words = Counter(word for view in range(50) for word in run(["Some Text"], "en", "tfidf", view=view)[0].split())
    assert all(word[0].isupper() for word in words) and len(words) > 5


def test_the_rate_is_used():
    text = "，".join(["房间干净服务热情"] * 10)
    for kind in ("synonyms", "delete", "swap", "insert", "eda-negative"):
        few, many = (run([text], "zh", kind, rate=rate)[0] for rate in (0.01, 1.0))
        assert edits.edit_similarity(text, few) > 0.9 > edits.edit_similarity(text, many), kind
    assert run([text], "zh", "tfidf", rate=0) == [text]
    assert max(len(run([text], "zh", "repetition", rate=0.1, view=view)[0]) for view in range(60)) <= len(text) + 8


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kind": "mixup"}, r"^augmentation is 'mixup'; accepted are 'tfidf', 'repetition', "),
        ({"kind": "tfidf", "rate": 1.1}, r"^rate of augmentation 'tfidf' is 1\.1; accepted is a share, 0 to 1$"),
        ({"kind": "eda", "rate": 0}, r"^rate of augmentation 'eda' is 0; accepted is a share, above 0, up to 1$"),
        ({"kind": "delete", "rate": float("nan")}, r"^rate of augmentation 'delete' is nan"),
        ({"kind": "swap", "rate": "much"}, r"^rate of augmentation 'swap' is 'much'"),
        ({"kind": "repetition-one", "rate": 0.3}, r"^rate is 0\.3; augmentation 'repetition-one' has none"),
        ({"lexicon": "wordnet"}, r"^lexicon is 'wordnet'; accepted are 'embedded', 'public'$"),
        ({"kind": "eda", "paraphrases": "a.csv"}, r"^augmentation 'eda' was given paraphrases or translation models"),
        ({"kind": "back-translation"}, r"^back-translation needs either paraphrases=file, or the two models"),
        ({"kind": "back-translation", "forward": "a"}, r"given are paraphrases=None, forward='a', backward=None$"),
        ({"kind": "back-translation", "forward": "a", "backward": "b", "paraphrases": "c"}, r"^back-translation needs"),
        ({"temperature": -1}, r"^temperature is -1; accepted is a number from 0 up$"),
        ({"beams": 0}, r"^beams is 0; accepted is a whole number from 1 up$"),
    ],
)
def test_options_out_of_range_are_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        Augmentation(**options)


def test_other_input_is_refused():
    with pytest.raises(InputError, match=r"^language is 'fr'; texts are augmented in 'zh', 'en'$"):
        augment(["a"], ["1"], "fr", Augmentation("swap"), 0, 0)
    with pytest.raises(InputError, match=r"^1 ids were given for 2 texts; accepted is one for each$"):
        augment(["a", "b"], ["1"], "en", Augmentation("swap"), 0, 0)
    with pytest.raises(InputError, match=r"^augmentation 'tfidf' was given no fit_on"):
        augment(["a"], ["1"], "en", Augmentation(), 0, 0)


def test_every_default_rate_is_in_its_range():
    assert {kind: Augmentation(kind, rate).strength for kind, rate in RATES.items()} == RATES
    assert Augmentation("repetition").strength == 0.32 and Augmentation("none").strength == 0


def test_paraphrases_replace_what_they_fit(tmp_path):
    texts = ["房间很干净，服务也热情。", "房间不干净，服务也冷淡。", "早餐很好吃，位置也方便。", "好"]
    ids = ["c:0", "c:1", "c:2", "c:3"]
    file = tmp_path / "p.csv"
    file.write_text("id,paraphrase\nc:0,屋子整洁，招待也很周到。\nc:1,差\nc:3,不错\n", encoding="utf-8")
    how = Augmentation("back-translation", paraphrases=str(file))
    assert augment(texts, ids, "zh", how, 0, 0) == ["屋子整洁，招待也很周到。", *texts[1:]]


def rows_of(corpus):
    return np.flatnonzero(corpus.table.split == "train")[:12]


@pytest.mark.parametrize("kind", ["tfidf", "eda", "repetition", "none"])
def test_a_corpus_is_augmented_as_its_texts_are(tiny, store, kind, monkeypatch):
    rows, how = rows_of(tiny), Augmentation(kind)
    table = tiny.table
    core = table[(table.status == "core") & table.split.isin(["train", "unlabelled"])]
    expected = augment(table.text[rows].tolist(), table.id[rows].tolist(), "zh", how, 3, 1, core.text.tolist())
    assert augmented(tiny, rows, how, 3, 1, store) == expected
    monkeypatch.setattr(module, "_all_changed", lambda *_: pytest.fail("computed again"))
    assert augmented(tiny, rows, how, 3, 1, store) == expected


def test_words_of_dev_and_test_are_never_drawn(tiny, store):
    how = Augmentation("tfidf", 1.0)
    drawn = "".join(text for view in range(20) for text in augmented(tiny, range(len(tiny)), how, 0, view, store)[:40])
    assert ONLY_IN["unlabelled"] in drawn
    training = [row for row in rows_of(tiny) if ONLY_IN["dev"] not in tiny.table.text[row]]
    drawn = "".join(text for view in range(20) for text in augmented(tiny, training, how, 0, view, store))
    assert not any(ONLY_IN[split] in drawn for split in ("dev", "test")) and "默认" not in drawn


EDA = Augmentation("eda")


@pytest.fixture
def built(tiny, store, monkeypatch):
    """Ask for texts; says how often they have been computed so far."""
    original = module._all_changed
    count = Counter()

    def counting(*arguments):
        count["built"] += 1
        return original(*arguments)

    monkeypatch.setattr(module, "_all_changed", counting)

    def ask(rows=None, how=EDA, seed=0, view=0, language="zh"):
        augmented(replace(tiny, language=language), rows_of(tiny) if rows is None else rows, how, seed, view, store)
        return count["built"]

    return ask


def test_a_change_of_anything_computes_anew(built, tiny, monkeypatch):
    assert built() == built(how=Augmentation("eda", 0.1)) == 1, "the default written out is the default"
    assert built(rows=rows_of(tiny)[::-1]) == 2
    assert built(seed=1) == 3
    assert built(view=1) == 4
    assert built(how=Augmentation("eda", 0.2)) == 5
    assert built(how=Augmentation("swap")) == 6 == built(how=Augmentation("swap", lexicon="public")), "not used there"
    other = replace(lexicon("zh"), checksum="another")
    with monkeypatch.context() as patch:
        patch.setattr(module, "lexicon", lambda *_: other)
        assert built() == 7
        assert built(how=Augmentation("swap")) == 7
    digest = code.digest
    with monkeypatch.context() as patch:
        patch.setattr(code, "digest", lambda name: digest(name) + "changed")
        assert built() == 8
    with monkeypatch.context() as patch:
        patch.setattr(code, "versions", lambda *names: dict.fromkeys(names, "another"))
        assert built() == 9
        assert built(language="en") == 10
    assert built(language="en") == 10, "English passes through no library"


def test_paraphrases_of_a_corpus(tiny, store, tmp_path):
    rows, file = rows_of(tiny), tmp_path / "p.jsonl"
    how = Augmentation("back-translation", paraphrases=str(file))
    row = next(row for row in rows if len(tiny.table.text[row]) >= 10)
    for new in ("别的说法" * 3, "又一种说法" * 3):
        file.write_text(f'{{"text": "{tiny.table.text[row]}", "paraphrase": "{new}"}}\n', encoding="utf-8")
        changed = augmented(tiny, rows, how, 0, 0, store)
        assert [text for text in changed if text not in set(tiny.table.text[rows])] == [new]
    file.write_text('{"id": "other", "paraphrase": "x"}\n', encoding="utf-8")
    sentence = (
        r"p\.jsonl has a paraphrase of none of the 12 texts: expected their id in the column 'id', such as tiny:2$"
    )
    with pytest.raises(InputError, match=sentence):
        augmented(tiny, rows, how, 0, 0, store)


def test_importing_it_imports_nothing_heavy():
    heavy = ("jieba", "rapidfuzz", "transformers", "gensim", "torch", "huggingface_hub")
    script = f"import sys, paperkit.text.augment; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=paths.ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_fetches_and_reads_files_is_no_part_of_its_code():
    reached = code.closure("paperkit.text.augment")
    assert not {"paperkit.corpora.public", "paperkit.corpora.download", "paperkit.corpora.sheet"} & set(reached)
    assert {"paperkit.text.edits", "paperkit.text.pieces", "paperkit.text.lexicon"} <= set(reached)


PLAIN_TEXT = "房间很干净，服务也热情。"


def test_views_take_different_paraphrases_from_a_file(tmp_path):
    file = tmp_path / "paraphrases.csv"
    paraphrases = ("屋子整洁，招待也很周到。", "房间干净，服务态度热情。")
    rows = "".join(f"{PLAIN_TEXT},{each}\n" for each in paraphrases)
    file.write_text(f"text,paraphrase\n{rows}", encoding="utf-8")
    how = Augmentation("back-translation", paraphrases=str(file))
    assert len({augment([PLAIN_TEXT], ["c:0"], "zh", how, 0, view)[0] for view in range(20)}) == len(paraphrases)


def test_a_text_goes_there_and_back_by_its_seed_and_view(monkeypatch):
    seen = []

    def translator(*models):
        def translate(texts, seeds):
            seen.append((models, *seeds))
            return texts

        return translate

    monkeypatch.setattr(module, "Marian", lambda name, *_: name)
    monkeypatch.setattr(module, "BackTranslation", translator)
    how = Augmentation("back-translation", forward="there", backward="back")
    for seed, view in ((0, 0), (0, 1), (1, 0)):
        augment([PLAIN_TEXT], ["c:0"], "zh", how, seed, view)
    assert {models for models, _ in seen} == {("there", "back")}
    assert len(set(seen)) == 3
