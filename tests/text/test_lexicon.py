"""Synonyms and antonyms: our lists are sound and serve the embedded corpora; the public ones are read in their formats."""

import hashlib
import os
from pathlib import Path

import pytest
import regex

from paperkit import corpora, paths
from paperkit.corpora import public
from paperkit.errors import InputError
from paperkit.text import pieces
from paperkit.text.lexicon import Lexicon, lexicon, match_case
from paperkit.text.words import stop_words

FILES = [(kind, language) for kind in ("synonyms", "antonyms") for language in ("zh", "en")]
WORD = {"zh": regex.compile(r"\p{Han}+"), "en": regex.compile("[a-z]+")}


@pytest.fixture(autouse=True)
def _read_anew():
    lexicon.cache_clear()
    yield
    lexicon.cache_clear()


def groups(kind, language):
    lines = (paths.DATA / "lexicon" / f"{kind}_{language}.txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line and not line.startswith("#"):
            yield [side.split() for side in line.split("|")]


@pytest.mark.parametrize(("kind", "language"), FILES)
def test_our_lists_are_sound(kind, language):
    seen = set()
    for sides in groups(kind, language):
        words = [word for side in sides for word in side]
        assert len(sides) == (1 if kind == "synonyms" else 2) and all(sides) and len(words) > 1
        assert len(set(words)) == len(words), words
        assert all(WORD[language].fullmatch(word) for word in words), words
        assert not stop_words(language) & set(words), "a function word is not to be changed"
        line = frozenset(map(frozenset, sides))
        assert line not in seen, words
        seen.add(line)
    assert len(seen) > 150


@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_is_said_of_two_words_holds_both_ways(language):
    ours = lexicon(language)
    lines = [sides for kind in ("synonyms", "antonyms") for sides in groups(kind, language)]
    words = {word for sides in lines for side in sides for word in side}
    for find in (ours.synonyms, ours.antonyms):
        assert all(word in find(other) for word in words for other in find(word))
        assert not any(word in find(word) for word in words)
    assert not any(set(ours.synonyms(word)) & set(ours.antonyms(word)) for word in words)
    assert ours.synonyms("没有这个词") == ours.antonyms("xyzzy") == ()


@pytest.mark.parametrize(("corpus", "share"), [("tickets", 1.0), ("newswire", 1.0), ("reviews", 0.85)])
def test_almost_every_embedded_text_has_a_word_to_replace(corpus, share):
    made = corpora.load(corpus, size=400)
    ours, cut = lexicon(made.language), [pieces.cut(text, made.language) for text in made.rows("train").text[:40]]
    assert sum(any(map(ours.synonyms, each)) for each in cut) >= share * len(cut)
    assert sum(any(map(ours.antonyms, each)) for each in cut) >= (share - 0.15) * len(cut)


def test_case():
    assert lexicon("en").synonyms("rose") == ("climbed", "advanced", "gained")
    assert lexicon("en").synonyms("Rose") == ("Climbed", "Advanced", "Gained")
    assert lexicon("en").antonyms("ROSE") == ("FELL", "DROPPED", "DECLINED")
    assert [match_case("ab", model) for model in ("x", "X", "Xy", "XY", "xY", "", "好")] == [
        "ab", "Ab", "Ab", "AB", "Ab", "ab", "ab"]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "line", "expected"),
    [
        ("synonyms_zh.txt", "孤单", "two words or more"),
        ("synonyms_zh.txt", "好 | 坏", "two words or more"),
        ("antonyms_zh.txt", "好 坏", "words | their opposites"),
        ("antonyms_zh.txt", "好 | ", "words | their opposites"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path, monkeypatch, file, line, expected):
    (tmp_path / "lexicon").mkdir()
    for kind, language in FILES:
        good = "大 巨大  # size\n\n" if kind == "synonyms" else "大 巨大 | 小\n"
        (tmp_path / "lexicon" / f"{kind}_{language}.txt").write_text(good, encoding="utf-8")
    monkeypatch.setattr(paths, "DATA", tmp_path)
    monkeypatch.setattr("paperkit.text.lexicon.stop_words", lambda language: frozenset())
    assert lexicon("zh").synonyms("大") == ("巨大",) and lexicon("zh").antonyms("小") == ("大", "巨大")
    lexicon.cache_clear()
    path = tmp_path / "lexicon" / file
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    number = len(path.read_text(encoding="utf-8").splitlines())
    with pytest.raises(InputError, match=f"{file}, line {number}: found '.*', expected {regex.escape(expected)}"):
        lexicon("zh")


def test_another_list_has_another_checksum(tmp_path, monkeypatch):
    first = lexicon("zh").checksum
    (tmp_path / "words").symlink_to(paths.DATA / "words")
    (tmp_path / "lexicon").mkdir()
    for file in (paths.DATA / "lexicon").iterdir():
        (tmp_path / "lexicon" / file.name).write_bytes(file.read_bytes() + b"# \n")
    monkeypatch.setattr(paths, "DATA", tmp_path)
    lexicon.cache_clear()
    assert lexicon("zh").checksum != first


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match=r"^language is 'fr'; there are lexicons of 'zh', 'en'$"):
        lexicon("fr")
    with pytest.raises(InputError, match=r"^lexicon is 'wordnet'; accepted are 'embedded', 'public'$"):
        lexicon("zh", "wordnet")


