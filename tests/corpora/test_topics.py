"""Corpora of many classes: made-up files in both forms, and the counts of the real ones."""

import csv
import html
import io
import json
from collections import Counter

import pytest

from paperkit import corpora
from paperkit.corpora import public, topics
from paperkit.corpora.corpus import assemble, leaks, normalise
from paperkit.corpora.readers import READERS

RULES = {"reuters21578": "source", "reuters21578-alphabetical": "alphabetical", "r8": "r8", "r52": "r52"}

STORIES = [  # LEWISSPLIT, TOPICS attribute, kind, topics, title, body
    ("TRAIN", "YES", "NORM", ("wheat", "grain"), "WHEAT & CORN <UP>", "Prices rose.\n    They fell.\n Reuter"),
    ("TRAIN", "YES", "BRIEF", ("earn",), "A BRIEF ONE", ""),
    ("TRAIN", "YES", "UNPROC", ("tea",), "", "TEA TABLE\n 1 2 3"),
    ("TRAIN", "YES", "NORM", (), "NO TOPIC", "Nothing."),
    ("TRAIN", "YES", "NORM", ("rye", "tea"), "RYE", "Rye in training only."),
    ("TRAIN", "YES", "NORM", ("grain",), "GRAIN", "Grain alone."),
    ("TEST", "YES", "NORM", ("grain", "wheat"), "TEST OF GRAIN", "Grain and wheat."),
    ("TEST", "YES", "NORM", ("earn",), "TEST OF EARNINGS", "Profit."),
    ("TEST", "YES", "NORM", ("cpu",), "TEST ONLY", "Chips."),
    ("TEST", "YES", "NORM", ("tea", "earn"), "TEST OF TEA", "Tea."),
    ("TEST", "NO", "NORM", ("earn",), "UNUSED", "Of the test part, without topics assigned."),
    ("NOT-USED", "YES", "NORM", ("earn",), "UNUSED TOO", "Not used."),
    ("NOT-USED", "YES", "BRIEF", ("earn",), "UNUSED WITHOUT BODY", ""),
]


def as_sgml(stories, first=1) -> bytes:
    page = '<!DOCTYPE lewis SYSTEM "lewis.dtd">\n'
    for number, (split, assigned, kind, names, title, body) in enumerate(stories, first):
        title, body = html.escape(title, quote=False), html.escape(body, quote=False)
        marked = (f"<TITLE>{title}</TITLE>" if title else "") + (f"<BODY>{body}\n&#3;</BODY>" if body else "")
        kind_given = "" if kind == "NORM" else f' TYPE="{kind}"'
        text = f"&#2;\n{body}\n&#3;" if kind == "UNPROC" else f"&#2;\n{marked}"
        page += (
            f'<REUTERS TOPICS="{assigned}" LEWISSPLIT="{split}" CGISPLIT="X" OLDID="9" NEWID="{number}">\n'
            f"<TOPICS>{''.join(f'<D>{name}</D>' for name in names)}</TOPICS>\n<PLACES><D>usa</D></PLACES>\n"
            f"<TEXT{kind_given}>{text}</TEXT>\n</REUTERS>\n"
        )
    return page.encode("latin-1")


def as_json_lines(rows) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


SGML = {"reut2-001.sgm": as_sgml(STORIES[9:], 10), "README.txt": b"", "reut2-000.sgm": as_sgml(STORIES[:9])}
PARSED = {
    "parsed.jsonl": as_json_lines(
        {"newid": n, "topics_attr": a, "lewissplit": s, "topics": list(t), "title": title, "body": body}
        for n, (s, a, _, t, title, body) in enumerate(STORIES, 1)
    )
}


@pytest.mark.parametrize("name", RULES)
def test_stories_are_the_same_from_both_forms(name):
    one, other = READERS[name](SGML), READERS[name](PARSED)
    assert one.table.equals(other.table) and one[1:] == other[1:]


def labels(rows):
    return {
        int(row.id.split(":")[1]): (row.split, rows.label_names[row.label]) if row.label >= 0 else row.split
        for row in rows.table.itertuples()
    }


def test_rules_of_the_stories():
    pool = {11: "unlabelled", 12: "unlabelled"}
    common = {2: ("train", "earn"), 3: ("train", "tea"), 6: ("train", "grain"), 8: ("test", "earn"), **pool}
    # rye and cpu are in one part only, so neither counts
    common |= {5: ("train", "tea"), 7: ("test", "grain")}
    assert labels(topics.read_reuters(PARSED)) == {**common, 1: ("train", "wheat"), 10: ("test", "tea")}
    alphabetical = labels(topics.read_reuters(PARSED, rule="alphabetical"))
    assert alphabetical == {**common, 1: ("train", "grain"), 10: ("test", "earn")}
    single = {2: ("train", "earn"), 8: ("test", "earn"), **pool}
    assert labels(topics.read_reuters(PARSED, rule="r52")) == single
    assert labels(topics.read_reuters(PARSED, rule="r8")) == single
    with pytest.raises(ValueError, match="accepted are source, alphabetical, r52, r8"):
        topics.read_reuters(PARSED, rule="last")