def test_the_public_lists_are_asked_for_in_one_sentence_where_they_are_not(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPERKIT_DATA", str(tmp_path))
    monkeypatch.setenv("PAPERKIT_DOWNLOADS", str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"^text lexicon-zh is not on this machine.*`make data` downloads it"):
        lexicon("zh", "public")
    with pytest.raises(InputError, match=r"^lexicon-en is not on this machine: .*PAPERKIT_DATA=folder reads a copy$"):
        lexicon("en", "public")


def test_the_public_formats(monkeypatch):
    made = {
        "lexicon-zh": {
            "dict_synonym.txt": "Aa01= 大 巨大 很大2 的\nAa02# 桌子 椅子\nAa03@ 孤单\n",
            "dict_antonym.txt": "大--小\n快——慢\n死──活\n美丽—丑陋\n宽―窄\n上2--下\n一，二--三\n",
        },
        "lexicon-en": {
            "oewn_synsets.tsv": "1-a\ta\tbig|large|in effect\t\n2-n\tn\tBig|top dog\t\n3-v\tv\tbig|Grow\t1\n",
            "oewn_antonyms.tsv": "big\ta\tlittle\na priori\ta\ta posteriori\n",
        },
    }
    read = {name: {file: text.encode() for file, text in files.items()} for name, files in made.items()}
    monkeypatch.setattr(public, "files", read.__getitem__)
    zh, en = lexicon("zh", "public"), lexicon("en", "public")
    assert zh.synonyms("大") == ("巨大",) and zh.synonyms("的") == zh.synonyms("桌子") == zh.synonyms("很大2") == ()
    found = {word: zh.antonyms(word) for word in "大小快慢死活窄下三"}
    assert found == {"大": ("小",), "小": ("大",), "快": ("慢",), "慢": ("快",), "死": ("活",), "活": ("死",),
                     "窄": ("宽",), "下": (), "三": ()}  # fmt: skip
    assert zh.antonyms("丑陋") == ("美丽",)
    assert en.synonyms("big") == ("large", "grow") and en.antonyms("little") == ("big",)
    parts = [
        *(read["lexicon-zh"][name] for name in sorted(read["lexicon-zh"])),
        "\n".join(sorted(stop_words("zh"))).encode(),
    ]
    assert zh.checksum == hashlib.sha256(b"\0".join(parts)).hexdigest() and zh.name == "public-zh"


def test_the_real_public_lists(monkeypatch):
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("PAPERKIT_DATA") or beside)
    if not (folder / "lexicon" / "synonyms-zh").is_dir():
        pytest.skip("no public lexicons here: set PAPERKIT_DATA to a folder that holds them")
    monkeypatch.setenv("PAPERKIT_DATA", str(folder))
    zh, en = lexicon("zh", "public"), lexicon("en", "public")
    assert isinstance(zh, Lexicon) and "小" in zh.antonyms("大") and "民居" not in zh.synonyms("人")
    assert "sell" in en.antonyms("buy") and "purchase" in en.synonyms("buy")
    assert len(zh._synonyms) > 40_000 and len(en._synonyms) > 40_000