def test_text_and_topics_of_a_story():
    table = topics.read_reuters(SGML).table.set_index("id")
    assert table.text["reuters21578:1"] == "WHEAT & CORN <UP>\nPrices rose.\n    They fell.\n Reuter"
    assert table.text["reuters21578:2"] == "A BRIEF ONE"
    assert table.text["reuters21578:3"] == "TEA TABLE\n 1 2 3"
    assert table.votes["reuters21578:1"] == "wheat|grain" and table.votes["reuters21578:5"] == "tea"
    assert table.votes["reuters21578:12"] == ""


def test_notes_of_the_stories():
    notes = {note.reason: (note.count, note.detail) for note in topics.read_reuters(PARSED).notes}
    assert notes == {
        "story without a label by the rule source: left out": (2, ""),
        "class of the train stories only": (1, "wheat"),
    }


def question(subject, theme, text, *points):
    return {"subject": subject, "theme": theme, "question": text, "knowledge_points": list(points)}


EXAMS = [
    *(question("历史", "古代史", f"第{n}题（ ）A. 甲B. 乙", "常见", "商/周") for n in range(6)),
    *(question("历史", "古代史", f"第{n}问", "常见") for n in range(7)),
    question("历史", "古代史", "第 0 问", "常见", "罕见"),
    question("历史", "古代史", "？", "常见"),
    *(question("生物", "遗传", f"第{n}例", "常见", "罕见") for n in range(5)),
]


def test_exams():
    by_theme = {}
    for number, row in enumerate(EXAMS):
        row["id"] = f"15-{number}"
        by_theme.setdefault(f"高中_{row['subject']}/origin/{row['theme']}.csv", []).append(row)
    files = {}
    for name, rows in reversed(by_theme.items()):
        out = io.StringIO()
        writer = csv.writer(out, quoting=csv.QUOTE_ALL)
        writer.writerow(["web-scraper-order", "web-scraper-start-url", "item"])
        for row in rows:
            item = (
                f"[题目]\n{row['question'].replace(' ', chr(160))} 题型: 单选题|答案：D解析：略知识点：\n[知识点：]\n"
            )
            writer.writerow([row["id"], "x", item + ",".join(row["knowledge_points"])])
        writer.writerow(["none", "x", "[题目]\n没有知识点题型: 单选题"])
        files[name] = b"\xef\xbb\xbf" + out.getvalue().encode()
    crawled, parsed = topics.read_exams(files), topics.read_exams({"exam.jsonl": as_json_lines(EXAMS)})
    assert crawled.table.equals(parsed.table) and crawled[1:] == parsed[1:]
    assert parsed.label_names == ("历史/古代史/商／周", "历史/古代史/常见")
    assert parsed.table.label.tolist() == [0] * 6 + [1] * 7
    assert parsed.table.votes[6] == "历史/古代史/常见|历史/古代史/罕见" and parsed.table.votes[7] == "历史/古代史/常见"
    assert {note.reason.split(":")[0]: note.count for note in parsed.notes} == {
        "no letter or digit in the text": 1,
        "duplicate text": 1,
        "same text under different labels": 1,
        "leaf of fewer than 6 questions": 5,
    }
    assert len(parsed.table) + 1 + 1 + 5 == len(EXAMS)


def fewclue(text, key, *classes, numbers=None):
    """Two rows per class and part, and one without a label that is a training text again."""
    parts = {}
    for part in ("train_few_all", "dev_few_all", "test_public"):
        rows = [(name, n) for name in classes for n in range(2)]
        parts[f"{part}.json"] = as_json_lines(
            {text: f"{part}\u2028的\x85{name}{n}", key: name, **({"label": numbers[name]} if numbers else {})}
            for name, n in rows
        )
    parts["test.json"] = as_json_lines([{text: f"train_few_all的{classes[0]}0"}, {text: "另一篇"}])
    return parts


def test_iflytek_is_numbered_as_published():
    rows = topics.read_iflytek(fewclue("sentence", "label_des", "银行", "打车", numbers={"银行": 10, "打车": 2}))
    assert rows.label_names == ("打车", "银行")
    corpus = assemble("iflytek", rows.table, rows.label_names, "zh", rows.notes)
    assert Counter(corpus.table.split) == {"train": 4, "dev": 4, "test": 4, "unlabelled": 1}
    assert leaks(corpus).empty
    assert "1 from unlabelled also in train" in [note.detail for note in corpus.notes]
    assert corpus.table.id.tolist()[0] == "iflytek:train_few_all:0"


def test_csldcp_is_a_tree():
    rows = topics.read_csldcp(fewclue("content", "label", "化学/化学工程与技术", "药学"))
    assert len(rows.label_names) == 67 == len(set(rows.label_names))
    assert len({name.split("/")[0] for name in rows.label_names}) == 13
    assert all(len(name.split("/")) == 2 for name in rows.label_names)
    assert {rows.label_names[label] for label in rows.table.label if label >= 0} == {
        "理学/化学／化学工程与技术",
        "医学/药学",
    }


# The real files.

SIZES = {  # train, dev, test, unlabelled, classes
    "reuters21578": (7021, 648, 2998, 7827, 72),
    "r8": (4972, 460, 2178, 7832, 8),
    "exam-tree": (11654, 1327, 2290, 0, 302),
    "iflytek": (3024, 1373, 1749, 2412, 119),
    "csldcp": (2036, 2068, 1784, 2999, 67),
}


@pytest.mark.parametrize("name", SIZES)
def test_real_corpus(real, name):
    corpus = corpora.load(name)
    sizes = Counter(corpus.table.split)
    assert (*(sizes[split] for split in ("train", "dev", "test", "unlabelled")), corpus.n_classes) == SIZES[name]
    assert leaks(corpus).empty and corpus.table.id.is_unique
    assert corpus.table.text.map(normalise).is_unique
    assert set(corpus.table.label) == {*range(corpus.n_classes)} | ({-1} if sizes["unlabelled"] else set())
    assert (corpus.table.label[corpus.table.split == "unlabelled"] == -1).all()
    assert (corpus.table.status[corpus.table.split.isin(("dev", "test"))] == "core").all()
    gone = (
        "no letter or digit in the text",
        "duplicate text",
        "text in two of the given splits",
        "leaf of fewer than 6 questions",
    )
    dropped = sum(note.count for note in corpus.notes if note.reason.split(":")[0] in gone)
    assert len(corpus) + dropped == public.manifest()[name].rows


@pytest.fixture(scope="module")
def reuters(public_data):
    entry = public.manifest()["reuters21578"]
    (source,) = entry.parsed
    return public.unpack(source.path, (public_data / source.path).read_bytes())


@pytest.mark.parametrize(
    ("name", "documents", "classes", "both"),
    [
        ("reuters21578", (7770, 3019), (70, 64), 62),
        ("reuters21578-alphabetical", (7770, 3019), (74, 72), 67),
        ("r8", (5485, 2189), (8, 8), 8),
        ("r52", (6532, 2568), (52, 52), 52),
    ],
)
def test_counts_of_the_literature(reuters, name, documents, classes, both):
    table = READERS[name](reuters).table
    parts = [table[table.split == split] for split in ("train", "test")]
    assert tuple(map(len, parts)) == documents
    found = [set(part.label) for part in parts]
    assert tuple(map(len, found)) == classes and len(found[0] & found[1]) == both
    assert (table.split == "unlabelled").sum() == 7940
    assert len(table) == public.manifest()[name].rows


def test_modapte_and_its_ninety_topics(reuters):
    found = topics.stories(reuters)
    assert Counter(story.split for story in found) == {"train": 9603, "test": 3299, "unused": 8676}
    votes = topics.read_reuters(reuters).table.votes
    assert len({topic for each in votes if each for topic in each.split("|")}) == 90


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reuters21578", "exam-tree"])
def test_published_files_give_the_same_prepared_corpus(real, name, tmp_path, monkeypatch):
    """The published files as they lie in the archive, each held against its own checksum."""
    entry = public.manifest()[name]
    (packed,) = entry.repacked
    files = public.unpack(packed.path, (real / packed.path).read_bytes())
    for source in entry.upstream:
        inside = source.path.removeprefix(name + "/")
        (tmp_path / source.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / source.path).write_bytes(files.get(inside) or files[f"{name}/{inside}"])
    monkeypatch.setenv("PAPERKIT_DATA", str(tmp_path))
    assert public.load(name).checksum == entry.prepared_sha256


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reuters21578-alphabetical", "r52"])
def test_the_other_rules_prepare_as_in_the_manifest(real, name):
    assert leaks(corpora.load(name)).empty
